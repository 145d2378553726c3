package fullnat

import "fleetlb/session"

// A session of another director is a replica, which we hold for the day when
// that one dies, or adopted: its packets come to us, for routers move
// connections as they like. While its home lives each of the two may see one
// direction of it alone.

// adopt serves a replica from now on.
func (w *Worker) adopt(s *session.Session, now session.Tick) {
	w.sessions.Adopt(s, now)
	w.fleet.Adopted++
	w.bond(s, now)
	w.publishLoad(s.Path)
}

// supersede makes room for another connection of the client. One of another
// director's that is over may stay, unseen: its end is for that one to tell.
func (w *Worker) supersede(s *session.Session) {
	if s.Role() == session.Home || w.sessions.Path(s.Path).Flags&pathLost != 0 {
		w.close(s)
	}
}

// install takes up a record and reports whether its session is here now.
func (w *Worker) install(r *session.Record, now session.Tick) bool {
	s, how := w.sessions.Install(r, now)
	switch how {
	case session.NoRoom:
		w.fleet.NoRoom++
		w.crowded = now
	case session.Created:
		w.settleIn(s, now)
	case session.Replaced:
		w.settleIn(s, now)
		for id := range w.sessions.Paths() { // one of them has lost a session
			w.publishLoad(id)
		}
	case session.Merged:
		w.publishLoad(s.Path)
	}
	if s != nil && s.News() { // we know more of it than we were told, or had told nobody of it
		w.tell(s, now)
	}
	return s != nil
}

// settleIn makes a session that another director opened one that we can carry.
func (w *Worker) settleIn(s *session.Session, now session.Tick) {
	if path := w.sessions.Path(s.Path); !path.Live && path.Hop == 0 {
		w.furnish(path)
	}
	w.publishLoad(s.Path)
	if s.Role() == session.Home { // ours, from before we lost our memory
		w.bond(s, now)
	}
	if s.Role() != session.Home && !w.keeps(s) {
		w.guests = true
	}
	if w.seeking.held > 0 {
		for _, d := range []session.Direction{session.Inbound, session.Outbound} {
			face := w.sessions.Face(s, d)
			w.resume(&face, now)
		}
	}
}

// end forgets a session whose home says that it is no more. Another of the same
// ends may be here by now: that was born later, and stays.
func (w *Worker) end(r *session.Record) {
	if s := w.sessions.Held(r); s != nil {
		path := s.Path
		if w.sessions.Remove(r) {
			w.publishLoad(path)
		}
	}
}

// compare sees whether we hold of a home's slot what it has.
func (w *Worker) compare(r *session.Record, now session.Tick) {
	switch {
	case !w.snap.keeps(r.Home.ID, r.Slot) || w.fence.up:
	case w.sessions.Digest(r.Home.ID, r.Slot) == r.Digest:
	case w.fleet.NoRoom > 0 && now-w.crowded < crowdedFor:
	default:
		w.fleet.Differed++
		w.others.Differs(r.Home.ID, r.Slot)
	}
}

// crowdedFor is how long a table that had no room is not compared: what it
// lacks would be sent again for nothing.
const crowdedFor = session.Tick(100)
