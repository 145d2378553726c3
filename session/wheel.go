package session

// spokes is how many ticks the wheel goes round in: 27 minutes, which is longer
// than any default timeout. A session with a longer one is looked at once in
// every turn; a hierarchy of wheels would look at it as often.
const spokes = 1 << 14

// rim marks, in a record's prev, that the session is the first of its spoke; the
// other bits are the spoke's number.
const rim = 1 << 31

// A wheel finds the sessions whose time may be up. A session hangs at the spoke
// of the tick when somebody should look at it, and stays there however often it
// is used meanwhile: whoever looks compares LastUsed, and moves it on.
type wheel struct {
	clock  Tick // the spoke to be looked at next; all before it are empty
	spokes [spokes]uint32
}

// link hangs a session so that it is looked at when due, or after one turn.
func (t *Table) link(number uint32, due Tick) {
	w := &t.wheel
	switch ahead := int32(due - w.clock); {
	case ahead < 0:
		due = w.clock
	case ahead >= spokes:
		due = w.clock + spokes - 1
	}
	spoke := uint32(due) % spokes
	r := &t.records[number]
	r.due, r.prev, r.next = due, rim|spoke, w.spokes[spoke]
	if r.next != 0 {
		t.records[r.next].prev = number
	}
	w.spokes[spoke] = number
}

// unlink takes a session off the wheel.
func (t *Table) unlink(number uint32) {
	r := &t.records[number]
	if r.prev&rim != 0 {
		t.wheel.spokes[r.prev&^rim] = r.next
	} else {
		t.records[r.prev].next = r.next
	}
	if r.next != 0 {
		t.records[r.next].prev = r.prev
	}
}

// looks is how many sessions or empty spokes Expire may look at for each
// session it may return.
const looks = 4

// Expire fills into with sessions that have been idle for longer than their
// state allows and returns how many. They are the caller's to close; one that
// is neither closed nor used is found again with the next tick.
//
// Its work is bounded by the length of into, however many expire at once. Call
// it again while [Table.Behind].
func (t *Table) Expire(now Tick, into []*Session) int {
	w := &t.wheel
	if t.count == 0 {
		w.clock = now
		return 0
	}
	n := 0
	for left := looks * len(into); left > 0 && n < len(into); left-- {
		number := w.spokes[w.clock%spokes]
		if number == 0 {
			if !w.clock.before(now) {
				break
			}
			w.clock++
			continue
		}
		s := &t.sessions[number]
		t.unlink(number)
		if due := t.Expires(s); now.before(due) {
			t.link(number, due)
			continue
		}
		t.link(number, now+1)
		into[n] = s
		n++
	}
	return n
}

// Behind says whether Expire has still to look at something as of now.
func (t *Table) Behind(now Tick) bool {
	w := &t.wheel
	return t.count > 0 && (w.clock.before(now) || w.spokes[w.clock%spokes] != 0)
}
