package fullnat

import (
	"sync"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A lookup is what another director asks us. Several workers may know a part of
// the answer; the last of them gives it.
type lookup struct {
	tuples []packet.Tuple
	reply  func([]session.Record)

	mu    sync.Mutex
	left  int // workers that have not looked
	found []session.Record
}

// MaxLookup is how many tuples one call of [Plane.Lookup] may have.
const MaxLookup = 128

// maxLookups is how many calls may wait at a worker.
const maxLookups = 64

// Lookup finds the sessions to which packets with these ends belong and gives
// reply a record of each that is here, from a worker's goroutine: reply must not
// block. It is not called if the plane is too busy, cannot vouch for what it
// knows, or has ended; whoever asks then goes on without us. The tuples must not
// be changed any more.
func (p *Plane) Lookup(tuples []packet.Tuple, reply func([]session.Record)) {
	snap := p.current.Load()
	asked := make([]bool, len(p.workers))
	l := &lookup{tuples: tuples, reply: reply}
	for i := range tuples {
		id := ownerOf(slotOf(&tuples[i], snap.side(&tuples[i])), len(p.workers))
		if !asked[id] {
			asked[id] = true
			l.left++
		}
	}
	if len(tuples) > MaxLookup || l.left == 0 {
		return
	}
	for id, w := range p.workers {
		if !asked[id] {
			continue
		}
		select {
		case w.lookups <- l:
			w.queue.Wake()
		default: // the others find it incomplete and say nothing
		}
	}
}

// look answers one lookup as far as this worker can. A session that others know
// of only by asking is shared from then on.
func (w *Worker) look(now session.Tick) {
	if len(w.lookups) == 0 {
		return
	}
	l := <-w.lookups
	if w.fence.up {
		return
	}
	var found []session.Record
	for i := range l.tuples {
		s, _ := w.sessions.Find(&l.tuples[i])
		if s == nil {
			continue
		}
		if !s.Shared() {
			w.sessions.Share(s, now)
			w.tell(s, now)
		}
		found = append(found, session.Record{})
		w.sessions.Record(s, now, &found[len(found)-1])
	}
	w.fleet.Answered += uint64(len(found))
	l.add(found)
}

// add takes one worker's part of the answer.
func (l *lookup) add(found []session.Record) {
	l.mu.Lock()
	l.found = append(l.found, found...)
	l.left--
	complete := l.left == 0
	l.mu.Unlock()
	if complete {
		l.reply(l.found)
	}
}
