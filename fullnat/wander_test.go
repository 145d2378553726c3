package fullnat

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A wanderer has connections go wherever it likes, while directors die, come back
// and change who keeps what. One seed is always the same story.
type wanderer struct {
	*rig
	*rand.Rand
	live  []*talk
	taken map[string]*talk // by local endpoint and server, of those that live
	ports int              // of clients, used so far
	turn  int              // who does not keep a slot
}

const wanderServices = "vip 203.0.113.80:443 → 10.0.0.11:8443 10.0.0.12:8443"

// somebody is a director that lives.
func (w *wanderer) somebody() int {
	for {
		if i := w.IntN(len(w.all)); !w.dead[i] {
			return i
		}
	}
}

// carry gives a packet to whoever, who sends it on as it must be: at once, or
// within a second, once others have said whose it is.
func (w *wanderer) carry(l leg) bool {
	w.Helper()
	b := w.all[l.at]
	b.inject(l.in)
	w.settle()
	got := b.sent()
	for range 10 {
		if got != "" {
			break
		}
		w.pass(tickLength)
		got = b.sent()
	}
	if got != l.out {
		w.Errorf("lb%d, %s:\ngot  %s\nsent %s\nwant %s\nverdicts %s", l.at+1, l.name, l.in, cmpLine(got), cmpLine(l.out), b.verdictsSince())
		return false
	}
	b.verdictsSince()
	return true
}

// open has a new client connect.
func (w *wanderer) open() bool {
	w.Helper()
	w.ports++
	k := &talk{protocol: "tcp", client: fmt.Sprintf("198.51.100.7:%d", 1000+w.ports%500), vip: "203.0.113.80:443"}
	for _, o := range w.live {
		if o.client == k.client {
			return true
		}
	}
	at := w.somebody()
	w.all[at].inject("tcp " + k.client + " > " + k.vip + " S ttl 64 seq 1000")
	w.settle()
	frames := w.all[at].frames()
	if len(frames) != 1 {
		w.Errorf("lb%d opens nothing for %s: %s", at+1, k.client, w.all[at].verdictsSince())
		return false
	}
	var p packet.Packet
	packet.Parse(frames[0].Bytes, false, &p)
	k.local, k.server = ends(p.Tuple.Src, p.Tuple.SrcPort).String(), ends(p.Tuple.Dst, p.Tuple.DstPort).String()
	if o := w.taken[k.local+k.server]; o != nil {
		w.Errorf("lb%d gives %s to %s, which %s has", at+1, k.local, k.client, o.client)
		return false
	}
	w.taken[k.local+k.server] = k
	w.live = append(w.live, k)
	if !w.carry(k.outbound("SYN-ACK", w.somebody(), "SA", "seq 5000 ack 1001")) {
		return false
	}
	w.pass(3 * tickLength) // a client is further away than directors are from each other
	return w.carry(k.inbound("ACK", w.somebody(), "A", "seq 1001 ack 5001"))
}

// talk has both ends of a connection say something.
func (w *wanderer) talk(k *talk) bool {
	return w.carry(k.inbound("data", w.somebody(), "PA", "seq 1001 ack 5001 len 9")) &&
		w.carry(k.outbound("data", w.somebody(), "PA", "seq 5001 ack 1010 len 9"))
}

// end has both ends say their last.
func (w *wanderer) end(i int) bool {
	k := w.live[i]
	w.live = append(w.live[:i], w.live[i+1:]...)
	delete(w.taken, k.local+k.server)
	if w.IntN(2) == 0 {
		return w.carry(k.inbound("FIN", w.somebody(), "FA", "seq 1001 ack 5001")) &&
			w.carry(k.outbound("FIN", w.somebody(), "FA", "seq 5001 ack 1002")) &&
			w.carry(k.inbound("ACK", w.somebody(), "A", "seq 1002 ack 5002"))
	}
	return w.carry(k.outbound("FIN", w.somebody(), "FA", "seq 5001 ack 1001")) &&
		w.carry(k.inbound("FIN", w.somebody(), "FA", "seq 1001 ack 5002")) &&
		w.carry(k.outbound("ACK", w.somebody(), "A", "seq 5002 ack 1002"))
}

// shift has others keep what is kept, and get it.
func (w *wanderer) shift() {
	w.turn = w.IntN(3)
	w.publish()
	for i := range w.all {
		if !w.dead[i] {
			w.sync(i)
		}
	}
}

// fate kills a director, or brings the dead one back.
func (w *wanderer) fate() {
	for i, dead := range w.dead {
		if dead {
			w.reboot(i, wanderServices)
			w.all[i].snapshot.Ports = [2]uint16{1024, 65535}
			w.sync(i)
			w.publish()
			w.settle()
			w.frames(i)
			w.shift() // what it is to keep of others
			return
		}
	}
	w.pass(time.Second) // all is told
	w.kill(w.IntN(len(w.all)))
}

func (w *wanderer) frames(i int) { w.all[i].frames() }

// TestWander: whatever happens, no connection breaks, no two have one local port,
// and in the end nothing is left.
func TestWander(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			w := &wanderer{rig: newRig(t, 3, wanderServices), Rand: rand.New(rand.NewPCG(seed, seed)), taken: map[string]*talk{}}
			for _, b := range w.all {
				b.snapshot.Ports = [2]uint16{1024, 65535}
			}
			w.keep = func(slot uint8, director int) bool { return (int(slot)+w.turn)%3 != director }
			w.publish()
			for step := range 400 {
				w.delay = session.Tick(w.IntN(3))
				ok := true
				switch n := w.IntN(100); {
				case n < 20 && len(w.live) < 40:
					ok = w.open()
				case n < 30 && len(w.live) > 0:
					ok = w.end(w.IntN(len(w.live)))
				case n < 33:
					w.fate()
				case n < 36:
					w.shift()
				case n < 40:
					w.pass(time.Duration(w.IntN(40)) * time.Second)
				case len(w.live) > 0:
					ok = w.talk(w.live[w.IntN(len(w.live))])
				}
				if !ok {
					t.Fatalf("step %d", step)
				}
			}
			for len(w.live) > 0 {
				if !w.talk(w.live[0]) || !w.end(0) {
					t.Fatal("at the end")
				}
			}
			// A copy that somebody no longer keeps may bring a session back that has
			// ended, though not for longer than it would be kept.
			w.pass(25 * time.Minute)
			for i := range w.all {
				if got := w.roles(i); !w.dead[i] && len(got) > 0 {
					t.Errorf("lb%d has %d sessions left: %v", i+1, len(got), got)
				}
			}
			for i := range w.all {
				if w.dead[i] {
					w.all[i].workers = nil
				}
			}
			w.free()
		})
	}
}
