package fullnat

import (
	"fmt"
	"strings"
	"testing"

	"fleetlb/fullnat/packet/packettest"
)

func TestForward(t *testing.T) {
	tests := []row{
		{"a SYN opens a session",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000 mss 1460 ws 7",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 S ttl 63 seq 1000 mss 1460 ws 7", "forwarded"},
		{"the answer goes back the same way",
			"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 SA ttl 64 seq 5000 ack 1001 mss 1460",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 SA ttl 63 seq 5000 ack 1001 mss 1460", "forwarded"},
		{"the handshake completes",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001", "forwarded"},
		{"data",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 tos 16 seq 1001 ack 5001 len 1400",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 PA ttl 63 tos 16 seq 1001 ack 5001 len 1400", "forwarded"},
		{"data back, with IP options",
			"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 PA ttl 64 ipopt 94040000 seq 5001 ack 2401 len 33",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 PA ttl 63 ipopt 94040000 seq 5001 ack 2401 len 33", "forwarded"},
		{"damage on the way here is not repaired",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 2401 ack 5034 len 10 bad-sum",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 PA ttl 63 seq 2401 ack 5034 len 10 bad-sum", "forwarded"},
		{"a checksum that the card still owes is still owed",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 2401 ack 5034 len 10 partial",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 PA ttl 63 seq 2401 ack 5034 len 10 partial", "forwarded"},
		{"another client gets another port and the other server",
			"tcp 198.51.100.8:4711 > 203.0.113.80:443 S ttl 64 seq 1",
			"tcp 10.9.0.1:5270 > 10.0.0.12:8443 S ttl 63 seq 1", "forwarded"},
		{"its SYN again goes the same way",
			"tcp 198.51.100.8:4711 > 203.0.113.80:443 S ttl 64 seq 1",
			"tcp 10.9.0.1:5270 > 10.0.0.12:8443 S ttl 63 seq 1", "forwarded"},
		{"a stray ACK opens nothing",
			"tcp 198.51.100.9:4711 > 203.0.113.80:443 A ttl 64", "", "no_session"},
		{"nor does a SYN-ACK",
			"tcp 198.51.100.9:4711 > 203.0.113.80:443 SA ttl 64", "", "no_session"},
		{"nor a SYN with FIN",
			"tcp 198.51.100.9:4711 > 203.0.113.80:443 SF ttl 64", "", "no_session"},
		{"nor a reset, and no reset is sent for it",
			"tcp 198.51.100.9:4711 > 203.0.113.80:443 R ttl 64", "", "no_session"},
		{"a server's stray packet",
			"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:6000 A ttl 64", "", "no_session"},
		{"a server that was not chosen",
			"eth1 tcp 10.0.0.12:8443 > 10.9.0.1:5235 A ttl 64", "", "no_session"},
		{"a server cannot open a connection",
			"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:6000 S ttl 64", "", "no_session"},
		{"a port of the VIP that nobody serves",
			"tcp 198.51.100.7:4711 > 203.0.113.80:444 S ttl 64", "", "no_service"},
		{"the right port of the wrong protocol",
			"udp 198.51.100.7:4711 > 203.0.113.80:443 ttl 64", "", "no_service"},
		{"somebody else's packet",
			"tcp 198.51.100.7:4711 > 203.0.113.99:443 S ttl 64", "", "not_ours"},
		{"another protocol",
			"ip 198.51.100.7 > 203.0.113.80 proto 47 ttl 64 len 40", "", "protocol"},
		{"another protocol for somebody else",
			"ip 198.51.100.7 > 203.0.113.99 proto 47 ttl 64 len 40", "", "not_ours"},
		{"from a VIP: forged, or on its way round",
			"tcp 203.0.113.53:53 > 203.0.113.80:443 S ttl 64", "", "spoofed"},
		{"from a local address",
			"tcp 10.9.0.1:4711 > 203.0.113.80:443 S ttl 64", "", "spoofed"},
		{"one host's packet in everybody's frame",
			"tcp 198.51.100.9:4711 > 203.0.113.80:443 S ttl 64 eth 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff", "", "broadcast"},

		{"UDP opens a session with any packet",
			"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 33",
			"udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 len 33", "forwarded"},
		{"and is answered",
			"eth1 udp 10.0.0.11:5353 > 10.9.0.1:5238 ttl 64 len 512",
			"udp 203.0.113.53:53 > 198.51.100.7:4711 ttl 63 len 512", "forwarded"},
		{"without a checksum",
			"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 33 no-sum",
			"udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 len 33 no-sum", "forwarded"},

		{"IPv6",
			"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64 seq 7",
			"tcp [2001:db8:9::1]:5154 > [fd00::11]:8443 S ttl 63 seq 7", "forwarded"},
		{"and back",
			"eth1 tcp [fd00::11]:8443 > [2001:db8:9::1]:5154 SA ttl 64 seq 9 ack 8",
			"tcp [2001:db8::80]:443 > [2001:db8:7::7]:4711 SA ttl 63 seq 9 ack 8", "forwarded"},
		{"with extension headers",
			"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 A ttl 64 ext 0 ext 60 seq 8 ack 10 len 9",
			"tcp [2001:db8:9::1]:5154 > [fd00::11]:8443 A ttl 63 ext 0 ext 60 seq 8 ack 10 len 9", "forwarded"},
		{"UDP over IPv6",
			"udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 9",
			"udp [2001:db8:9::1]:5257 > [fd00::11]:5353 ttl 63 len 9", "forwarded"},
		{"and back over IPv6",
			"eth1 udp [fd00::11]:5353 > [2001:db8:9::1]:5257 ttl 64 len 9",
			"udp [2001:db8::53]:53 > [2001:db8:7::7]:4711 ttl 63 len 9", "forwarded"},
	}
	w := newTestWorker(t,
		"vip 203.0.113.80:443 → 10.0.0.11:8443 10.0.0.12:8443 via 10.9.0.1",
		"udp 203.0.113.53:53 → 10.0.0.11:5353",
		"vip [2001:db8::80]:443 → [fd00::11]:8443 via 2001:db8:9::1",
		"udp [2001:db8::53]:53 → [fd00::11]:5353")
	w.converse(tests) // one worker: rows are a conversation, in order
}

// TestForwardLink looks at what the lines do not show: ports and stations.
func TestForwardLink(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	for _, tt := range []struct {
		in   string
		port uint8
		eth  string
	}{
		{"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64", 1, "0200000001" + "0b" + "020000000101"},
		{"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 SA ttl 64", 0, "0200000000fe" + "020000000001"},
		{"tcp 198.51.100.9:4711 > 203.0.113.80:443 S ttl 1", 0, "020000000001" + "020000000002"}, // the answer goes where the question came from
	} {
		w.inject(tt.in)
		w.settle()
		sent := w.frames()
		if len(sent) != 1 {
			t.Fatalf("%s: sent %d frames", tt.in, len(sent))
		}
		if got := fmt.Sprintf("%x", sent[0].Bytes[:12]); sent[0].Port != tt.port || got != tt.eth {
			t.Errorf("%s: out of port %d as %s, want %d and %s", tt.in, sent[0].Port, got, tt.port, tt.eth)
		}
	}
}

// TestTrailer sends what stands behind an IP packet nowhere.
func TestTrailer(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	f := frameOf(t, "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64")
	n := len(f.Bytes)
	f.Bytes = append(f.Bytes, "of another packet"...)
	w.queues[0].InjectFrame(f)
	w.settle()
	if sent := w.frames(); len(sent) != 1 || len(sent[0].Bytes) != n {
		t.Errorf("a packet of %d bytes leaves as %+v", n, sent)
	}
}

// TestSuperPacket carries what veth makes of a stream: 64 KB at once, with the
// checksum and the segmentation left to the last card.
func TestSuperPacket(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.converse([]row{{"open",
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64",
		"tcp 10.9.0.1:5235 > 10.0.0.11:8443 S ttl 63", "forwarded"}})
	in := frameOf(t, "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 df seq 1 ack 1 len 60000 partial")
	in.Offload.GSOType, in.Offload.GSOSize, in.Offload.HdrLen = 1, 1460, 54
	w.queues[0].InjectFrame(in)
	w.settle()
	sent := w.frames()
	if len(sent) != 1 || sent[0].Offload != in.Offload {
		t.Fatalf("sent %d frames, offload %+v, want one with %+v", len(sent), sent[0].Offload, in.Offload)
	}
	if got, want := packettest.Print(sent[0].Bytes), "tcp 10.9.0.1:5235 > 10.0.0.11:8443 PA ttl 63 df seq 1 ack 1 len 60000 partial"; got != want {
		t.Errorf("sent %s\nwant %s", got, want)
	}

	in.Offload.GSOSize = 1461 // a segment of 1501 bytes
	w.queues[0].InjectFrame(in)
	w.settle()
	if got := w.sent(); !strings.HasPrefix(got, "icmp 192.0.2.1 > 198.51.100.7 too-big ttl 64") || !strings.Contains(got, "mtu 1500") {
		t.Errorf("segments that do not fit: sent %s", got)
	}
}

func TestClampMSS(t *testing.T) {
	w := newTestWorker(t,
		"vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1 mss 1360",
		"vip [2001:db8::80]:443 → [fd00::11]:8443 via 2001:db8:9::1 mss 1340")
	w.converse([]row{
		{"the client offers too much",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 mss 1460 sackok ws 7",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 S ttl 63 mss 1360 sackok ws 7", "forwarded"},
		{"so does the server",
			"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 SA ttl 64 nop mss 8960",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 SA ttl 63 mss 1360", "forwarded"},
		{"an offer that is small enough stays",
			"tcp 198.51.100.8:4711 > 203.0.113.80:443 S ttl 64 mss 536",
			"tcp 10.9.0.1:5270 > 10.0.0.11:8443 S ttl 63 mss 536", "forwarded"},
		{"none stays none",
			"tcp 198.51.100.9:4711 > 203.0.113.80:443 S ttl 64",
			"tcp 10.9.0.1:5160 > 10.0.0.11:8443 S ttl 63", "forwarded"},
		{"only SYNs make offers",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 mss 1460",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 mss 1460", "forwarded"},
		{"IPv6",
			"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64 mss 1440",
			"tcp [2001:db8:9::1]:5154 > [fd00::11]:8443 S ttl 63 mss 1340", "forwarded"},
	})
}

// TestEndedSession lets clients use a port again at once.
func TestEndedSession(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 10.0.0.12:8443 via 10.9.0.1")
	w.converse([]row{
		{"open",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 S ttl 63 seq 1000", "forwarded"},
		{"the server refuses",
			"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 RA ttl 64 ack 1001",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 63 ack 1001", "forwarded"},
		{"the next SYN is a new connection, to the next server",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 2000",
			"tcp 10.9.0.1:5235 > 10.0.0.12:8443 S ttl 63 seq 2000", "forwarded"},
		{"what the old server still says goes nowhere",
			"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 RA ttl 64 ack 1001", "", "no_session"},
		{"answered",
			"eth1 tcp 10.0.0.12:8443 > 10.9.0.1:5235 SA ttl 64 seq 5000 ack 2001",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 SA ttl 63 seq 5000 ack 2001", "forwarded"},
		{"established",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 2001 ack 5001",
			"tcp 10.9.0.1:5235 > 10.0.0.12:8443 A ttl 63 seq 2001 ack 5001", "forwarded"},
		{"a SYN in the middle of it, forged or late, belongs to it",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 7",
			"tcp 10.9.0.1:5235 > 10.0.0.12:8443 S ttl 63 seq 7", "forwarded"},
		{"the server closes first",
			"eth1 tcp 10.0.0.12:8443 > 10.9.0.1:5235 FA ttl 64 seq 5001 ack 2001",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 FA ttl 63 seq 5001 ack 2001", "forwarded"},
		{"then the client",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 FA ttl 64 seq 2001 ack 5002",
			"tcp 10.9.0.1:5235 > 10.0.0.12:8443 FA ttl 63 seq 2001 ack 5002", "forwarded"},
		{"a SYN from the server's side ends nothing",
			"eth1 tcp 10.0.0.12:8443 > 10.9.0.1:5235 S ttl 64 seq 1",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 S ttl 63 seq 1", "forwarded"},
	})
	if n := len(w.sessionsNow()); n != 1 {
		t.Errorf("%d sessions", n)
	}
}
