package replica

import (
	"encoding/binary"
	"sync"
	"time"

	"fleetlb/session"
)

// A worker tells between two batches of packets and must not wait. So it only
// leaves its records on a stage of its own, already as they go onto the wire; run
// takes them from there and hands them out.

// numStages is how many workers have a stage to themselves.
const numStages = 16

// maxStaged is how many bytes wait on a stage at most: a tenth of a million
// records, as when a draining director shares every session it has.
const maxStaged = 4 << 20

type stage struct {
	mu      sync.Mutex
	filling leaf
	lost    slotSet // of records for which there was no room

	handing leaf // run's
}

// A leaf is records with what run must know of each.
type leaf struct {
	bytes []byte
	items []item
	since time.Time // of the first
}

// An item is a record on a leaf.
type item struct {
	end  uint32 // of its bytes
	slot uint8
	wide bool
	kind session.Kind
	home session.NodeID
}

// Tell is for a worker: news of sessions, for all that should have them.
func (e *Engine) Tell(worker int, records []session.Record) {
	r := e.roster.Load()
	if len(r.peers) == 0 || len(records) == 0 {
		return
	}
	s := &e.stages[uint(worker)%numStages]
	s.mu.Lock()
	first := len(s.filling.items) == 0
	if first {
		s.filling.since = time.Now()
	}
	since := s.filling.since
	for i := range records {
		s.put(&records[i], r.self)
	}
	s.mu.Unlock()
	e.counts.told.Add(uint64(len(records)))
	if first {
		e.wakeBy(since.Add(pace))
	}
}

func (s *stage) put(r *session.Record, self session.Owner) {
	slot := r.ClientSlot()
	l := &s.filling
	if len(l.bytes) >= maxStaged {
		s.lost.add(slot)
		return
	}
	l.bytes = appendRecord(l.bytes, r, self)
	l.items = append(l.items, item{uint32(len(l.bytes)), slot, r.Wide, r.Kind, r.Home.ID})
}

// appendRecord appends a record with its length in front, so that one who does
// not understand it can pass it over.
func appendRecord(b []byte, r *session.Record, from session.Owner) []byte {
	at := len(b)
	b = r.AppendTo(append(b, 0), from)
	n := len(b) - at - 1
	if n < 0x80 {
		b[at] = byte(n)
		return b
	}
	b = append(b, 0)
	copy(b[at+2:], b[at+1:])
	binary.PutUvarint(b[at:], uint64(n))
	return b
}

// nextRecord cuts the first record off b.
func nextRecord(b []byte) (record, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return nil, nil, false
	}
	return b[w : w+int(n)], b[w+int(n):], true
}

// take exchanges the leaves.
func (s *stage) take() (lost slotSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filling, s.handing = s.handing, s.filling
	lost, s.lost = s.lost, slotSet{}
	return lost
}

// distribute hands out what is on a stage: to the keepers of its slot and, where
// that is another, to its home.
func (e *Engine) distribute(r *roster, s *stage) {
	lost := s.take()
	if !lost.empty() {
		e.counts.overflowed.Add(uint64(lost.len()))
		for _, p := range r.peers {
			p.outgoing.behind.unite(&lost)
		}
	}
	l := &s.handing
	begin := uint32(0)
	for i := range l.items {
		it := &l.items[i]
		bytes := l.bytes[begin:it.end]
		begin = it.end
		ticket := noTicket
		if it.kind == session.Update {
			ticket = e.tickets.issue(l.since)
		}
		switch {
		case it.wide:
			for _, p := range r.peers {
				e.queue(p, bytes, it.slot, ticket)
			}
		case it.home == r.self.ID:
			for _, p := range r.own[it.slot] {
				e.queue(p, bytes, it.slot, ticket)
			}
		default:
			for k := range r.keepers(it.slot, it.home) {
				if k.peer != nil {
					e.queue(k.peer, bytes, it.slot, ticket)
				}
			}
			if home := r.seats[it.home]; home != nil {
				e.queue(home.peer, bytes, it.slot, ticket)
			} else if away := r.absent[it.home]; away != nil {
				e.queue(away, bytes, it.slot, noTicket)
			}
		}
		e.tickets.issued(ticket)
	}
	l.bytes, l.items = l.bytes[:0], l.items[:0]
}
