package schedule

import "sync/atomic"

// rr gives every eligible member its turn, in the order they are listed,
// whatever their weights. Over all workers together n picks in a row hit n
// members once each. Who is full loses the turn to whoever has the next one.
type rr struct {
	turns  []uint16 // positions in the pool
	pool   []candidate
	limits bool // some of them may be full
	cursor *atomic.Uint64
}

func newRR(members []Member, _ []string, state *State) Scheduler {
	s := inTurn(members, state)
	for at := range s.pool {
		s.turns = append(s.turns, uint16(at))
	}
	return s
}

// inTurn makes an rr without turns.
func inTurn(members []Member, state *State) *rr {
	return &rr{pool: candidates(members), limits: limits(members) != nil, cursor: &state.cursor}
}

// Pick takes the next turn. One atomic add is all the workers share.
func (s *rr) Pick(*Key) int {
	if len(s.turns) == 0 {
		return -1
	}
	c := s.next()
	if s.limits && c.full() {
		c = s.instead()
	}
	if c == nil {
		return -1
	}
	return c.member
}

func (s *rr) next() *candidate {
	turn := s.cursor.Add(1) - 1
	return &s.pool[s.turns[turn%uint64(len(s.turns))]]
}

// patience is how many turns may be lost one after the other before the members
// are looked at instead: of 16384 turns hardly any may be of those with room.
const patience = 64

// instead returns whoever gets the turn of one that is full; nil: nobody.
func (s *rr) instead() *candidate {
	for range min(len(s.turns), patience) {
		if c := s.next(); !c.full() {
			return c
		}
	}
	for i := range s.pool {
		if c := &s.pool[i]; !c.full() {
			return c
		}
	}
	return nil
}
