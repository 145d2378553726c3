package schedule

// ovf is overflow: the member of the highest weight whose active sessions do
// not exceed its weight, the first listed of equals. When all exceed theirs the
// connection is refused.
type ovf struct{ pool []candidate } // heaviest first

func newOVF(members []Member, _ []string, _ *State) Scheduler {
	return &ovf{heaviest(members)}
}

func (s *ovf) Pick(*Key) int {
	for i := range s.pool {
		if c := &s.pool[i]; c.load.reckon().active <= c.weight && !c.full() {
			return c.member
		}
	}
	return -1
}
