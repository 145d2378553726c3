package fullnat

import (
	"fmt"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A server at its upper threshold gets nothing new until it has few sessions
// again, and what it has goes on.
func TestThresholds(t *testing.T) {
	const service = "vip 203.0.113.80:443 → 10.0.0.11:8443,u2,l1 10.0.0.12:8443,u1 via 10.9.0.1"
	w := newTestWorker(t, service)
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	w.establish("198.51.100.8:4711", "10.9.0.1:5270", "10.0.0.12:8443")
	w.converse([]row{
		{"the second server is full, and loses its turn", "tcp 198.51.100.9:4711 > 203.0.113.80:443 S ttl 64",
			fmt.Sprintf("tcp 10.9.0.1:%d > 10.0.0.11:8443 S ttl 63", localPort("198.51.100.9", 4711)), "forwarded"},
		{"both are full", "tcp 198.51.100.10:4711 > 203.0.113.80:443 S ttl 64 seq 1",
			"tcp 203.0.113.80:443 > 198.51.100.10:4711 RA ttl 64 df ack 2", "rejected overloaded"},
		{"what they have goes on", "tcp 198.51.100.8:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001",
			"tcp 10.9.0.1:5270 > 10.0.0.12:8443 A ttl 63 seq 1001 ack 5001", "forwarded"},
	})
	e, err := w.Explain(t.Context(), packet.Tuple{Protocol: packet.TCP, Src: addr("198.51.100.10"), SrcPort: 4711, Dst: addr("203.0.113.80"), DstPort: 443})
	if err != nil || e.Verdict != DropOverloaded {
		t.Errorf("explained as %v: %q, %v", e.Verdict.Name(), e.Why, err)
	}
	w.converse([]row{
		{"one of two ends: not yet below lower", "tcp 198.51.100.7:4711 > 203.0.113.80:443 R ttl 64 seq 1001",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 R ttl 63 seq 1001", "forwarded"},
	})
	w.pass(11e9) // and is forgotten
	w.converse([]row{{"still", "tcp 198.51.100.10:4711 > 203.0.113.80:443 S ttl 64 seq 1",
		"tcp 203.0.113.80:443 > 198.51.100.10:4711 RA ttl 64 df ack 2", "rejected overloaded"}})
	w.converse([]row{
		{"the other one ends", "tcp 198.51.100.8:4711 > 203.0.113.80:443 R ttl 64 seq 1001",
			"tcp 10.9.0.1:5270 > 10.0.0.12:8443 R ttl 63 seq 1001", "forwarded"},
	})
	w.pass(11e9)
	w.converse([]row{{"there is room", "tcp 198.51.100.10:4711 > 203.0.113.80:443 S ttl 64 seq 1",
		fmt.Sprintf("tcp 10.9.0.1:%d > 10.0.0.12:8443 S ttl 63 seq 1", localPort("198.51.100.10", 4711)), "forwarded"}})
	w.services("vip 203.0.113.80:443 → 10.0.0.11:8443,u9 10.0.0.12:8443,u9")
	w.settle()
	if s := w.snapshot.Services.Services[0]; s.Servers[0].Full() || s.Servers[1].Full() {
		t.Error("new thresholds, and still full")
	}
}

// A server that was full for a moment when nobody asked stays so until it is
// below lower.
func TestThresholdUnseen(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443,u2,l1 via 10.9.0.1")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	w.establish("198.51.100.8:4711", "10.9.0.1:5270", "10.0.0.11:8443")
	w.converse([]row{{"one of two ends", "tcp 198.51.100.7:4711 > 203.0.113.80:443 R ttl 64 seq 1001",
		"tcp 10.9.0.1:5235 > 10.0.0.11:8443 R ttl 63 seq 1001", "forwarded"}})
	w.pass(11e9)
	w.converse([]row{{"one is not fewer than one", "tcp 198.51.100.10:4711 > 203.0.113.80:443 S ttl 64 seq 1",
		"tcp 203.0.113.80:443 > 198.51.100.10:4711 RA ttl 64 df ack 2", "rejected overloaded"}})
}

// localPort is the port the bench has for a client's slot.
func localPort(client string, port uint16) int {
	return 5120 + int(session.Slot(packet.TCP, addr(client), port))
}
