package fullnat

import (
	"testing"

	"fleetlb/fullnat/packet"
)

// A range of ports goes to one server whole, each port to the same port there.
func TestPortRange(t *testing.T) {
	w := newTestWorker(t,
		"vip 203.0.113.80:8000-8999 → 10.0.0.11:0 via 10.9.0.1",
		"vip 203.0.113.80:8080 → 10.0.0.12:80",
		"vip 203.0.113.80:0-65535 → 10.0.0.13:99")
	w.converse([]row{
		{"a port of the range", "tcp 198.51.100.7:4711 > 203.0.113.80:8000 S ttl 64 seq 1",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8000 S ttl 63 seq 1", "forwarded"},
		{"and back", "eth1 tcp 10.0.0.11:8000 > 10.9.0.1:5235 SA ttl 64 seq 7 ack 2",
			"tcp 203.0.113.80:8000 > 198.51.100.7:4711 SA ttl 63 seq 7 ack 2", "forwarded"},
		{"another port of it", "tcp 198.51.100.8:4711 > 203.0.113.80:8999 S ttl 64 seq 1",
			"tcp 10.9.0.1:5270 > 10.0.0.11:8999 S ttl 63 seq 1", "forwarded"},
		{"one port goes before the range", "tcp 198.51.100.7:4711 > 203.0.113.80:8080 S ttl 64 seq 1",
			"tcp 10.9.0.1:5235 > 10.0.0.12:80 S ttl 63 seq 1", "forwarded"},
		{"any port goes after it", "tcp 198.51.100.7:4711 > 203.0.113.80:9000 S ttl 64 seq 1",
			"tcp 10.9.0.1:5235 > 10.0.0.13:99 S ttl 63 seq 1", "forwarded"},
		{"an error about the range", "eth1 icmp 10.0.0.11 > 10.9.0.1 no-port ttl 64 ( tcp 10.9.0.1:5270 > 10.0.0.11:8999 S ttl 60 seq 1 )",
			"icmp 203.0.113.80 > 198.51.100.8 no-port ttl 63 ( tcp 198.51.100.8:4711 > 203.0.113.80:8999 S ttl 60 seq 1 )", "forwarded"},
	})
	w.books()
}

// What listens at several places shares its scheduler, and each server's load is
// one number.
func TestListenersBeside(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:80 → 10.0.0.11:0 10.0.0.12:0 10.0.0.13:0 via 10.9.0.1 wlc +tcp/203.0.113.80:443 +udp/203.0.113.81:5000-5009")
	w.inject(
		"tcp 198.51.100.7:4711 > 203.0.113.80:80 S ttl 64",
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64",
		"udp 198.51.100.7:4711 > 203.0.113.81:5003 ttl 64")
	w.settle()
	w.expect("each listener's client goes to the server with the least of all", lines(
		"tcp 10.9.0.1:5235 > 10.0.0.11:80 S ttl 63",
		"tcp 10.9.0.1:5235 > 10.0.0.12:443 S ttl 63",
		"udp 10.9.0.1:5238 > 10.0.0.13:5003 ttl 63"), "forwarded×3")
	shop := w.snapshot.Services.Services[0]
	for i, want := range [][2]int{{1, 0}, {1, 0}, {0, 1}} {
		if l := shop.Servers[i].Load; l.Active() != want[0] || l.Inactive() != want[1] {
			t.Errorf("server %d: %d active, %d inactive; want %v", i, l.Active(), l.Inactive(), want)
		}
	}
	c, err := w.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range shop.Servers {
		if got := c.Of(s); got.Connections != 1 || got.PacketsIn != 1 {
			t.Errorf("server %d: %+v", i, got)
		}
	}
	if got := w.snapshot.Services.Find(packet.UDP, addr("203.0.113.81"), 5010); got != nil {
		t.Errorf("a port behind the last one: %v", got)
	}
	w.books()
}
