package fullnat

import (
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// expire forgets the sessions whose time is up, and has the other directors know
// which are in use. An established one that fell idle may still be believed in by
// both its ends: they are told, by its home.
func (w *Worker) expire(now session.Tick) {
	if w.fence.up {
		return
	}
	e, t := w.sessions.Expire(now, w.expired[:], w.touched[:])
	for _, s := range w.expired[:e] {
		path := w.sessions.Path(s.Path)
		if s.State == session.Established && path.Flags&pathResets != 0 && s.Role() == session.Home {
			w.reset(s, session.Inbound, now)
			if !s.Shadowed(session.Inbound) { // its client has another connection from that port
				w.reset(s, session.Outbound, now)
			}
		}
		w.close(s)
	}
	for _, s := range w.touched[:t] {
		w.touch(s, now)
	}
}

// touch tells of a session that it is in use. One that was adopted and is not is
// a replica again, and not ours to hold unless we keep its slot.
func (w *Worker) touch(s *session.Session, now session.Tick) {
	switch {
	case s.Role() != session.Replica:
		w.tell(s, now)
	case w.stray(s, now):
		w.close(s)
	default:
		w.publishLoad(s.Path)
	}
}

// close forgets a session. Its home tells the others.
func (w *Worker) close(s *session.Session) {
	if s.Shared() && s.Role() == session.Home {
		w.tellGone(s)
	}
	path := s.Path
	w.sessions.Close(s)
	w.publishLoad(path)
}

// reset sends one end of a TCP session the reset that the other end would send:
// d is the way it travels. While neither end has told which number it expects,
// nothing is sent, for nothing would be believed.
func (w *Worker) reset(s *session.Session, d session.Direction, now session.Tick) {
	seq, known := s.Expects(d)
	if !known {
		return
	}
	ack, flags := uint32(0), uint8(packet.FlagRST)
	if other, known := s.Expects(1 - d); known {
		ack, flags = other, packet.FlagRST|packet.FlagACK
	}
	f := w.alloc()
	if f == nil {
		w.verdicts[DropNoFrame]++
		return
	}
	path := w.sessions.Path(s.Path)
	hop := w.hop(s, path, d)
	w.become(f, packet.PutReset(w.scratch[:], w.seen(s, path, d), seq, ack, flags))
	v := w.parse(f, &w.piece)
	switch {
	case v != Forwarded:
	case hop == nil:
		v = DropNoRoute
	case path.Tunnel != nil && d == session.Inbound:
		v = w.tun(f, &w.piece, s, path, hop, now)
	default:
		v = w.leave(f, &w.piece, destination(s, path, d), hop, now)
	}
	if v == Forwarded {
		v = Originated
	}
	w.settle(f, v)
}

// seen returns the ends by which the receiver of what goes d knows the
// connection.
func (w *Worker) seen(s *session.Session, path *session.Path, d session.Direction) packet.Tuple {
	if d == session.Inbound && (path.Mode == session.DR || path.Mode == session.TUN) {
		return w.sessions.Face(s, d)
	}
	return w.sessions.Face(s, 1-d).Reverse()
}

// abandon ends a session whose server is down. That of a TCP connection is not
// forgotten at once: its client may have been sending, so that it does not
// believe the reset, and is told again when its next packet comes.
func (w *Worker) abandon(s *session.Session, now session.Tick) {
	switch {
	case w.sessions.Path(s.Path).Protocol != packet.TCP:
		w.close(s)
	case s.State != session.Close:
		w.credit(s)
		w.reset(s, session.Inbound, now)
		w.reset(s, session.Outbound, now)
		w.sessions.Abort(s, now)
		w.publishLoad(s.Path)
		if s.News() {
			w.tell(s, now)
		}
	}
}
