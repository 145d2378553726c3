package schedule

// newLC is least-connection: the fewest sessions, an active one counting as
// much as 256 inactive ones. Weights do not matter.
func newLC(members []Member, _ []string, state *State) Scheduler {
	s := weightedLeast(members, state)
	for i := range s.pool {
		s.pool[i].weight = 1
	}
	return s
}
