package schedule

import "sync/atomic"

// rr gives every eligible member its turn, in the order they are listed,
// whatever their weights. Over all workers together n picks in a row hit n
// members once each.
type rr struct {
	turns  []uint16
	cursor *atomic.Uint64
}

func newRR(members []Member, _ []string, state *State) Scheduler {
	s := &rr{cursor: &state.cursor}
	for i := range members {
		if members[i].eligible() {
			s.turns = append(s.turns, uint16(i))
		}
	}
	return s
}

// Pick takes the next turn. One atomic add is all the workers share.
func (s *rr) Pick(*Key) int {
	if len(s.turns) == 0 {
		return -1
	}
	turn := s.cursor.Add(1) - 1
	return int(s.turns[turn%uint64(len(s.turns))])
}
