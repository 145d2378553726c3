package schedule

import "sync/atomic"

// least picks the candidate whose cost per weight is lowest, where
//
//	cost = active·perActive + inactive·perInactive + extra
//
// Candidates of equal cost take turns: each pick looks from another one
// onwards. (IPVS looks from the first always, which sends every connection of a
// quiet service to one server.)
//
// Loads are as fresh as the workers' last stores. Two workers that pick in the
// same moment may pick alike; neither waits for the other.
type least struct {
	perActive, perInactive, extra uint64

	pool   []candidate
	cursor *atomic.Uint64
}

// A candidate is an eligible member.
type candidate struct {
	member int // its position among all members
	weight uint64
	load   Load
}

// candidates lists the eligible members.
func candidates(members []Member) []candidate {
	var pool []candidate
	for i := range members {
		m := &members[i]
		if !m.eligible() {
			continue
		}
		c := candidate{member: i, weight: uint64(m.Weight), load: *idle}
		if m.Load != nil {
			c.load = *m.Load
		}
		pool = append(pool, c)
	}
	return pool
}

// idle is the load of members that nobody counts.
var idle = NewLoads(1)[0]

// cost is at most 2⁴¹, so that comparing it crosswise with weights fits 64 bits.
func (s *least) cost(load *Load) uint64 {
	n := load.sum()
	return n>>32*s.perActive + uint64(uint32(n))*s.perInactive + s.extra
}

func (s *least) Pick(*Key) int {
	if len(s.pool) == 0 {
		return -1
	}
	return s.pool[s.from(s.start())].member
}

// start returns where the next look begins.
func (s *least) start() int {
	return int((s.cursor.Add(1) - 1) % uint64(len(s.pool)))
}

// from returns the position in the pool of the least costly candidate, the
// first one from start onwards.
func (s *least) from(start int) int {
	best, cost := start, s.cost(&s.pool[start].load)
	for i := 1; i < len(s.pool); i++ {
		at := start + i
		if at >= len(s.pool) {
			at -= len(s.pool)
		}
		c := &s.pool[at]
		if o := s.cost(&c.load); o*s.pool[best].weight < cost*c.weight {
			best, cost = at, o
		}
	}
	return best
}

// less says whether candidate a costs less for its weight than b.
func (s *least) less(a, b int) bool {
	x, y := &s.pool[a], &s.pool[b]
	return s.cost(&x.load)*y.weight < s.cost(&y.load)*x.weight
}

// isActive is how much more an active session counts than an inactive one, as
// IPVS estimates it.
const isActive = 256
