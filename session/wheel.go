package session

// spokes is how many ticks the wheel goes round in: 27 minutes, which is longer
// than any default timeout. A session with a longer one is looked at once in
// every turn; a hierarchy of wheels would look at it as often.
const spokes = 1 << 14

// rim marks, in prev, that the session is the first of its spoke; the
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
	r := &t.cold[number]
	r.due, r.prev, r.next = due, rim|spoke, w.spokes[spoke]
	if r.next != 0 {
		t.cold[r.next].prev = number
	}
	w.spokes[spoke] = number
}

// unlink takes a session off the wheel.
func (t *Table) unlink(number uint32) {
	r := &t.cold[number]
	if r.prev&rim != 0 {
		t.wheel.spokes[r.prev&^rim] = r.next
	} else {
		t.cold[r.prev].next = r.next
	}
	if r.next != 0 {
		t.cold[r.next].prev = r.prev
	}
}

// looks is how many sessions or empty spokes Expire may look at for each
// session it may return.
const looks = 4

// Expire fills expired with sessions that have been idle for longer than their
// state allows, and touched with those that others are to hear of again: they
// were used since they last did. Among the touched are those that were adopted
// and are replicas again, for they were not; they are told of no more, and not
// kept where their slot is not. It returns how many it found of each. The expired
// are the caller's to close; one that is neither closed nor used is found again
// with the next tick.
//
// Its work is bounded by the lengths of the two, however many expire at once. Call
// it again while [Table.Behind].
func (t *Table) Expire(now Tick, expired, touched []*Session) (e, u int) {
	w := &t.wheel
	if t.count == 0 {
		w.clock = now
		return 0, 0
	}
	for left := looks * (len(expired) + len(touched)); left > 0 && e < len(expired) && (u < len(touched) || len(touched) == 0); left-- {
		number := w.spokes[w.clock%spokes]
		if number == 0 {
			if !w.clock.before(now) {
				break
			}
			w.clock++
			continue
		}
		s := &t.sessions[number]
		t.hear(s)
		switch {
		case !now.before(t.Expires(s)):
			t.unlink(number)
			t.link(number, now+1)
			expired[e] = s
			e++
			continue
		case s.marks&shared != 0 && t.noteworthy(s):
			if len(touched) == 0 { // nobody wants to know
				break
			}
			t.note(s)
			touched[u] = s
			u++
		}
		t.unlink(number)
		t.link(number, t.look(s, now))
	}
	return e, u
}

// noteworthy says whether a shared session that did not expire is touched: it was
// used here since the others heard of it, or is served here and was not.
func (t *Table) noteworthy(s *Session) bool {
	switch s.Role() {
	case Home:
		return s.News() || s.LastUsed != t.cold[t.number(s)].told
	case Adopted:
		return true
	}
	return false
}

// note is what a look at a touched session changes.
func (t *Table) note(s *Session) {
	c := &t.cold[t.number(s)]
	if s.LastUsed == c.told && s.Role() == Adopted && !s.News() {
		t.setRole(s, Replica)
	}
	c.told = s.LastUsed
}

// look returns when the wheel is to look at s next: when it expires, if it is not
// used, and if others are told when it is, each third of that time.
func (t *Table) look(s *Session, now Tick) Tick {
	due := t.Expires(s)
	if next := now + t.timeout(s).third(); s.marks&shared != 0 && s.Role() != Replica && next.before(due) {
		due = next
	}
	return due
}

// schedule has the wheel come earlier if it has to. It may come too early, never
// too late.
func (t *Table) schedule(number uint32, s *Session, now Tick) {
	if due := t.look(s, now); due.before(t.cold[number].due) {
		t.unlink(number)
		t.link(number, due)
	}
}

// Behind says whether Expire has still to look at something as of now.
func (t *Table) Behind(now Tick) bool {
	w := &t.wheel
	return t.count > 0 && (w.clock.before(now) || w.spokes[w.clock%spokes] != 0)
}
