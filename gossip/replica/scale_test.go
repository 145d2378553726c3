package replica

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// However many directors there are, replicating a session costs two copies. In a
// large fleet fewer records share a datagram, for none waits longer than in a small
// one: what a copy costs follows from how many do, and has a bound.
func TestScale(t *testing.T) {
	sizes, tolerance := []int{2, 3, 4, 8, 16, 32, 64}, 0.05
	if testing.Short() {
		// With the race detector: it shuffles what happens at one instant, so that
		// a sender more often finds a record too late for the datagram before.
		sizes, tolerance = []int{3, 16}, 0.12
	}
	for _, n := range sizes {
		t.Run(fmt.Sprintf("%d directors", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, 1, n, 0)
				defer s.end()
				s.run(5 * time.Second)
				records := s.records()
				_, before := s.traffic()
				s.run(time.Second)
				_, bytes := s.traffic()
				idle := bytes - before

				const rate, span = 2000, 200 * time.Millisecond // new sessions of each director a second
				opened := 0
				for range int(span / (5 * time.Millisecond)) {
					for _, d := range s.all {
						for range rate / 200 {
							if d.open(client(opened)) != 0 {
								opened++
							}
						}
					}
					time.Sleep(5 * time.Millisecond)
				}
				time.Sleep(100 * time.Millisecond)
				_, after := s.traffic()
				told := float64(after-bytes) / float64(opened)
				copies := float64(s.records()-records) / float64(opened)
				t.Logf("%d sessions: %.0f bytes for each to be told, %.2f copies; %d bytes a second and director while idle", opened, told, copies, idle/n)
				want := float64(min(2, n-1))
				if math.Abs(copies-want) > 0.02 {
					t.Errorf("%.2f copies of each session, want %.0f", copies, want)
				}
				if model := want * copyCost(want*rate/200/float64(n-1)); math.Abs(told/model-1) > tolerance {
					t.Errorf("%.0f bytes a session, want %.0f", told, model)
				}
				if err := s.agree(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// copyCost is how many bytes one copy of a session takes where so many records are
// for one director on average when datagrams leave: its record, and its share of
// the datagram and of the acknowledgement. Page e2e/bench/performance.md reckons with it.
func copyCost(records float64) float64 {
	const record, datagram = 43.4, 50.8
	return record + datagram*(1-math.Exp(-records))/records
}

// records is how many records all directors have applied.
func (s *site) records() (n uint64) {
	for _, d := range s.all {
		n += d.e.Stats().Applied
	}
	return n
}
