package fullnat

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A wire joins the planes of directors that run: what one says the others hear at
// once, on goroutines of their own.
type wire struct {
	self   session.Owner
	plane  *Plane
	others []*Plane
	said   chan func()
}

func (w *wire) later(do func()) {
	select {
	case w.said <- do:
	default: // lost
	}
}

func (w *wire) Tell(_ int, records []session.Record) {
	own := append([]session.Record(nil), records...)
	w.later(func() {
		for _, p := range w.others {
			p.Apply(w.self, false, own)
		}
	})
}

func (w *wire) Ask(_ int, tuples []packet.Tuple) {
	own := append([]packet.Tuple(nil), tuples...)
	w.later(func() {
		for _, p := range w.others {
			p.Lookup(own, func(records []session.Record) {
				for j := range own {
					var found *session.Record
					for k := range records {
						if records[k].Face(session.Inbound) == own[j] || records[k].Face(session.Outbound) == own[j] {
							found = &records[k]
						}
					}
					w.plane.Found(own[j], found)
				}
			})
		}
	})
}

func (w *wire) Differs(session.NodeID, uint8) {}

// TestRunFleet lets directors run, and speak, while everything else happens: for
// the race detector.
func TestRunFleet(t *testing.T) {
	const n = 3
	var benches []*bench
	var owners []session.Owner
	var wires []*wire
	for i := range n {
		owners = append(owners, session.Owner{ID: session.NodeIDOf(fmt.Sprintf("lb%d", i+1)), Epoch: 1_763_000_000e9})
	}
	ctx, end := context.WithCancel(t.Context())
	var running, busy sync.WaitGroup
	for i := range n {
		b := newTestWorkers(t, 2, talkServices...)
		w := &wire{self: owners[i], said: make(chan func(), 64)}
		wires = append(wires, w)
		b.Plane = New(testPorts{b}, Options{Sessions: 400, Replicas: 400, Peers: w, Want: func(packet.Addr) {}})
		w.plane = b.Plane
		b.snapshot.Ports = [2]uint16{1024, 65535}
		b.snapshot.Locals = blocksOf(i)
		benches = append(benches, b)
	}
	publish := func(i, round int) {
		f := &Fleet{Self: owners[i], Leaving: round%5 == 4}
		for j := range n {
			if j != i {
				f.Members = append(f.Members, Member{ID: owners[j].ID, Blocks: blocksOf(j), Alive: true})
			}
		}
		for slot := range f.Keeps {
			f.Keeps[slot] = (slot+i+round)%3 != 0
		}
		benches[i].snapshot.Fleet = f
		benches[i].publish()
	}
	for i := range n {
		for j := range n {
			if i != j {
				wires[i].others = append(wires[i].others, benches[j].Plane)
			}
		}
		publish(i, 0)
	}
	for i := range n {
		running.Go(func() { benches[i].Plane.Run(ctx) })
		running.Go(func() {
			for {
				select {
				case do := <-wires[i].said:
					do()
				case <-ctx.Done():
					return
				}
			}
		})
	}

	enough := make(chan struct{})
	busily := func(do func(i int)) {
		busy.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-enough:
					return
				default:
					do(i)
				}
			}
		})
	}
	for i, b := range benches {
		for id, q := range b.queues {
			frames := traffic(t, id)
			busily(func(i int) {
				for range 32 {
					q.InjectFrame(frames[i%len(frames)])
				}
				time.Sleep(100 * time.Microsecond)
				q.Sent()
			})
		}
		busily(func(round int) {
			publish(i, round)
			time.Sleep(5 * time.Millisecond)
		})
		busily(func(int) {
			var q session.Query
			for slot := range q.Slots {
				q.Slots[slot] = true
			}
			for records, err := range b.Export(ctx, q) {
				if err != nil {
					t.Errorf("export: %v", err)
					return
				}
				benches[(i+1)%n].Apply(owners[i], true, records)
			}
			if _, err := b.Digests(ctx); err != nil {
				t.Errorf("digests: %v", err)
			}
		})
	}
	// Until every director has told and believed something, and one has asked: who
	// was told everything in time has nothing to ask.
	least, most := time.Now().Add(300*time.Millisecond), time.Now().Add(time.Minute)
	settled := func() bool {
		yes, asked := true, uint64(0)
		for i, b := range benches {
			c, err := b.Counters(ctx)
			if err != nil || c.Verdicts[DropDefect] != 0 || time.Now().After(most) {
				t.Errorf("lb%d: %+v, %v", i+1, c, err)
				return true
			}
			asked += c.Fleet.Asked
			yes = yes && c.Fleet.Told > 0 && c.Fleet.Applied > 0
		}
		return yes && asked > 0
	}
	for !settled() || time.Now().Before(least) {
		time.Sleep(10 * time.Millisecond)
	}
	close(enough)
	busy.Wait()
	end()
	running.Wait()
}
