package fullnat

import (
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// pending holds frames whose next hop is being resolved: ready to leave but for
// the link-layer addresses. The kernel holds such packets too (RFC 1122
// §2.3.2.2 asks for at least one per destination); without this the first
// answer to an on-link client would cost it a retransmission timeout.
type pending struct {
	frames [maxPending]waiting
	n      int
	packet packet.Packet // the one looked at
}

type waiting struct {
	frame *link.Frame
	dst   packet.Addr
	until session.Tick
}

const (
	maxPending     = 64
	maxPendingTo   = 16               // one destination: one that is gone must not take the room of all others
	pendingTimeout = session.Tick(10) // one second, after which the sender has sent again itself
)

// park holds a frame for dst and asks for its next hop to be resolved.
func (w *Worker) park(f *link.Frame, dst packet.Addr, now session.Tick) Verdict {
	w.want(dst)
	if w.pending.n == maxPending || w.pending.to(dst) == maxPendingTo {
		return DropNoNeighbor
	}
	w.pending.frames[w.pending.n] = waiting{f, dst, now + pendingTimeout}
	w.pending.n++
	return Parked
}

// to counts the frames for one destination.
func (q *pending) to(dst packet.Addr) (n int) {
	for i := range q.frames[:q.n] {
		if q.frames[i].dst == dst {
			n++
		}
	}
	return n
}

// unpark sends the frames whose next hop the snapshot knows by now, and drops
// those that have waited too long.
func (w *Worker) unpark(now session.Tick) {
	q := &w.pending
	kept := 0
	for _, p := range q.frames[:q.n] {
		hop := w.snap.Hops.Hop(w.snap.Hops.Lookup(p.dst))
		switch {
		case hop == nil:
			w.settle(p.frame, DropNoRoute)
		case hop.Resolved:
			w.settle(p.frame, w.leaveLate(p.frame, p.dst, hop, now))
		case int32(now-p.until) >= 0:
			w.settle(p.frame, DropNoNeighbor)
		default:
			q.frames[kept] = p
			kept++
		}
	}
	clear(q.frames[kept:q.n])
	q.n = kept
}

// leaveLate sends a frame that was parked.
func (w *Worker) leaveLate(f *link.Frame, to packet.Addr, hop *nexthop.Hop, now session.Tick) Verdict {
	if fault := w.parse(f, &w.pending.packet); fault != Forwarded {
		return fault
	}
	return w.leave(f, &w.pending.packet, &to, hop, now)
}
