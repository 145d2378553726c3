package schedule

import "slices"

// fo is failover: every connection goes to the eligible member of the highest
// weight, the first listed of equals; while that one is full, to the next.
type fo struct{ pool []candidate } // heaviest first

func newFO(members []Member, _ []string, _ *State) Scheduler { return &fo{heaviest(members)} }

// heaviest lists the eligible members, those of the highest weight first.
func heaviest(members []Member) []candidate {
	pool := candidates(members)
	slices.SortStableFunc(pool, func(a, b candidate) int { return int(b.weight) - int(a.weight) })
	return pool
}

func (s *fo) Pick(*Key) int {
	for i := range s.pool {
		if c := &s.pool[i]; !c.full() {
			return c.member
		}
	}
	return -1
}
