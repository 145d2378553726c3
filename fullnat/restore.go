package fullnat

import (
	"context"
	"iter"

	"fleetlb/fullnat/offload"
	"fleetlb/session"
)

// Restore makes sessions of what a former director of this name had lifted, and
// lifts them again. It is for the time between the first Publish and Run. It
// returns how many there are. Those of services, servers or local addresses that
// are gone are not.
func (p *Plane) Restore(ctx context.Context, flows iter.Seq[*offload.Heirloom]) (n int, err error) {
	for h := range flows {
		owner := ownerOf(session.Slot(h.Client.Protocol, h.Client.Src, h.Client.SrcPort), len(p.workers))
		restored, err := inquire(ctx, p, p.workers[owner], func() bool {
			w := p.workers[owner]
			return w.restore(h, w.clock())
		})
		if err != nil {
			return n, err
		}
		if restored {
			n++
		}
	}
	return n, nil
}

func (w *Worker) restore(h *offload.Heirloom, now session.Tick) bool {
	if h.Mode == session.FULLNAT && !w.snap.isOwn(h) {
		return false
	}
	for id, path := range w.sessions.Paths() {
		if path.Mode != h.Mode || !h.GoesTo(path.Server, path.ServerPort) {
			continue
		}
		s := w.sessions.Restore(id, &h.Client, &h.Server, h.OneWay, h.Idle, now)
		if s == nil {
			continue
		}
		for d, seen := range h.Seen {
			w.sessions.Credit(s, session.Direction(d), session.Hearsay{
				Counters: session.Counters{Packets: seen.Packets, Bytes: seen.Bytes},
				Used:     s.LastUsed, Next: seen.Next, Ack: seen.Ack,
			})
		}
		w.publishLoad(id)
		if w.lift.table != nil {
			w.take(s, path)
		}
		return true
	}
	return false
}

// isOwn says whether a flow has a local address of our own.
func (s *Snapshot) isOwn(h *offload.Heirloom) bool {
	b := s.block(h.Server.Dst)
	return b != nil && b.own
}
