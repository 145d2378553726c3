package fullnat

import (
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// An outbox is what a worker says to the other directors at the end of its turn.
type outbox struct {
	records [outboxSize]session.Record
	tuples  [outboxSize]packet.Tuple
	told    int // records in it
	asked   int // tuples in it
}

// outboxSize is more than a turn without anything unusual fills; a fuller one
// is sent before the turn ends.
const outboxSize = 2 * batchSize

// record returns the place of the next record to be told.
func (w *Worker) record() *session.Record {
	o := &w.outbox
	if o.told == outboxSize {
		w.speak()
	}
	o.told++
	return &o.records[o.told-1]
}

// tell lets the others know how a session is.
func (w *Worker) tell(s *session.Session, now session.Tick) {
	w.sessions.Tell(s, now, w.record())
	w.fleet.Told++
}

// tellGone lets them know that one of ours is no more.
func (w *Worker) tellGone(s *session.Session) {
	r := w.record()
	w.sessions.Record(s, w.ticked, r)
	r.Kind = session.Gone
	w.fleet.Told++
}

// question has the others asked whose packet this is.
func (w *Worker) question(t *packet.Tuple) {
	o := &w.outbox
	if o.asked == outboxSize {
		w.speak()
	}
	o.tuples[o.asked] = *t
	o.asked++
	w.fleet.Asked++
}

// speak empties the outbox.
func (w *Worker) speak() {
	o := &w.outbox
	if o.told > 0 {
		w.others.Tell(w.id, o.records[:o.told])
		o.told = 0
	}
	if o.asked > 0 {
		w.others.Ask(w.id, o.tuples[:o.asked])
		o.asked = 0
	}
}

// marks are the digests of our own sessions, by slot, as the others heard them
// last.
type marks [session.Slots]session.Digest

// forget makes every slot be marked again: there are others to hear it.
func (m *marks) forget() {
	for slot := range m {
		m[slot].Count = ^uint32(0) // no digest that there is
	}
}

// marksEvery is how often each slot is looked at, a part of them in every tick.
const marksEvery = session.Tick(10) // one second

// mark tells the digests that have changed. All that made them so has been told
// before, so whoever has believed every record so far has the same.
func (w *Worker) mark(now session.Tick) {
	f := w.snap.Fleet
	if f == nil || w.fence.up {
		return
	}
	slots := slotsOf(w.id, w.workers)
	for slot := slots[0] + int(now%marksEvery); slot < slots[1]; slot += int(marksEvery) {
		d := w.sessions.Digest(f.Self.ID, uint8(slot))
		if d == w.marks[slot] {
			continue
		}
		w.marks[slot] = d
		w.fleet.Marked++
		*w.record() = session.Record{Kind: session.Mark, Home: f.Self, Slot: uint8(slot), Digest: d}
	}
}
