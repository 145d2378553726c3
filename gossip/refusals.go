package gossip

import (
	"sync/atomic"

	"fleetlb/gossip/seal"
)

// dropped counts what proved to come from the fleet and yet was not taken.
type dropped struct {
	stranger, malformed, queue, streams, shares atomic.Uint64
}

// A Refusal is a reason for which messages are not accepted.
type Refusal struct {
	Reason string // a word, for metrics
	Text   string // for the operator
	Count  uint64 // since the start
}

// Refusals lists all reasons, always in the same order.
func (f *Fleet) Refusals() []Refusal {
	var all []Refusal
	for r := seal.Fine + 1; r < seal.NumReasons; r++ {
		all = append(all, Refusal{r.String(), r.Text(), f.wire.endpoint.Refused(r)})
	}
	d := &f.dropped
	return append(all,
		Refusal{"stranger", "its sender is not a live member, or is not the one of its name who may speak", d.stranger.Load()},
		Refusal{"malformed", "a member sent what makes no sense to this build", d.malformed.Load()},
		Refusal{"queue", "the membership's queue was full", d.queue.Load()},
		Refusal{"streams", "too many streams were open", d.streams.Load()},
		Refusal{"shares", "a member shares more than is taken", d.shares.Load()})
}
