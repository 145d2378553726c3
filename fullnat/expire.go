package fullnat

import (
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// expire forgets the sessions whose time is up. An established one that fell
// idle may still be believed in by both its ends: they are told.
func (w *Worker) expire(now session.Tick) {
	n, _ := w.sessions.Expire(now, w.expired[:], nil)
	for _, s := range w.expired[:n] {
		path := w.sessions.Path(s.Path)
		if s.State == session.Established && path.Flags&pathResets != 0 {
			w.reset(s, session.Inbound, now)
			w.reset(s, session.Outbound, now)
		}
		w.close(s)
	}
}

// close forgets a session.
func (w *Worker) close(s *session.Session) {
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

// A reaper resets the sessions of servers that went down. It walks over the
// whole table in chunks, one a turn, so that the packets of others hardly wait.
type reaper struct {
	walking bool
	from    session.Cursor
}

const reapChunk = 1024

// start makes the next walk begin, also when one is under way.
func (r *reaper) start() { r.walking, r.from = true, 0 }

// reap does one chunk of the walk.
func (w *Worker) reap(now session.Tick) {
	if !w.reaper.walking {
		return
	}
	w.reaper.from = w.sessions.Each(w.reaper.from, reapChunk, func(s *session.Session) {
		if w.sessions.Path(s.Path).Flags&pathDead != 0 {
			w.abandon(s, now)
		}
	})
	w.reaper.walking = w.reaper.from != 0
}

// abandon ends a session whose server is down. That of a TCP connection is not
// forgotten at once: its client may have been sending, so that it does not
// believe the reset, and is told again when its next packet comes.
func (w *Worker) abandon(s *session.Session, now session.Tick) {
	switch {
	case w.sessions.Path(s.Path).Protocol != packet.TCP:
		w.close(s)
	case s.State != session.Close:
		w.reset(s, session.Inbound, now)
		w.reset(s, session.Outbound, now)
		w.sessions.Abort(s, now)
		w.publishLoad(s.Path)
	}
}
