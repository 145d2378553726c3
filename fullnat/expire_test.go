package fullnat

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestIdle(t *testing.T) {
	const vip = "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1"
	t.Run("both ends are told, with the numbers they expect", func(t *testing.T) {
		w := newTestWorker(t, vip)
		w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
		w.converse([]row{
			{"data", "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1001 ack 5001 len 99", "tcp 10.9.0.1:5235 > 10.0.0.11:8443 PA ttl 63 seq 1001 ack 5001 len 99", "forwarded"},
			{"answer", "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 PA ttl 64 seq 5001 ack 1100 len 500", "tcp 203.0.113.80:443 > 198.51.100.7:4711 PA ttl 63 seq 5001 ack 1100 len 500", "forwarded"},
			{"thanks", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1100 ack 5501", "tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1100 ack 5501", "forwarded"},
		})
		w.pass(15*time.Minute - tickLength)
		w.expect("until a quarter of an hour is over", "", "")
		w.pass(2 * tickLength)
		w.expect("then", lines(
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 RA ttl 64 df seq 1100 ack 5501",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df seq 5501 ack 1100"), "originated×2")
		if s := w.sessionsNow(); len(s) != 0 {
			t.Errorf("sessions %v", s)
		}
		w.books()
	})
	t.Run("nobody is told where the service does not want it", func(t *testing.T) {
		w := newTestWorker(t, vip+" silent")
		w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
		w.pass(15*time.Minute + tickLength)
		w.expect("expired", "", "")
		if s := w.sessionsNow(); len(s) != 0 {
			t.Errorf("sessions %v", s)
		}
	})
	t.Run("use counts", func(t *testing.T) {
		w := newTestWorker(t, vip)
		w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
		for range 3 {
			w.pass(14 * time.Minute)
			w.inject("tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001")
			w.settle()
			w.expect("once in a while", "tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001", "forwarded")
		}
	})
	t.Run("half-open ones and UDP go silently", func(t *testing.T) {
		w := newTestWorker(t, vip, "udp 203.0.113.53:53 → 10.0.0.11:5353")
		w.inject("tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64")
		w.settle()
		w.sent()
		w.verdictsSince()
		w.pass(time.Minute + tickLength)
		w.expect("a minute later", "", "")
		if got := w.sessionsNow(); !slices.Equal(got, []string{"198.51.100.7:4711 one_way"}) {
			t.Errorf("sessions %v", got)
		}
		w.pass(4 * time.Minute)
		w.expect("five minutes later", "", "")
		if got := w.sessionsNow(); len(got) != 0 {
			t.Errorf("sessions %v", got)
		}
	})
}

func TestDeadServer(t *testing.T) {
	const (
		up   = "vip 203.0.113.80:443 → 10.0.0.11:8443 10.0.0.12:8443 via 10.9.0.1"
		down = "vip 203.0.113.80:443 → !10.0.0.11:8443 10.0.0.12:8443 via 10.9.0.1"
	)
	t.Run("both ends are told, the client again when it speaks", func(t *testing.T) {
		w := newTestWorker(t, up)
		w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
		w.establish("198.51.100.8:4711", "10.9.0.1:5270", "10.0.0.12:8443")
		w.services(down)
		w.settle()
		w.expect("down", lines(
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 RA ttl 64 df seq 1001 ack 5001",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df seq 5001 ack 1001"), "originated×2")
		w.converse([]row{
			{"a client that had received more does not believe it, and is told exactly",
				"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 6461",
				"tcp 203.0.113.80:443 > 198.51.100.7:4711 R ttl 64 df seq 6461", "rejected dead_server"},
			{"its own reset is not answered",
				"tcp 198.51.100.7:4711 > 203.0.113.80:443 R ttl 64 seq 1001", "", "dead_server"},
			{"it connects anew from the same port",
				"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 9000",
				"tcp 10.9.0.1:5235 > 10.0.0.12:8443 S ttl 63 seq 9000", "forwarded"},
			{"the other server's session does not notice",
				"tcp 198.51.100.8:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001",
				"tcp 10.9.0.1:5270 > 10.0.0.12:8443 A ttl 63 seq 1001 ack 5001", "forwarded"},
		})
		w.services(up)
		w.settle()
		w.expect("up again", "", "")
		w.books()
	})
	t.Run("a half-open one moves to a living server", func(t *testing.T) {
		w := newTestWorker(t, up)
		w.converse([]row{{"SYN", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000", "tcp 10.9.0.1:5235 > 10.0.0.11:8443 S ttl 63 seq 1000", "forwarded"}})
		w.services(down)
		w.settle()
		w.expect("the server never answered: the client has nothing to lose", "tcp 10.9.0.1:5235 > 10.0.0.11:8443 R ttl 64 df seq 1001", "originated")
		w.converse([]row{{"SYN again", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000", "tcp 10.9.0.1:5235 > 10.0.0.12:8443 S ttl 63 seq 1000", "forwarded"}})
	})
	t.Run("UDP moves at once", func(t *testing.T) {
		w := newTestWorker(t, "udp 203.0.113.53:53 → 10.0.0.11:5353 10.0.0.12:5353 via 10.9.0.1")
		w.converse([]row{{"one", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64", "udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63", "forwarded"}})
		w.services("udp 203.0.113.53:53 → !10.0.0.11:5353 10.0.0.12:5353")
		w.converse([]row{{"the other", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64", "udp 10.9.0.1:5238 > 10.0.0.12:5353 ttl 63", "forwarded"}})
		w.books()
	})
	t.Run("UDP that is silent ends too", func(t *testing.T) {
		w := newTestWorker(t, "udp 203.0.113.53:53 → 10.0.0.11:5353 via 10.9.0.1")
		w.converse([]row{{"one", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64", "udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63", "forwarded"}})
		w.services("udp 203.0.113.53:53 → !10.0.0.11:5353")
		w.settle()
		w.expect("down", "", "")
		if got := w.sessionsNow(); len(got) != 0 {
			t.Errorf("sessions %v", got)
		}
		w.books()
	})
	t.Run("its station does not answer either", func(t *testing.T) {
		w := newTestWorker(t, up)
		w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
		delete(w.network.Neighbors[1], netip.MustParseAddr("10.0.0.11"))
		w.services(down)
		w.settle()
		w.expect("down", "tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df seq 5001 ack 1001", "originated parked")
		w.pass(time.Second)
		w.expect("a second later", "", "no_neighbor")
	})
	t.Run("there is no way to it", func(t *testing.T) {
		w := newTestWorker(t, up)
		w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
		w.network.Routes = append(w.network.Routes, nowhere("10.0.0.11/32"))
		w.services(down)
		w.settle()
		w.expect("down", "tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df seq 5001 ack 1001", "originated no_route")
	})
	t.Run("kept where the service wants it", func(t *testing.T) {
		w := newTestWorker(t, up+" keep")
		w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
		w.services(down + " keep")
		w.settle()
		w.expect("down", "", "")
		w.converse([]row{
			{"it may be the check that is wrong",
				"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001",
				"tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001", "forwarded"},
			{"new ones go elsewhere",
				"tcp 198.51.100.8:4711 > 203.0.113.80:443 S ttl 64",
				"tcp 10.9.0.1:5270 > 10.0.0.12:8443 S ttl 63", "forwarded"},
		})
	})
	t.Run("thousands", func(t *testing.T) {
		const n = 5000
		w := newBench(t, 1, 2*n, up)
		w.snapshot.Ports = [2]uint16{1024, 65535}
		w.publish()
		for i := range n {
			w.inject(fmt.Sprintf("udp 198.51.100.7:%d > 203.0.113.80:443 ttl 64", 1+i), // not served: to be counted apart
				fmt.Sprintf("tcp 198.51.100.7:%d > 203.0.113.80:443 S ttl 64", 1+i))
			w.settle()
		}
		w.frames()
		w.verdictsSince()
		w.services("vip 203.0.113.80:443 → !10.0.0.11:8443 !10.0.0.12:8443")
		turns := 0
		for w.workers[0].turn(w.now); w.workers[0].busy(w.now); w.workers[0].turn(w.now) {
			turns++
		}
		if got, want := w.verdictsSince(), fmt.Sprintf("originated×%d", n); got != want {
			t.Errorf("verdicts %s, want %s", got, want)
		}
		if turns < n/walkChunk-1 {
			t.Errorf("done in %d turns: packets must not wait so long", turns)
		}
		w.pass(11 * time.Second)
		if got := len(w.sessionsNow()); got != 0 {
			t.Errorf("%d sessions are left", got)
		}
		w.books()
	})
}
