package schedule

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
	for i := range s.pool {
		if c := &s.pool[(start+i)%len(s.pool)]; c.load.Active() == 0 {
			return c.member
		}
	}
	return s.pool[s.from(start)].member
}
