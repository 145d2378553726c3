package schedule

// newDH is destination hashing: the VIP's hash picks one of 256 buckets, and
// those go round the members in turn. A connection to a member that is not
// eligible is refused.
func newDH(members []Member, _ []string, _ *State) Scheduler {
	order := ranked(members)
	equal := make([]int, len(order))
	for i := range equal {
		equal[i] = 1
	}
	s := newHashed(members, order, interleave(equal, buckets))
	s.hash = byDestination
	return s
}
