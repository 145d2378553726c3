package replica

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"fleetlb/session"
)

func TestTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		a := f.directors[0]
		a.open(0, 1)
		eventually(t, 5*time.Millisecond, func() error { return f.whole(a) })

		a.open(1, 999)
		eventually(t, 20*time.Millisecond, func() error { return f.whole(a) })
		synctest.Wait()
		time.Sleep(50 * time.Millisecond)
		s := a.Stats()
		if s.AtRisk != 0 || s.Lag.Count() != 1000 || s.Peers[0].Unacked != 0 {
			t.Errorf("%d at risk, %d acknowledged, %d under way; want none, 1000, none", s.AtRisk, s.Lag.Count(), s.Peers[0].Unacked)
		}
		if l := s.Lag.Quantile(0.99); l > 10*time.Millisecond {
			t.Errorf("lag %v at p99", l)
		}

		a.end(0, 500)
		eventually(t, 20*time.Millisecond, func() error {
			if n := f.directors[1].count(1); n != 500 {
				return fmt.Errorf("a keeper has %d sessions, want 500", n)
			}
			return nil
		})
	})
}

// Records of a larger fleet go to as many directors as there shall be copies.
func TestToldToKeepers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 9)
		a := f.directors[3]
		a.open(0, 2000)
		time.Sleep(time.Second)
		if held := f.held(a); held[2] != 2000 {
			t.Errorf("sessions by number of copies: %v; want 2000 with 2", held)
		}
	})
}

func TestLoss(t *testing.T) {
	for _, tt := range []struct {
		loss, twice float64
		jitter      time.Duration
		fresh       time.Duration // no record is older than this where it is not applied
		converged   time.Duration // after the losses end
	}{
		{loss: 0.05, fresh: 100 * time.Millisecond, converged: time.Second},
		{loss: 0.05, twice: 0.05, jitter: 3 * time.Millisecond, fresh: 100 * time.Millisecond, converged: time.Second},
		{loss: 0.20, fresh: 300 * time.Millisecond, converged: time.Second},
		{loss: 0.50, fresh: 3 * time.Second, converged: 5 * time.Second},
		{loss: 0.50, twice: 0.5, jitter: 20 * time.Millisecond, fresh: 3 * time.Second, converged: 5 * time.Second},
		{loss: 0, twice: 0.3, jitter: 10 * time.Millisecond, fresh: 100 * time.Millisecond, converged: time.Second},
	} {
		if testing.Short() && tt.jitter == 0 {
			continue
		}
		t.Run(fmt.Sprintf("%v lost, %v twice, %v late", tt.loss, tt.twice, tt.jitter), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 3)
				f.set(func() { f.loss, f.twice, f.jitter = tt.loss, tt.twice, tt.jitter })
				a := f.directors[0]
				const rate = 100 // each 5 ms
				var counts []int // of sessions, each 5 ms
				for range 600 {
					a.open(len(counts)*rate, rate)
					counts = append(counts, (len(counts)+1)*rate)
					time.Sleep(5 * time.Millisecond)
					for _, keeper := range f.directors[1:] {
						old := len(counts) - int(tt.fresh/(5*time.Millisecond))
						if n := keeper.count(1); old >= 0 && n < counts[old] {
							t.Fatalf("%v after the start, a keeper has %d of the %d sessions that were there %v ago: %+v",
								time.Duration(len(counts))*5*time.Millisecond, n, counts[old], tt.fresh, a.Stats())
						}
					}
				}
				f.set(func() { f.loss, f.twice, f.jitter = 0, 0, 0 })
				eventually(t, tt.converged, func() error { return f.whole(a) })
			})
		})
	}
}

// Whatever happens to datagrams, records are applied once and in order.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		a, b := f.directors[0], f.directors[1]
		time.Sleep(time.Second) // what there was before has been pulled
		b.memory.noting = true
		f.set(func() { f.loss, f.twice, f.jitter = 0.3, 0.3, 10*time.Millisecond })
		var want []uint16
		for n := range 3000 {
			a.open(n, 1)
			want = append(want, record(a.memory.self, n).ClientPort)
			time.Sleep(100 * time.Microsecond)
		}
		eventually(t, 5*time.Second, func() error { return f.whole(a) })
		if !slices.Equal(b.order, want) {
			t.Error("records were applied in another order, or twice")
		}
	})
}

// A receiver without room slows the sender down, and nothing is lost.
func TestNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		a, b := f.directors[0], f.directors[1]
		room := func(is bool) {
			b.memory.mu.Lock()
			b.memory.noRoom = !is
			b.memory.mu.Unlock()
		}
		room(false)
		a.open(0, 1000)
		time.Sleep(time.Second)
		if s := a.Stats(); s.AtRisk != 1000 {
			t.Errorf("%d at risk, want all 1000: none has been applied", s.AtRisk)
		}
		if s := a.Stats(); s.Resent > 200 {
			t.Errorf("%d batches sent again to a peer that has them", s.Resent)
		}
		room(true)
		eventually(t, 100*time.Millisecond, func() error { return f.whole(a) })
	})
}

// What a queue has no room for is pulled when the peer is back.
func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		a, b := f.directors[0], f.directors[1]
		f.set(func() { f.cut = func(from, to session.NodeID) bool { return true } })
		for n := range 200 {
			a.open(n*1000, 1000)
			time.Sleep(time.Millisecond)
		}
		s := a.Stats()
		if s.Overflowed == 0 || s.Peers[0].Behind == 0 {
			t.Fatalf("200,000 sessions fit into a queue of %d batches", maxQueue)
		}
		if s.Peers[0].Unacked > maxQueue {
			t.Errorf("%d batches queued, more than %d", s.Peers[0].Unacked, maxQueue)
		}
		f.set(func() { f.cut = nil })
		eventually(t, 10*time.Second, func() error { return f.whole(a) })
		if b.Stats().Resynced == 0 {
			t.Error("nothing was pulled")
		}
	})
}

// At 20,000 new sessions a second a record is with its first keeper within a few
// milliseconds, on a clock that no other program disturbs.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := settled(t, 3)
		a := f.directors[0]
		for n := range 2000 {
			a.open(10*n, 10)
			time.Sleep(500 * time.Microsecond)
		}
		time.Sleep(100 * time.Millisecond)
		s := a.Stats()
		t.Logf("%v: p50 %v, p99 %v", s.Lag.Counts, s.Lag.Quantile(0.5), s.Lag.Quantile(0.99))
		if l := s.Lag.Quantile(0.99); l > 5*time.Millisecond || s.Resent > 0 {
			t.Errorf("lag %v at p99, %d batches sent again", l, s.Resent)
		}
	})
}
