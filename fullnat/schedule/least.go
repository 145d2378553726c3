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
	limit
	member int // its position among all members
	weight uint64
}

// candidates lists the eligible members.
func candidates(members []Member) []candidate {
	var pool []candidate
	for i := range members {
		m := &members[i]
		if !m.eligible() {
			continue
		}
		pool = append(pool, candidate{limit: m.limit(), member: i, weight: uint64(m.Weight)})
	}
	return pool
}

// idle is the load of members that nobody counts.
var idle = NewLoads(1)[0]

// cost is at most 2⁴⁷ in a fleet of sixty, so that comparing it crosswise with
// weights fits 64 bits.
func (s *least) cost(r reckoning) uint64 {
	return r.active*s.perActive + r.inactive*s.perInactive + s.extra
}

func (s *least) Pick(*Key) int {
	if len(s.pool) == 0 {
		return -1
	}
	return s.member(s.from(s.start()))
}

// member returns which member stands at a position of the pool, -1 at -1.
func (s *least) member(at int) int {
	if at < 0 {
		return -1
	}
	return s.pool[at].member
}

// start returns where the next look begins.
func (s *least) start() int {
	return int((s.cursor.Add(1) - 1) % uint64(len(s.pool)))
}

// from returns the position in the pool of the least costly candidate, the
// first one from start onwards; -1 when all are full. In a fleet it is one of the
// least costly: see share.
func (s *least) from(start int) int {
	best, cost, others := -1, uint64(0), uint64(0)
	for i := range s.pool {
		at := start + i
		if at >= len(s.pool) {
			at -= len(s.pool)
		}
		c := &s.pool[at]
		if c.full() {
			continue
		}
		r := c.load.reckon()
		others = max(others, r.others)
		if o := s.cost(r); best < 0 || o*s.pool[best].weight < cost*c.weight {
			best, cost = at, o
		}
	}
	if others > 0 && best >= 0 {
		return s.share(best, float64(others+1))
	}
	return best
}

// less says whether candidate a costs less for its weight than b.
func (s *least) less(a, b int) bool {
	x, y := &s.pool[a], &s.pool[b]
	return s.cost(x.load.reckon())*y.weight < s.cost(y.load.reckon())*x.weight
}

// isActive is how much more an active session counts than an inactive one, as
// IPVS estimates it.
const isActive = 256
