package fullnat

import (
	"fleetlb/fullnat/link"
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
}

type waiting struct {
	frame *link.Frame
	dst   packet.Addr
	until session.Tick
}

const (
	maxPending     = 64
	pendingTimeout = session.Tick(10) // one second, after which the sender has sent again itself
)

// park holds a frame for dst and asks for its next hop to be resolved.
func (w *Worker) park(f *link.Frame, dst packet.Addr, now session.Tick) Verdict {
	if w.pending.n == maxPending {
		return DropNoNeighbor
	}
	w.want(dst)
	w.pending.frames[w.pending.n] = waiting{f, dst, now + pendingTimeout}
	w.pending.n++
	return Parked
}

// unpark sends the frames whose next hop the new snapshot knows, and drops
// those that have waited too long.
func (w *Worker) unpark(now session.Tick) {
	kept := 0
	for _, p := range w.pending.frames[:w.pending.n] {
		hop := w.snap.Hops.Hop(w.snap.Hops.Lookup(p.dst))
		switch {
		case hop != nil && hop.Resolved:
			w.settle(p.frame, w.leave(p.frame, p.dst, hop, now))
		case hop == nil || int32(now-p.until) >= 0:
			w.settle(p.frame, DropNoNeighbor)
		default:
			w.pending.frames[kept] = p
			kept++
		}
	}
	clear(w.pending.frames[kept:w.pending.n])
	w.pending.n = kept
}
