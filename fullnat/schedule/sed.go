package schedule

// newSED is shortest expected delay: the least (active + 1) / weight, which is
// how long the new session would wait were it served in turn. Unlike wlc it
// leaves a slow server idle while a fast one has little to do.
func newSED(members []Member, _ []string, state *State) Scheduler {
	return shortestDelay(members, state)
}

func shortestDelay(members []Member, state *State) *least {
	return &least{perActive: 1, extra: 1, pool: candidates(members), cursor: &state.cursor}
}
