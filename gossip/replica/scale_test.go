package replica

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// However many directors there are, replicating a session costs each of them two
// copies. In a large fleet fewer records share a datagram, for none waits longer
// than in a small one; a record that travels alone costs no more than twice as
// much.
func TestScale(t *testing.T) {
	sizes := []int{3, 9, 64}
	if testing.Short() {
		sizes = []int{3, 16}
	}
	var first float64
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
				if math.Abs(copies-2) > 0.02 {
					t.Errorf("%.2f copies of each session, want 2", copies)
				}
				if first == 0 {
					first = told
				}
				if told > 2*first {
					t.Errorf("%.0f bytes a session, with %d directors %.0f", told, sizes[0], first)
				}
				if err := s.agree(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// records is how many records all directors have applied.
func (s *site) records() (n uint64) {
	for _, d := range s.all {
		n += d.e.Stats().Applied
	}
	return n
}
