package fullnat

import (
	"context"
	"iter"

	"fleetlb/session"
)

// exportChunk is how many places of its table a worker looks through between two
// batches when it exports its sessions.
const exportChunk = 256

// Export lists the shared sessions that q asks for, in no order, a chunk of each
// worker's at a time. What changes meanwhile is told by [Peers] as ever. The
// records are good until the next ones are asked for.
func (p *Plane) Export(ctx context.Context, q session.Query) iter.Seq2[[]session.Record, error] {
	return func(yield func([]session.Record, error) bool) {
		records := make([]session.Record, 0, exportChunk)
		for _, w := range p.workers {
			for from, done := session.Cursor(0), false; !done; {
				next, err := inquire(ctx, p, w, func() session.Cursor {
					var next session.Cursor
					records, next = w.export(records[:0], from, &q)
					return next
				})
				if err != nil {
					yield(nil, err)
					return
				}
				if len(records) > 0 && !yield(records, nil) {
					return
				}
				from, done = next, next == 0
			}
		}
	}
}

func (w *Worker) export(into []session.Record, from session.Cursor, q *session.Query) ([]session.Record, session.Cursor) {
	now := w.clock()
	next := w.sessions.Each(from, exportChunk, func(s *session.Session) {
		if !s.Shared() || !q.Matches(w.sessions.HomeOf(s).ID, w.slot(s)) {
			return
		}
		into = append(into, session.Record{})
		w.sessions.Record(s, now, &into[len(into)-1])
	})
	return into, next
}

// slot returns the slot of a session.
func (w *Worker) slot(s *session.Session) uint8 {
	return session.Slot(w.sessions.Path(s.Path).Protocol, s.Client, s.ClientPort)
}

// Digests returns what is here of every home's sessions, by slot.
func (p *Plane) Digests(ctx context.Context) (map[session.NodeID]*[session.Slots]session.Digest, error) {
	all := map[session.NodeID]*[session.Slots]session.Digest{}
	for _, w := range p.workers {
		part, err := inquire(ctx, p, w, w.digests)
		if err != nil {
			return nil, err
		}
		slots := slotsOf(w.id, w.workers)
		for home, d := range part {
			if all[home] == nil {
				all[home] = new([session.Slots]session.Digest)
			}
			copy(all[home][slots[0]:slots[1]], d)
		}
	}
	return all, nil
}

// digests returns those of the worker's slots.
func (w *Worker) digests() map[session.NodeID][]session.Digest {
	slots := slotsOf(w.id, w.workers)
	all := map[session.NodeID][]session.Digest{}
	for _, home := range w.sessions.Homes() {
		for slot := slots[0]; slot < slots[1]; slot++ {
			all[home] = append(all[home], w.sessions.Digest(home, uint8(slot)))
		}
	}
	return all
}
