package fullnat

import "fleetlb/session"

// A walker looks at all sessions when something has changed that concerns many
// of them. It goes over the table in chunks, one a turn, so that packets hardly
// wait.
type walker struct {
	walking bool
	from    session.Cursor
}

// walkChunk is how many places of the table a worker looks through in a turn.
const walkChunk = 1024

// start makes the next walk begin, also when one is under way.
func (w *walker) start() { w.walking, w.from = true, 0 }

// walk looks at one chunk.
func (w *Worker) walk(now session.Tick) {
	if !w.walker.walking || w.fence.up {
		return
	}
	w.walker.from = w.sessions.Each(w.walker.from, walkChunk, func(s *session.Session) { w.inspect(s, now) })
	w.walker.walking = w.walker.from != 0
}

// inspect does with a session what the snapshot wants.
func (w *Worker) inspect(s *session.Session, now session.Tick) {
	switch {
	case w.stray(s, now):
		w.close(s)
	case w.sessions.Path(s.Path).Flags&pathDead != 0 && w.speaksFor(s):
		w.abandon(s, now)
	case !s.Shared() && (w.snap.leaving() || w.snap.Fleet != nil && s.Believed()):
		w.sessions.Share(s, now)
		w.tell(s, now)
	}
}

// speaksFor says whether it is for us to end a session: as its home, or in the
// place of one that has died.
func (w *Worker) speaksFor(s *session.Session) bool {
	switch s.Role() {
	case session.Home:
		return true
	case session.Adopted:
		return !w.snap.Fleet.alive(w.sessions.HomeOf(s).ID)
	}
	return false
}

// stray says whether another director's session is none of ours to hold: we do
// not keep its slot, so nobody would tell us its end, and no packets come to us
// any more.
func (w *Worker) stray(s *session.Session, now session.Tick) bool {
	if s.Role() == session.Home || w.keeps(s) {
		return false
	}
	if w.snap.Fleet == nil || now-w.moved >= guestTimeout && (s.Role() == session.Replica || now-s.LastUsed >= guestTimeout) {
		return true
	}
	w.guests = true
	return false
}

// keeps says whether a session of another is ours to hold.
func (w *Worker) keeps(s *session.Session) bool {
	return w.snap.keeps(w.sessions.HomeOf(s).ID, w.slot(s))
}

// guestTimeout is how long a session that was adopted without being kept stays
// when no packets come: to ask for it again costs little, and to take a new
// connection for it would cost that connection. It is also how long what others keep from
// now on waits for them to fetch it.
const guestTimeout = session.Tick(300) // 30 s

// host looks after guests.
func (w *Worker) host(now session.Tick) {
	if w.guests && now%(guestTimeout/3) == 0 {
		w.guests = false
		w.walker.start()
	}
}
