package replica

// A refusal is a reason for which something that came is not used.
type refusal uint8

const (
	fine            refusal = iota
	refuseVersion           // made for newer versions only
	refuseShape             // ends inside a block, or is none of ours
	refuseStranger          // of no member that is known here
	refuseStale             // from or to an earlier life of a director
	refuseRecord            // a record that cannot be
	refuseOwner             // created or ended by a director that is not its home
	refuseBlock             // a local address outside the block of its home
	refuseUnasked           // an answer that nobody asked for
	refuseWindow            // beyond what may be under way at once
	refuseQuestions         // more questions than are answered at once
	numRefusals
)

var refusals = [numRefusals]struct{ reason, text string }{
	fine:            {"", ""},
	refuseVersion:   {"version", "made by a newer version that says older ones cannot read it: upgrade this director"},
	refuseShape:     {"malformed", "datagrams and streams that end too early or are none of ours"},
	refuseStranger:  {"stranger", "from a director that is not (yet) a live member here"},
	refuseStale:     {"stale_epoch", "from or to an earlier life of a director: it was restarted or frozen"},
	refuseRecord:    {"record", "records that cannot be: endpoints, slot, mode or state do not fit together"},
	refuseOwner:     {"not_its_owner", "a director created or ended a session of another's: is a name in use twice?"},
	refuseBlock:     {"not_its_block", "a local address outside its home's blocks: do local_addresses differ from what was announced?"},
	refuseUnasked:   {"unasked", "answers to no question of ours, or too late"},
	refuseWindow:    {"window", "batches far ahead of their stream"},
	refuseQuestions: {"questions", "more questions than are answered at once"},
}

// A Refusal is a reason for which messages of other directors are not used.
type Refusal struct {
	Reason string // a word, for metrics
	Text   string // for the operator
	Count  uint64
}

func (e *Engine) refuse(why refusal) { e.refused[why].Add(1) }

// Refusals counts what was refused since the start, by reason.
func (e *Engine) Refusals() []Refusal {
	var all []Refusal
	for why := fine + 1; why < numRefusals; why++ {
		r := refusals[why]
		all = append(all, Refusal{r.reason, r.text, e.refused[why].Load()})
	}
	return all
}
