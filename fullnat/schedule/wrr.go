package schedule

// maxTurns bounds the sequence of wrr: 32 KiB. Weights whose sum, after division
// by their common divisor, is not above it are kept exactly. Beyond it each is
// rounded to a multiple of 1/maxTurns of the whole, and none to nothing.
const maxTurns = 16384

// newWRR is rr over a sequence in which each eligible member occurs as often as
// its weight says, spread evenly: in any run of turns from the start of the
// sequence each member's share is met to within one. IPVS serves 3:2:1 as
// a a b a b c; this is a b a b a c. Over all workers together it is as exact as
// for one. A rebuild with the same weights goes on in the sequence; one with
// others starts somewhere in the new one.
func newWRR(members []Member, _ []string, state *State) Scheduler {
	s := inTurn(members, state)
	weights := make([]int, len(s.pool))
	for at := range s.pool {
		weights[at] = int(s.pool[at].weight)
	}
	weights, total := reduce(weights, maxTurns)
	s.turns = interleave(weights, total)
	return s
}
