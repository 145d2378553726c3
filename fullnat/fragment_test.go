package fullnat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestFragments(t *testing.T) {
	services := []string{
		"udp 203.0.113.53:53 → 10.0.0.11:5353 via 10.9.0.1",
		"udp [2001:db8::53]:53 → [fd00::11]:5353 via 2001:db8:9::1",
	}
	const (
		first  = "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 7 of 3000 len 1472"
		second = "frag 198.51.100.7 > 203.0.113.53 ttl 64 id 7 off 1480 more len 1480"
		third  = "frag 198.51.100.7 > 203.0.113.53 ttl 64 id 7 off 2960 len 48"

		outFirst  = "udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 id 7 of 3000 len 1472"
		outSecond = "frag 10.9.0.1 > 10.0.0.11 ttl 63 id 7 off 1480 more len 1480"
		outThird  = "frag 10.9.0.1 > 10.0.0.11 ttl 63 id 7 off 2960 len 48"
	)
	t.Run("in order", func(t *testing.T) {
		newTestWorker(t, services...).converse([]row{
			{"first", first, outFirst, "forwarded"},
			{"second", second, outSecond, "forwarded"},
			{"third", third, outThird, "forwarded"},
		})
	})
	t.Run("backwards", func(t *testing.T) {
		newTestWorker(t, services...).converse([]row{
			{"third", third, "", "parked"},
			{"second", second, "", "parked"},
			{"first", first, lines(outFirst, outThird, outSecond), "forwarded×3"},
			{"third again", third, outThird, "forwarded"},
		})
	})
	t.Run("in one batch", func(t *testing.T) {
		newTestWorker(t, services...).converse([]row{
			{"all", lines(second, first, third), lines(outFirst, outThird, outSecond), "forwarded×3 parked"},
		})
	})
	t.Run("from the server", func(t *testing.T) {
		newTestWorker(t, services...).converse([]row{
			{"question", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 33", "udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 len 33", "forwarded"},
			{"later half of the answer", "eth1 frag 10.0.0.11 > 10.9.0.1 ttl 64 id 9 off 1480 len 500", "", "parked"},
			{"first half", "eth1 udp 10.0.0.11:5353 > 10.9.0.1:5238 ttl 64 id 9 of 1972 len 1472",
				lines("udp 203.0.113.53:53 > 198.51.100.7:4711 ttl 63 id 9 of 1972 len 1472",
					"frag 203.0.113.53 > 198.51.100.7 ttl 63 id 9 off 1480 len 500"), "forwarded×2"},
		})
	})
	t.Run("IPv6", func(t *testing.T) {
		newTestWorker(t, services...).converse([]row{
			{"later", "frag 2001:db8:7::7 > 2001:db8::53 ttl 64 id 70000 off 1240 len 500", "", "parked"},
			{"first", "udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 id 70000 of 1732 len 1232",
				lines("udp [2001:db8:9::1]:5257 > [fd00::11]:5353 ttl 63 id 70000 of 1732 len 1232",
					"frag 2001:db8:9::1 > fd00::11 ttl 63 id 70000 off 1240 len 500"), "forwarded×2"},
		})
	})
	t.Run("without a checksum", func(t *testing.T) {
		newTestWorker(t, services...).converse([]row{
			{"first", first + " no-sum", outFirst + " no-sum", "forwarded"},
		})
	})
	t.Run("the first is lost", func(t *testing.T) {
		w := newTestWorker(t, services...)
		w.converse([]row{{"second and third", lines(second, third), "", "parked×2"}})
		w.pass(time.Duration(fragmentTimeout) * tickLength)
		w.expect("five seconds later", "", "fragment_lost×2")
		w.converse([]row{{"a late first is the first of nothing", first, outFirst, "forwarded"}})
	})
	t.Run("what cannot be carried", func(t *testing.T) {
		newTestWorker(t, append(services, "vip 203.0.113.54:53 → !10.0.0.11:53")...).converse([]row{
			{"no service", "udp 198.51.100.7:4711 > 203.0.113.53:54 ttl 64 id 7 of 3000 len 1472", "", "no_service"},
			{"nor for the rest", second, "", "no_session"},
			{"another protocol", "frag 198.51.100.7 > 203.0.113.53 proto 1 ttl 64 id 8 off 1480 len 48", "", "protocol"},
			{"for somebody else", "frag 198.51.100.7 > 203.0.113.99 ttl 64 id 9 off 1480 len 48", "", "not_ours"},
			{"of TCP, whose ports it hides", "frag 198.51.100.7 > 203.0.113.53 proto 6 ttl 64 id 10 off 8 len 48", "", "bad_fragment"},
			{"a ping in pieces", "frag 198.51.100.7 > 203.0.113.53 proto 1 ttl 64 id 11 more len 48", "", "protocol"},
		})
	})
}

// TestFragmentLimits holds no more than it promises, whoever sends.
func TestFragmentLimits(t *testing.T) {
	later := func(id, off int) string {
		return fmt.Sprintf("frag 198.51.100.7 > 203.0.113.53 ttl 64 id %d off %d more len 8", id, off)
	}
	t.Run("of one datagram", func(t *testing.T) {
		w := newTestWorker(t, "udp 203.0.113.53:53 → 10.0.0.11:5353 via 10.9.0.1")
		for i := range maxEarly + 5 {
			w.inject(later(7, 8+8*i))
		}
		w.settle()
		w.expect("too many", "", fmt.Sprintf("parked×%d fragment_limit×5", maxEarly))
	})
	t.Run("of all", func(t *testing.T) {
		w := newTestWorker(t, "udp 203.0.113.53:53 → 10.0.0.11:5353 via 10.9.0.1")
		for id := range maxHeld + 50 {
			w.inject(later(1+id, 8))
			w.settle()
		}
		if held := w.queues[0].Held(); held > maxHeld || held != w.workers[0].fragments.held {
			t.Errorf("holds %d frames, at most %d allowed", held, maxHeld)
		}
		got := w.verdictsSince()
		if !strings.HasPrefix(got, fmt.Sprintf("parked×%d ", maxHeld+50)) {
			t.Errorf("verdicts %s", got)
		}
		w.conserved("a flood of fragments")
		w.pass(time.Duration(fragmentTimeout) * tickLength)
		if held := w.queues[0].Held(); held != 0 {
			t.Errorf("after the timeout holds %d frames", held)
		}
	})
}

// TestFragmentsOfManyDatagrams gives the fragments of a hundred datagrams to
// three workers in any way the kernel likes. All arrive, and all of a datagram
// after its first.
func TestFragmentsOfManyDatagrams(t *testing.T) {
	w := newTestWorkers(t, 3, "udp 203.0.113.53:53 → 10.0.0.11:5353 via 10.9.0.1")
	w.snapshot.Ports = [2]uint16{1024, 65535}
	w.publish()
	const datagrams = 100
	for id := 1; id <= datagrams; id++ {
		pieces := []string{
			fmt.Sprintf("udp 198.51.100.7:%d > 203.0.113.53:53 ttl 64 id %d of 40 len 8", 4000+id, id),
			fmt.Sprintf("frag 198.51.100.7 > 203.0.113.53 ttl 64 id %d off 16 more len 16", id),
			fmt.Sprintf("frag 198.51.100.7 > 203.0.113.53 ttl 64 id %d off 32 len 16", id),
		}
		for i := range pieces {
			w.injectAt((id+i*id/3)%3, pieces[(i+id)%3])
			if id%2 == 0 {
				w.settle()
			}
		}
		if id%10 == 0 {
			w.settle()
		}
	}
	w.settle()
	sent := map[string]int{}
	for line := range strings.SplitSeq(w.sent(), "\n") {
		f := strings.Fields(line)
		id := f[7]
		if f[0] == "frag" && sent[id] == 0 {
			t.Errorf("before the first: %s", line)
		}
		sent[id]++
	}
	for id, n := range sent {
		if n != 3 {
			t.Errorf("%d fragments of datagram %s", n, id)
		}
	}
	if len(sent) != datagrams {
		t.Errorf("%d datagrams of %d", len(sent), datagrams)
	}
	w.conserved("many datagrams")
}
