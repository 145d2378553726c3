package replica

import (
	"encoding/binary"
	"sync/atomic"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// maxLookups is how many blocks of questions of one peer are looked up at once.
const maxLookups = 64

// A limiter counts the blocks of questions that are being looked up for a peer.
type limiter struct{ n atomic.Int32 }

func (l *limiter) enter() bool {
	if l.n.Add(1) > maxLookups {
		l.n.Add(-1)
		return false
	}
	return true
}

func (l *limiter) leave() { l.n.Add(-1) }

// questioned takes a block of questions and says whether it was well formed.
func (e *Engine) questioned(s *seat, body []byte) bool {
	if len(body) < 4 {
		return false
	}
	id := binary.BigEndian.Uint32(body)
	var tuples []packet.Tuple
	for rest := body[4:]; len(rest) > 0 && len(tuples) < 64; {
		t, next, ok := parseTuple(rest)
		if !ok {
			return false
		}
		tuples, rest = append(tuples, t), next
	}
	if !s.answers.enter() {
		e.refuse(refuseQuestions)
		return true
	}
	e.counts.answered.Add(uint64(len(tuples)))
	e.sessions.Lookup(tuples, func(records []session.Record) {
		s.answers.leave()
		e.answer(s.peer, id, tuples, records)
	})
	return true
}

// answer tells a peer which of its questions we know the sessions of.
func (e *Engine) answer(p *peer, id uint32, tuples []packet.Tuple, records []session.Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.gone {
		return
	}
	self := e.roster.Load().self
	known := make(map[packet.Tuple]*session.Record, 2*len(records))
	for i := range records {
		r := &records[i]
		known[r.Face(session.Inbound)], known[r.Face(session.Outbound)] = r, r
	}

	var d []byte
	var at int
	var covered uint64
	begin := func() {
		d = appendHeader(e.scratch[:0], p.owner.Epoch)
		at = len(d)
		d = binary.BigEndian.AppendUint32(openBlock(d, blockAnswer), id)
		d = binary.BigEndian.AppendUint64(d, 0)
		covered = 0
	}
	end := func() {
		binary.BigEndian.PutUint64(d[at+blockSize+4:], covered)
		e.post(p, closeBlock(d, at))
	}
	begin()
	for n, t := range tuples {
		if r := known[t]; r != nil {
			if len(d)+3+session.MaxRecord > MaxDatagram {
				end()
				begin()
			}
			d = appendRecord(append(d, byte(n)), r, self)
		}
		covered |= 1 << n
	}
	end()
}
