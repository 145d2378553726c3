package schedule

import (
	"math"
	"math/rand/v2"
)

// share is from for one of several directors, each of which is about to place a
// client and knows as little of the others' choice as they of its. If one chose
// for all, clients would go to the least costly candidates until these cost as
// much as the next ones, as water fills a basin. Each candidate gets the part of
// the clients that would be its own then, and which of them is ours is drawn. So
// ten directors that see an empty server do not all send their next client there,
// unless it can take ten before it is like the rest.
//
// The least costly candidate is at best.
func (s *least) share(best int, directors float64) int {
	level, clients := math.Inf(1), directors*float64(s.perActive)
	for range levelling {
		cost, weight := 0.0, 0.0
		for i := range s.pool {
			if own, w := s.depth(i); own < level*w {
				cost, weight = cost+own, weight+w
			}
		}
		if weight == 0 || (cost+clients)/weight >= level {
			break
		}
		level = (cost + clients) / weight
	}
	drawn := rand.Float64() * clients
	for i := range s.pool {
		own, w := s.depth(i)
		if part := level*w - own; part > 0 {
			if drawn -= part; drawn < 0 {
				return i
			}
		}
	}
	return best
}

// levelling bounds how often the water is let sink: each time the candidates
// that stand out of it are left aside. Half a dozen times is usual.
const levelling = 16

// depth returns the cost and the weight of a candidate, which is left aside while
// it is full.
func (s *least) depth(at int) (cost, weight float64) {
	c := &s.pool[at]
	if c.full() {
		return math.Inf(1), 1
	}
	return float64(s.cost(c.load.reckon())), float64(c.weight)
}
