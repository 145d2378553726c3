package schedule

import "slices"

// Flags of sh: with shFallback a client of an ineligible member falls to
// another instead of being refused; with shPort its port is hashed too.
const (
	shFallback = "sh-fallback"
	shPort     = "sh-port"
)

// newSH is source hashing: the client's hash picks one of 256 buckets, and each
// member has as many of those as its weight says, to within one. (IPVS deals
// them out in runs of the weight's length, which leaves nothing to the last
// members when weights are large.) When members change most clients move: mh is
// for those who mind.
func newSH(members []Member, flags []string, _ *State) Scheduler {
	order := ranked(members)
	weights := make([]int, len(order))
	for rank, i := range order {
		weights[rank] = members[i].Weight
	}
	s := newHashed(members, order, interleave(weights, buckets))
	s.fallback = slices.Contains(flags, shFallback)
	s.hash = byClient
	if slices.Contains(flags, shPort) {
		s.hash = byClientPort
	}
	return s
}
