package schedule

import "slices"

// ovf is overflow: the member of the highest weight whose active sessions do
// not exceed its weight, the first listed of equals. When all exceed theirs the
// connection is refused.
type ovf struct{ pool []candidate } // heaviest first

func newOVF(members []Member, _ []string, _ *State) Scheduler {
	pool := candidates(members)
	slices.SortStableFunc(pool, func(a, b candidate) int { return int(b.weight) - int(a.weight) })
	return &ovf{pool}
}

func (s *ovf) Pick(*Key) int {
	for i := range s.pool {
		if c := &s.pool[i]; uint64(c.load.Active()) <= c.weight {
			return c.member
		}
	}
	return -1
}
