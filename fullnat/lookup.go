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
	left  int // parts of the answer that are missing
	found []session.Record
}

// maxLookups is how many calls may wait at a worker.
const maxLookups = 1024

// Lookup finds the sessions to which packets with these ends belong. It calls
// reply once, with a record of each that is here, from a worker's goroutine:
// reply must not block. The tuples must not be changed any more.
func (p *Plane) Lookup(tuples []packet.Tuple, reply func([]session.Record)) {
	snap := p.current.Load()
	asked := make([]bool, len(p.workers))
	for i := range tuples {
		asked[ownerOf(slotOf(&tuples[i], snap.side(&tuples[i])), len(p.workers))] = true
	}
	l := &lookup{tuples: tuples, reply: reply, left: 1}
	for id, w := range p.workers {
		if !asked[id] {
			continue
		}
		l.expect()
		select {
		case w.lookups <- l:
			w.queue.Wake()
		default: // so busy that we are no help
			l.add(nil)
		}
	}
	l.add(nil)
}

// expect counts one more who will add its part.
func (l *lookup) expect() {
	l.mu.Lock()
	l.left++
	l.mu.Unlock()
}

// look answers one lookup as far as this worker can.
func (w *Worker) look(now session.Tick) {
	if len(w.lookups) == 0 {
		return
	}
	l := <-w.lookups
	var found []session.Record
	for i := range l.tuples {
		if w.fence.up { // what is here may be over
			break
		}
		s, _ := w.sessions.Find(&l.tuples[i])
		if s == nil {
			continue
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
