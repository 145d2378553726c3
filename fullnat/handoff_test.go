package fullnat

import (
	"fmt"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// worker returns the number of the worker that owns a client's connection.
func (b *bench) worker(protocol uint8, client string, port uint16) int {
	return ownerOf(session.Slot(protocol, addr(client), port), len(b.workers))
}

// TestHandOver gives every packet to the wrong worker.
func TestHandOver(t *testing.T) {
	w := newTestWorkers(t, 2,
		"vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1",
		"udp 203.0.113.53:53 → 10.0.0.11:5353")
	wrong := 1 - w.worker(packet.TCP, "198.51.100.7", 4711)
	wrongUDP := 1 - w.worker(packet.UDP, "198.51.100.7", 4711)
	for _, r := range []struct {
		row
		at int
	}{
		{row{"SYN", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 S ttl 63 seq 1000", "forwarded handed_over"}, wrong},
		{row{"SYN-ACK", "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 SA ttl 64 seq 5000 ack 1001",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 SA ttl 63 seq 5000 ack 1001", "forwarded handed_over"}, wrong},
		{row{"a checksum still owed", "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1001 ack 5001 len 9 partial",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 PA ttl 63 seq 1001 ack 5001 len 9 partial", "forwarded handed_over"}, wrong},
		{row{"an error about it", "eth1 icmp 10.0.0.11 > 10.9.0.1 no-port ttl 64 ( tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1001 cut 8 )",
			"icmp 203.0.113.80 > 198.51.100.7 no-port ttl 63 ( tcp 198.51.100.7:4711 > 203.0.113.80:443 - ttl 63 seq 1001 cut 8 )", "forwarded handed_over"}, wrong},
		{row{"a datagram", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 9",
			"udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 len 9", "forwarded handed_over"}, wrongUDP},
		{row{"a stray packet is judged by its owner", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001", "forwarded handed_over"}, wrong},
		{row{"what nobody serves needs no owner", "tcp 198.51.100.7:4711 > 203.0.113.80:444 S ttl 64", "", "no_service"}, wrong},
		{row{"nor does what is not ours", "tcp 198.51.100.7:4711 > 203.0.113.99:444 S ttl 64", "", "not_ours"}, wrong},
	} {
		w.injectAt(r.at, r.in)
		w.settle()
		w.expect(r.name, r.out, r.want)
	}
	if n := w.workers[wrong].sessions.Count(); n != 0 && wrong == wrongUDP {
		t.Errorf("the wrong worker has %d sessions", n)
	}
}

// TestInboxFull hands over more than the owner takes.
func TestInboxFull(t *testing.T) {
	w := newTestWorkers(t, 2, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	owner := w.worker(packet.TCP, "198.51.100.7", 4711)
	for range maxLetters + 7 {
		w.injectAt(1-owner, "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64")
		w.workers[1-owner].turn(w.now)
	}
	if got, want := w.verdictsSince(), fmt.Sprintf("handed_over×%d hand_off×7", maxLetters); got != want {
		t.Errorf("verdicts %s, want %s", got, want)
	}
	w.settle()
	if got, want := w.verdictsSince(), fmt.Sprintf("forwarded×%d", maxLetters); got != want {
		t.Errorf("verdicts %s, want %s", got, want)
	}
	w.conserved("a full inbox")

	big := fmt.Sprintf("tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 len %d", 60000)
	n := maxLetterBytes / 60054
	for range n + 2 {
		w.injectAt(1-owner, big)
		w.workers[1-owner].turn(w.now)
	}
	if got, want := w.verdictsSince(), fmt.Sprintf("handed_over×%d hand_off×2", n); got != want {
		t.Errorf("verdicts %s, want %s", got, want)
	}
}

// TestEveryOwner opens connections of all slots, wherever their packets arrive.
func TestEveryOwner(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 5} {
		w := newTestWorkers(t, workers, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
		w.snapshot.Ports = [2]uint16{1024, 65535}
		w.publish()
		const n = 300
		for i := range n {
			w.injectAt(i%workers, fmt.Sprintf("tcp 198.51.100.7:%d > 203.0.113.80:443 S ttl 64", 1+i))
			w.settle()
		}
		for _, worker := range w.workers {
			worker.sessions.Each(0, 1<<30, func(s *session.Session) {
				slot := session.Slot(packet.TCP, s.Client, s.ClientPort)
				if uint8(s.LocalPort) != slot || ownerOf(slot, workers) != worker.id {
					t.Errorf("%d workers: slot %d has port %d at worker %d", workers, slot, s.LocalPort, worker.id)
				}
			})
		}
		if got := len(w.sessionsNow()); got != n {
			t.Errorf("%d workers: %d sessions, want %d", workers, got, n)
		}
	}
}
