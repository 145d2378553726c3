package session

// Sessions are shared when both ends believe in them: what is half-open costs
// the fleet nothing, and a flood of SYNs stays where it is. UDP has no handshake;
// a session of it is shared when both ends have been heard, or its client for the
// third time.

// shareAfter is how many packets a UDP client sends before its session is shared.
const shareAfter = 3

// Believed says whether both ends believe in s.
func (s *Session) Believed() bool { return yields[s.State] == never }

// Share has others told of s from now on, however far it has come.
func (t *Table) Share(s *Session, now Tick) {
	if s.marks&shared != 0 || t.self.ID == 0 {
		return
	}
	s.marks |= shared | news
	t.enroll(s)
	t.schedule(t.number(s), s, now)
}

// Tell makes r what others are to hear of s, and counts it as told.
func (t *Table) Tell(s *Session, now Tick, r *Record) {
	t.Record(s, now, r)
	s.marks &^= news
	t.cold[t.number(s)].told = s.LastUsed
}

// Record makes r what is known of s, an Update.
func (t *Table) Record(s *Session, now Tick, r *Record) {
	t.hear(s)
	p := t.paths[s.Path]
	*r = Record{
		PathKey: p.PathKey,
		Port:    s.VIPPort,
		Client:  s.Client, ClientPort: s.ClientPort,
		Local: t.Local(s), LocalPort: s.LocalPort,
		Home: t.HomeOf(s), Born: t.bornOf(s),
		State: s.State, Wide: s.Role() == Home && s.marks&elsewhere != 0,
	}
	if s.LastUsed.before(now) {
		r.Idle = now - s.LastUsed
	}
	for i := range r.Ends {
		d := Direction(i)
		r.Ends[d] = End{s.expects[d], s.flags.has(spoke, d), s.flags.has(acked, d), s.flags.has(reset, d)}
	}
}
