package schedule

// In a fleet each director counts its own sessions, and every few seconds it is
// told how many the others had a moment ago. What they have opened since it can
// only guess at: as many as it has itself. Without that guess all directors would
// see the same server empty until they hear of each other again, and all would
// send their next clients there.

// elsewhere is what the other directors last said of one server.
type elsewhere struct {
	counts uint64 // as a Cell's, of all of them
	base   uint64 // our own at that time
	others uint64 // directors
}

// SetElsewhere says how many sessions the server has over so many other
// directors, all of which choose servers for the same clients. It is for the
// caller to say so anew every second or two, and to count only directors that
// are alive: what a scheduler reckons with is wrong by what happened elsewhere
// since. Without others there is nothing to reckon with.
func (l *Load) SetElsewhere(active, inactive uint32, others int) {
	var e *elsewhere
	if others > 0 {
		e = &elsewhere{uint64(active)<<32 | uint64(inactive), l.sum(), uint64(others)}
	}
	l.block.notes[l.at].elsewhere.Store(e)
}

// Elsewhere returns what SetElsewhere said last.
func (l *Load) Elsewhere() (active, inactive uint32, others int) {
	e := l.block.notes[l.at].elsewhere.Load()
	if e == nil {
		return 0, 0, 0
	}
	return uint32(e.counts >> 32), uint32(e.counts), int(e.others)
}

// A reckoning is how many sessions a server has over the whole fleet, as far as
// one director can know.
type reckoning struct{ active, inactive, others uint64 }

func (l *Load) reckon() reckoning {
	own := l.sum()
	r := reckoning{active: own >> 32, inactive: uint64(uint32(own))}
	if e := l.block.notes[l.at].elsewhere.Load(); e != nil {
		opened := max(r.active, e.base>>32) - e.base>>32
		r.active += e.counts>>32 + opened*e.others
		r.inactive += uint64(uint32(e.counts))
		r.others = e.others
	}
	return r
}
