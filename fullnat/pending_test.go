package fullnat

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlb/fullnat/packet"
)

const (
	synToUnknown    = "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000"
	synFromDirector = "tcp 10.9.0.1:5235 > 10.0.0.20:8443 S ttl 63 seq 1000"
)

func TestPending(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.20:8443 via 10.9.0.1")
	w.converse([]row{
		{"the server's station is not known", synToUnknown, "", "parked"},
		{"nor for the next client", "tcp 198.51.100.8:4711 > 203.0.113.80:443 S ttl 64", "", "parked"},
	})
	if want := addr("10.0.0.20"); !slices.Equal(w.wanted, []packet.Addr{want, want}) {
		t.Errorf("asked for %v", w.wanted)
	}
	w.pass(500 * time.Millisecond)
	w.expect("half a second later", "", "")

	server := netip.MustParseAddr("10.0.0.20")
	w.network.Neighbors[1][server] = [6]byte{2, 0, 0, 0, 1, 20}
	w.network.Wanted = append(w.network.Wanted, server)
	w.publish()
	w.settle()
	w.expect("resolved", lines(synFromDirector, "tcp 10.9.0.1:5270 > 10.0.0.20:8443 S ttl 63"), "forwarded×2")

	w.inject("eth1 tcp 10.0.0.20:8443 > 10.9.0.1:5235 SA ttl 64 seq 5000 ack 1001")
	w.settle()
	w.expect("answered", "tcp 203.0.113.80:443 > 198.51.100.7:4711 SA ttl 63 seq 5000 ack 1001", "forwarded")
}

func TestPendingTimeout(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.20:8443 via 10.9.0.1")
	w.converse([]row{{"held", synToUnknown, "", "parked"}})
	w.pass(time.Second - tickLength)
	w.expect("for a second", "", "")
	w.pass(tickLength)
	w.expect("and no longer", "", "no_neighbor")
	w.converse([]row{{"until the client sends again", synToUnknown, "", "parked"}})
	w.network.Routes = append(w.network.Routes, nowhere("10.0.0.20/32"))
	w.publish()
	w.settle()
	w.expect("the route is gone", "", "no_route")
}

// TestPendingLimits lets a server that is gone take its share of the places.
func TestPendingLimits(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.20:8443 via 10.9.0.1", "udp 203.0.113.53:53 → 10.0.0.21:53 10.0.0.22:53 10.0.0.23:53 10.0.0.24:53")
	w.snapshot.Ports = [2]uint16{1024, 65535}
	w.publish()
	for i := range maxPendingTo + 3 {
		w.inject(fmt.Sprintf("tcp 198.51.100.7:%d > 203.0.113.80:443 S ttl 64", 1+i))
	}
	w.settle()
	w.expect("one destination", "", fmt.Sprintf("parked×%d no_neighbor×3", maxPendingTo))
	for i := range maxPending {
		w.inject(fmt.Sprintf("udp 198.51.100.7:%d > 203.0.113.53:53 ttl 64", 1+i))
	}
	w.wanted = nil
	w.settle()
	w.expect("all", "", fmt.Sprintf("parked×%d no_neighbor×%d", maxPending-maxPendingTo, maxPendingTo))
	if len(w.wanted) != maxPending {
		t.Errorf("asked for %d next hops, want %d: also for those that had to be dropped", len(w.wanted), maxPending)
	}
	w.pass(time.Second)
	w.expect("a second later", "", fmt.Sprintf("no_neighbor×%d", maxPending))
}

// TestPendingLarge parks a packet that has to be cut, also if the link turns out
// to take less than it did.
func TestPendingLarge(t *testing.T) {
	server := netip.MustParseAddr("10.0.0.20")
	for _, tt := range []struct {
		name, in, want string
		sent           int
	}{
		{"to be cut", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 1450", "cut", 2},
		{"not to be cut", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 df len 1450", "too_big", 0},
		{"small enough", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 1300", "forwarded", 1},
	} {
		w := newTestWorker(t, "udp 203.0.113.53:53 → 10.0.0.20:5353 via 10.9.0.1")
		w.inject(tt.in)
		w.settle()
		w.expect(tt.name, "", "parked")
		w.network.Neighbors[1][server] = [6]byte{2, 0, 0, 0, 1, 20}
		w.network.Wanted = append(w.network.Wanted, server)
		w.network.Ports[1].MTU = 1400
		w.publish()
		w.settle()
		if got := w.verdictsSince(); got != tt.want {
			t.Errorf("%s: verdicts %s, want %s", tt.name, got, tt.want)
		}
		if n := len(w.frames()); n != tt.sent {
			t.Errorf("%s: sent %d frames, want %d", tt.name, n, tt.sent)
		}
		w.conserved(tt.name)
	}
}

// TestClientOnLink answers a client that nobody has asked for yet.
func TestClientOnLink(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.inject("tcp 192.0.2.77:4711 > 203.0.113.80:443 S ttl 64 seq 1000")
	w.settle()
	local, _, _ := strings.Cut(strings.TrimPrefix(w.sent(), "tcp "), " ")
	w.inject("eth1 tcp 10.0.0.11:8443 > " + local + " SA ttl 64 seq 5000 ack 1001")
	w.settle()
	w.expect("asked for", "", "forwarded parked")

	client := netip.MustParseAddr("192.0.2.77")
	w.network.Neighbors[0][client] = [6]byte{2, 0, 0, 0, 0, 77}
	w.network.Wanted = append(w.network.Wanted, client)
	w.publish()
	w.settle()
	w.expect("resolved", "tcp 203.0.113.80:443 > 192.0.2.77:4711 SA ttl 63 seq 5000 ack 1001", "forwarded")
	w.inject("eth1 tcp 10.0.0.11:8443 > " + local + " SA ttl 64 seq 5000 ack 1001")
	w.settle()
	w.expect("the next at once", "tcp 203.0.113.80:443 > 192.0.2.77:4711 SA ttl 63 seq 5000 ack 1001", "forwarded")
}
