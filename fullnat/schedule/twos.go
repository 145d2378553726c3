package schedule

import "math/rand/v2"

// twos is weighted random twos: two members drawn at random by weight, and of
// those the one with fewer sessions for its weight. It is nearly as even as wlc
// (Mitzenmacher, 1996) and, looking at two loads instead of all, does not send
// everybody to the same idle server.
type twos struct {
	least
	upTo []uint64 // by position in the pool: sum of the weights up to and with it
}

func newTwos(members []Member, _ []string, state *State) Scheduler {
	s := &twos{least: *weightedLeast(members, state)}
	var total uint64
	for i := range s.pool {
		total += s.pool[i].weight
		s.upTo = append(s.upTo, total)
	}
	return s
}

func (s *twos) Pick(*Key) int {
	if len(s.pool) == 0 {
		return -1
	}
	total := s.upTo[len(s.upTo)-1]
	return s.of(rand.Uint64N(total), rand.Uint64N(total))
}

// of returns the better of the members that two draws below the total weight
// stand for; if both are full, the best of all.
func (s *twos) of(x, y uint64) int {
	a, b := s.drawn(x), s.drawn(y)
	switch {
	case s.pool[b].full():
		if s.pool[a].full() {
			a = s.from(s.start())
		}
	case s.pool[a].full() || s.less(b, a):
		a = b
	}
	return s.member(a)
}

// drawn returns the position of the first candidate whose running sum is above x.
func (s *twos) drawn(x uint64) int {
	lo, hi := 0, len(s.upTo)-1
	for lo < hi {
		if mid := (lo + hi) / 2; s.upTo[mid] > x {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}
