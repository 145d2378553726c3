package schedule

import "math/rand/v2"

// nq is never queue: a server without an active session if there is one,
// however slow; else the shortest expected delay.
type nq struct{ *least }

func newNQ(members []Member, _ []string, state *State) Scheduler {
	return nq{shortestDelay(members, state)}
}

func (s nq) Pick(*Key) int {
	if len(s.pool) == 0 {
		return -1
	}
	start := s.start()
	idle, seen := -1, 0
	for i := range s.pool {
		at := (start + i) % len(s.pool)
		c := &s.pool[at]
		r := c.load.reckon()
		if r.active > 0 || c.full() {
			continue
		}
		if r.others == 0 {
			return c.member
		}
		if seen++; rand.IntN(seen) == 0 { // not the one that all directors see first
			idle = at
		}
	}
	if idle < 0 {
		idle = s.from(start)
	}
	return s.member(idle)
}
