package session

// Installed says what became of a [Record].
type Installed uint8

const (
	Created   Installed = iota // the session is here now
	Replaced                   // so it is, and another that had its port before is not
	Merged                     // it was here, and something about it was new
	Unchanged                  // it was here, and nothing was
	Stale                      // it has been idle for too long, or one that began later has its port
	Conflict                   // another session of ours has the port: what we say of our own ports is true
	NoRoom                     // the table has no place for another director's session, or no name for its addresses
	Refused                    // it is not valid, no Update, or of a slot that is not the table's
)

// Install takes in what another director knows of a session: it becomes one of
// the table's, or what is known of it is joined. Whoever may say such a thing is
// for the caller to judge. A session whose home is ours, of which we have lost
// the memory, becomes ours again, and its port is in use.
//
// The session may have [Session.News] then: what is known here and was not to
// whoever made the record.
//
// Nothing a record says takes life away: a session was last used when either
// knows it was. A record that comes late can bring back a session that its home
// has closed, but not for longer than it would have been kept without it: it
// counts the time that it was idle, and nobody touches it.
func (t *Table) Install(r *Record, now Tick) (*Session, Installed) {
	slot := int(r.ClientSlot())
	if r.Kind != Update || slot < t.ports.slots[0] || slot >= t.ports.slots[1] || r.Valid() != nil {
		return nil, Refused
	}
	held := t.claimant(r)
	if held != nil && t.same(held, r) {
		return held, t.merge(held, r, now)
	}
	what := Created
	if held != nil {
		if what = t.succession(held, r); what != Replaced {
			return nil, what
		}
	}
	if r.Idle >= t.patienceFor(r) {
		return nil, Stale
	}
	if what == Replaced {
		t.Close(held)
	}
	s := t.create(r, now)
	if s == nil {
		return nil, NoRoom
	}
	return s, what
}

// Held returns the session that a record is of, nil if it is not here.
func (t *Table) Held(r *Record) *Session {
	if s := t.claimant(r); s != nil && t.same(s, r) {
		return s
	}
	return nil
}

// Remove closes another director's session because its home has: r says that it
// is gone. One that was born later stays, and so does one of our own.
func (t *Table) Remove(r *Record) bool {
	s := t.Held(r)
	if s == nil || s.Role() == Home || r.Born.before(t.bornOf(s)) {
		return false
	}
	t.Close(s)
	return true
}

// claimant returns the session that is where r's would be: that has its port, or
// where there is none, the same session.
func (t *Table) claimant(r *Record) *Session {
	if r.Mode == FULLNAT {
		face := r.Face(Outbound)
		s, _ := t.Find(&face)
		return s
	}
	face := r.Face(Inbound)
	if s, _ := t.Find(&face); s != nil {
		if t.same(s, r) {
			return s
		}
		for s := range t.shadowsOf(&face) {
			if t.same(s, r) {
				return s
			}
		}
	}
	return nil
}

// same says whether s is the session of r, or one that it was before.
func (t *Table) same(s *Session, r *Record) bool {
	return s.ClientPort == r.ClientPort && s.VIPPort == r.Port && s.Client == r.Client &&
		s.LocalPort == r.LocalPort && t.Local(s) == r.Local &&
		t.paths[s.Path].PathKey == r.PathKey && t.HomeOf(s).ID == r.Home.ID
}

// succession decides between the session that has a port and a record of another
// that has it too. A port is given out by one director alone, which has forgotten
// the first by the time it gives it to the second. What we opened ourselves is
// beyond doubt.
func (t *Table) succession(held *Session, r *Record) Installed {
	born := t.bornOf(held)
	switch {
	case held.Role() == Home && !born.before(t.firstBorn):
		return Conflict
	case born.before(r.Born):
		return Replaced
	}
	return Stale
}

// patienceFor is how long r's session may be idle here.
func (t *Table) patienceFor(r *Record) Tick {
	timeouts := uint16(0)
	if id, ok := t.pathIDs[r.PathKey]; ok {
		timeouts = t.paths[id].Timeouts
	}
	p := t.timeouts[timeouts][r.State]
	if r.Home.ID != t.self.ID {
		p = kept(p)
	}
	return p
}

// create makes the session of a record.
func (t *Table) create(r *Record, now Tick) *Session {
	number, role := t.vacancy(), Home
	if r.Home.ID != t.self.ID {
		role = Replica
	}
	if number == 0 || role == Replica && t.count-t.roles[Home] >= t.replicas {
		return nil
	}
	place, ok := uint16(0), true
	if role == Replica {
		place, ok = t.lives.join(r.Home)
	}
	if !ok {
		return nil
	}
	id := t.Bind(r.PathKey)
	s, p := &t.sessions[number], t.paths[id]
	*s = Session{
		Client: r.Client, ClientPort: r.ClientPort, Path: id, LocalPort: r.LocalPort, VIPPort: r.Port,
		LastUsed: now - r.Idle, State: r.State, marks: marks(role) | shared,
	}
	if p.Mode == FULLNAT && !t.settle(s, number, p, r.Local) {
		*s = Session{}
		t.unbind(id, p)
		if role == Replica {
			t.lives.leave(place)
		}
		return nil
	}
	s.learnFrom(r)
	t.occupy(number, cold{home: place, told: s.LastUsed}, now)
	t.setBorn(s, r.Born)
	p.count(s)
	for d := range p.Mode.faces() {
		t.don(s, d)
	}
	t.link(number, t.look(s, now))
	t.consider(number, s)
	t.enroll(s)
	return s
}

// learnFrom takes over a record's numbers.
func (s *Session) learnFrom(r *Record) {
	s.flags = 0
	for d, e := range r.Ends {
		s.expects[d] = e.Expects
		s.flags |= e.flags() << d
	}
	if s.marks&elsewhere != 0 {
		s.halfSeen()
	}
}

func (e *End) flags() (f sessionFlags) {
	if e.Heard {
		f |= spoke
	}
	if e.Acked {
		f |= acked
	}
	if e.Reset {
		f |= reset
	}
	return f
}

// merge joins what r knows with s. Whoever said it is to hear what else we know:
// so directors come to know the same, whichever of them was away.
func (t *Table) merge(s *Session, r *Record, now Tick) Installed {
	c := &t.cold[t.number(s)]
	what := Unchanged
	if used := now - r.Idle; !used.before(s.LastUsed) {
		if s.LastUsed.before(used) {
			what = Merged
			if s.LastUsed == c.told { // what we have heard we need not tell
				c.told = used
			}
			s.LastUsed = used
		}
		if s.Role() == Home {
			s.halfSeen()
		}
	}
	t.renew(s, c, r.Home)
	t.Share(s, now)
	born, state := t.bornOf(s), r.State
	switch {
	case r.Born == born:
		state = join(s.State, r.State)
		s.mergeEnds(r)
	case born.before(r.Born):
		s.learnFrom(r)
	default:
		s.marks |= news
		return what
	}
	if state != s.State || born != r.Born {
		t.become(s, state, r.Born, now)
		what = Merged
	}
	if state != r.State {
		s.marks |= news
	}
	return what
}

// renew notes that another director's session is of a later life of it.
func (t *Table) renew(s *Session, c *cold, home Owner) {
	if s.Role() == Home || home.Epoch <= t.lives.all[c.home].Epoch {
		return
	}
	if place, ok := t.lives.join(home); ok {
		t.lives.leave(c.home)
		c.home = place
	}
}

// mergeEnds takes over what r knows better of the ends: the number that is ahead.
func (s *Session) mergeEnds(r *Record) {
	for i, e := range r.Ends {
		d := Direction(i)
		if _, known := s.Expects(d); e.known() && (!known || int32(e.Expects-s.expects[d]) > 0) {
			s.expects[d] = e.Expects
		}
		s.flags |= e.flags() << d
	}
	if s.marks&elsewhere != 0 {
		s.halfSeen()
	}
}
