package schedule

// newWLC is weighted least-connection: the fewest sessions for its weight, an
// active one counting as much as 256 inactive ones.
func newWLC(members []Member, _ []string, state *State) Scheduler {
	return weightedLeast(members, state)
}

func weightedLeast(members []Member, state *State) *least {
	return &least{perActive: isActive, perInactive: 1, pool: candidates(members), cursor: &state.cursor}
}
