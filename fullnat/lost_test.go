package fullnat

import "testing"

// What becomes of sessions whose server is down or no longer listed.
func TestLostServer(t *testing.T) {
	const (
		both  = "vip 203.0.113.80:443 → 10.0.0.11:8443 10.0.0.12:8443 via 10.9.0.1 "
		down  = "vip 203.0.113.80:443 → !10.0.0.11:8443 10.0.0.12:8443 via 10.9.0.1 "
		gone  = "vip 203.0.113.80:443 → 10.0.0.12:8443 via 10.9.0.1 "
		other = "vip 203.0.113.81:443 → 10.0.0.12:8443 via 10.9.0.1"

		more, carried = "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001", "tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001"
		syn, anew     = "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 9000", "tcp 10.9.0.1:5235 > 10.0.0.12:8443 S ttl 63 seq 9000"
		resets        = "tcp 10.9.0.1:5235 > 10.0.0.11:8443 RA ttl 64 df seq 1001 ack 5001\ntcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df seq 5001 ack 1001"
	)
	kept := []row{{"the client goes on", more, carried, "forwarded"}}
	forgotten := []row{
		{"the client's next packet goes nowhere, and nobody is told", more, "", "forgotten"},
		{"the session is gone", more, "", "no_session"},
		{"a retry opens anew", syn, anew, "forwarded"},
	}
	retried := []row{{"a new connection from the same port needs no packet before", syn, anew, "forwarded"}}
	told := []row{{"the client speaks again", more, "tcp 203.0.113.80:443 > 198.51.100.7:4711 R ttl 64 df seq 5001", "rejected dead_server"}}
	tests := []struct {
		name          string
		before, after string
		at, verdicts  string // what leaves at once
		then          []row
	}{
		{"down, reset unless said otherwise", both, down, resets, "originated×2", told},
		{"down, kept", both + "dead=keep", down + "dead=keep", "", "", kept},
		{"down, forgotten", both + "dead=expire", down + "dead=expire", "", "", forgotten},
		{"down, forgotten: retried", both + "dead=expire", down + "dead=expire", "", "", retried},
		{"removed, kept unless said otherwise", both, gone, "", "", kept},
		{"removed, reset", both + "removed=reset", gone + "removed=reset", resets, "originated×2", told},
		{"removed, forgotten", both + "removed=expire", gone + "removed=expire", "", "", forgotten},
		{"the service too, as it said last", both + "removed=reset", other, resets, "originated×2",
			[]row{{"a new connection", syn, "", "not_ours"}}},
		{"removed, told in the same moment", both, gone + "removed=expire", "", "", kept},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newTestWorker(t, tt.before)
			w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
			w.services(tt.after)
			w.settle()
			w.expect("at once", tt.at, tt.verdicts)
			w.converse(tt.then)
			w.books()
		})
	}
	t.Run("a server that is listed again has its sessions", func(t *testing.T) {
		w := newTestWorker(t, both+"removed=expire")
		w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
		w.services(gone + "removed=expire")
		w.settle()
		w.services(both + "removed=expire")
		w.converse(kept)
	})
	t.Run("the next datagram finds another server at once", func(t *testing.T) {
		w := newTestWorker(t, "udp 203.0.113.53:53 → 10.0.0.11:5353 10.0.0.12:5353 via 10.9.0.1 removed=expire")
		w.converse([]row{{"one", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64", "udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63", "forwarded"}})
		w.services("udp 203.0.113.53:53 → 10.0.0.12:5353")
		w.converse([]row{{"the other", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64", "udp 10.9.0.1:5238 > 10.0.0.12:5353 ttl 63", "forwarded"}})
		w.books()
	})
}
