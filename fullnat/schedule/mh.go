package schedule

import "slices"

// Flags of mh: with mhFallback a client of an ineligible member falls to
// another instead of being refused; with mhPort its port is hashed too.
const (
	mhFallback = "mh-fallback"
	mhPort     = "mh-port"
)

// newMH is Maglev hashing: the client's hash picks one of 65537 entries of a
// table in which each member has its weight's share and which changes little
// when a member comes or goes. The table of the former scheduler is used again
// when names and weights are the same, whatever became of their eligibility.
func newMH(members []Member, flags []string, state *State) Scheduler {
	order := ranked(members)
	names, weights := make([]string, len(order)), make([]int, len(order))
	for rank, i := range order {
		names[rank], weights[rank] = members[i].Name, members[i].Weight
	}
	weights, _ = reduce(weights, maglevSize)
	if m := state.maglev; m == nil || !slices.Equal(m.names, names) || !slices.Equal(m.weights, weights) {
		state.maglev = newMaglev(names, weights)
	}
	s := newHashed(members, order, state.maglev.table)
	s.fallback = slices.Contains(flags, mhFallback)
	s.hash = byClient
	if slices.Contains(flags, mhPort) {
		s.hash = byClientPort
	}
	return s
}
