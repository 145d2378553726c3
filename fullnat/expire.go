package fullnat

import (
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// ticks rounds a duration up to ticks.
func ticks(d time.Duration) session.Tick {
	return session.Tick((d + tickLength - 1) / tickLength)
}

// tick does what comes with time and not with packets.
func (w *Worker) tick(now session.Tick) {
	w.ticked = now
	w.rejects = rejectsPerTick
	w.unpark(now)
	w.expireFragments(now)
}

// expire forgets the sessions whose time is up. An established one that fell
// idle may still be believed in by both its ends: they are told.
func (w *Worker) expire(now session.Tick) {
	n := w.sessions.Expire(now, w.expired[:])
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
		return
	}
	face := w.sessions.Face(s, 1-d)
	n := packet.PutReset(w.scratch[:], face.Reverse(), seq, ack, flags)
	w.become(f, n)
	path := w.sessions.Path(s.Path)
	hop := w.hop(s, path, d)
	if hop == nil {
		w.settle(f, DropNoRoute)
		return
	}
	w.settle(f, w.leave(f, face.Src, hop, now))
}

// A reaper resets the sessions of servers that went down. It walks over the
// whole table in chunks, one a turn, so that the packets of others hardly wait.
type reaper struct {
	walking bool
	from    session.Cursor
}

const reapChunk = 4096

// start makes the next walk begin, also when one is under way.
func (r *reaper) start() { r.walking, r.from = true, 0 }

// reap does one chunk of the walk. A TCP session is not forgotten at once: its
// client may have been sending, and is told again, with the number it expects,
// when its next packet comes.
func (w *Worker) reap(now session.Tick) {
	if !w.reaper.walking {
		return
	}
	w.reaper.from = w.sessions.Each(w.reaper.from, reapChunk, func(s *session.Session) {
		path := w.sessions.Path(s.Path)
		if path.Flags&pathDead == 0 || s.State == session.Close {
			return
		}
		if path.Protocol != packet.TCP {
			w.close(s)
			return
		}
		w.reset(s, session.Inbound, now)
		w.reset(s, session.Outbound, now)
		w.sessions.Abort(s, now)
		w.publishLoad(s.Path)
	})
	w.reaper.walking = w.reaper.from != 0
}
