package schedule

// fo is failover: every connection goes to the eligible member of the highest
// weight, the first listed of equals.
type fo int

func newFO(members []Member, _ []string, _ *State) Scheduler {
	best := -1
	for i := range members {
		if m := &members[i]; m.eligible() && (best < 0 || m.Weight > members[best].Weight) {
			best = i
		}
	}
	return fo(best)
}

func (s fo) Pick(*Key) int { return int(s) }
