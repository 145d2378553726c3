package replica

import (
	"encoding/binary"
	"slices"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

const (
	// maxQuestions is how many questions are open at most. Those beyond are not
	// asked; the worker gives up by itself.
	maxQuestions = 4096
	// askAgain is after how long a question that was not answered is put again.
	askAgain = 40 * time.Millisecond
	// askUntil is after how long nobody knows.
	askUntil = 200 * time.Millisecond
	// smallFleet is how many others there may be for all of them to be asked.
	smallFleet = 16
	// maxTuples is how many questions a datagram asks.
	maxTuples = 32
)

// A question is a tuple that a worker asked for.
type question struct {
	tuple packet.Tuple
	since time.Time
	again time.Time // when to ask those that have not answered
	wide  bool      // everybody is being asked
	asked []inquiry
}

// An inquiry is a question to one peer.
type inquiry struct {
	peer   *peer
	denied bool // it knows no such session
}

// asked is a block of questions that is under way to a peer.
type asked struct {
	tuples []packet.Tuple
	since  time.Time
}

// answered is a question that is to be closed.
type answered struct {
	tuple  packet.Tuple
	record *session.Record
}

// Ask is for a worker: who knows the session of such a packet? The sessions are
// told by Found.
func (e *Engine) Ask(worker int, tuples []packet.Tuple) {
	r := e.roster.Load()
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range tuples {
		if e.questions[t] != nil {
			continue
		}
		if len(e.questions) >= maxQuestions {
			e.counts.unaskable.Add(1)
			continue
		}
		e.counts.asked.Add(1)
		q := &question{tuple: t, since: now, again: now.Add(askAgain)}
		e.questions[t] = q
		e.first(r, q)
	}
	e.wake()
}

// first asks those who should know: the director whose block the packet came to,
// and the keepers of the slot.
func (e *Engine) first(r *roster, q *question) {
	t := q.tuple
	if home, ok := r.homeOf(t.Dst); ok { // outbound: to a local address
		if s := r.seats[home]; s != nil {
			q.ask(s.peer)
		}
		q.askKeepers(r, uint8(t.DstPort), home)
	} else {
		q.askKeepers(r, session.Slot(t.Protocol, t.Src, t.SrcPort), r.self.ID)
	}
	if !e.settle(r, q) {
		e.pursueAt = earlier(e.pursueAt, q.again)
	}
}

// widen asks the others as well, if they are few. If they are not, it asks those
// who should know if the packet is a server's answer to a client: in a mode
// without local addresses nothing tells which way a packet goes.
func (e *Engine) widen(r *roster, q *question) {
	q.wide = true
	if len(r.peers) > smallFleet {
		q.askKeepers(r, session.Slot(q.tuple.Protocol, q.tuple.Dst, q.tuple.DstPort), r.self.ID)
		return
	}
	for _, p := range r.peers {
		q.ask(p)
	}
}

func (q *question) askKeepers(r *roster, slot uint8, home session.NodeID) {
	for k := range r.keepers(slot, home) {
		if k.peer != nil {
			q.ask(k.peer)
		}
	}
}

// ask puts the question to p, once.
func (q *question) ask(p *peer) {
	if !slices.ContainsFunc(q.asked, func(i inquiry) bool { return i.peer == p }) {
		q.asked = append(q.asked, inquiry{peer: p})
		p.asking = append(p.asking, q.tuple)
	}
}

// denied says whether nobody who was asked knows.
func (q *question) denied() bool {
	return !slices.ContainsFunc(q.asked, func(i inquiry) bool { return !i.denied && !i.peer.gone })
}

// pursue looks after the open questions and returns when to do so again.
func (e *Engine) pursue(r *roster, now time.Time) (next time.Time) {
	if len(e.questions) == 0 {
		return now.Add(idle)
	}
	if now.Before(e.pursueAt) {
		return e.pursueAt
	}
	e.pursueAt = now.Add(askAgain)
	for _, q := range e.questions {
		switch {
		case !now.Before(q.since.Add(askUntil)):
			e.close(q, nil)
			continue
		case !now.Before(q.again):
			e.repeat(r, q, now)
		}
		if !e.settle(r, q) {
			e.pursueAt = earlier(e.pursueAt, earlier(q.again, q.since.Add(askUntil)))
		}
	}
	e.pursueAt = e.pursueAt.Add(pace) // several at a time
	return e.pursueAt
}

// repeat asks again those that have not answered, and all others.
func (e *Engine) repeat(r *roster, q *question, now time.Time) {
	q.again = now.Add(askAgain)
	for _, i := range q.asked {
		if !i.denied && !slices.Contains(i.peer.asking, q.tuple) {
			i.peer.asking = append(i.peer.asking, q.tuple)
		}
	}
	if !q.wide {
		e.widen(r, q)
	}
}

// settle closes a question if nobody knows.
func (e *Engine) settle(r *roster, q *question) (closed bool) {
	if q.denied() && !q.wide {
		e.widen(r, q)
	}
	if q.denied() {
		e.close(q, nil)
		return true
	}
	return false
}

func (e *Engine) close(q *question, record *session.Record) {
	delete(e.questions, q.tuple)
	e.answered = append(e.answered, answered{q.tuple, record})
}

// sendQuestions sends what is to be asked of p.
func (e *Engine) sendQuestions(p *peer, now time.Time) {
	for len(p.asking) > 0 {
		d := appendHeader(e.scratch[:0], p.owner.Epoch)
		at := len(d)
		d = openBlock(d, blockAsk)
		p.askID++
		d = binary.BigEndian.AppendUint32(d, p.askID)
		n := 0
		for n < min(len(p.asking), maxTuples) && len(d)+maxTupleSize <= MaxDatagram {
			d = appendTuple(d, p.asking[n])
			n++
		}
		p.asked[p.askID] = asked{slices.Clone(p.asking[:n]), now}
		p.asking = p.asking[n:]
		e.post(p, closeBlock(d, at))
	}
	p.asking = nil
	for id, a := range p.asked {
		if now.Sub(a.since) >= askUntil {
			delete(p.asked, id)
		}
	}
}

// told takes an answer and says whether it was well formed.
func (e *Engine) told(r *roster, s *seat, body []byte) bool {
	if len(body) < 12 {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	a, ok := s.asked[binary.BigEndian.Uint32(body)]
	if !ok {
		e.refuse(refuseUnasked)
		return true
	}
	covered := binary.BigEndian.Uint64(body[4:])
	var found uint64
	for rest := body[12:]; len(rest) > 0; {
		n := int(rest[0])
		bytes, next, ok := nextRecord(rest[1:])
		if !ok {
			return false
		}
		rest = next
		if n >= len(a.tuples) {
			e.refuse(refuseUnasked)
			continue
		}
		var record session.Record
		if _, err := record.Parse(bytes, s.Owner()); err != nil {
			e.refuse(refuseRecord)
			continue
		}
		if why := r.admitAnswer(s, &record, a.tuples[n]); why != fine {
			e.refuse(why)
			continue
		}
		found |= 1 << n
		if q := e.questions[a.tuples[n]]; q != nil {
			e.counts.found.Add(1)
			e.close(q, &record)
		}
	}
	for n, t := range a.tuples {
		if q := e.questions[t]; q != nil && covered&^found&(1<<n) != 0 {
			q.deny(s.peer)
			e.settle(r, q)
		}
	}
	e.wake()
	return true
}

func (q *question) deny(p *peer) {
	for i := range q.asked {
		if q.asked[i].peer == p {
			q.asked[i].denied = true
		}
	}
}

// admitAnswer says whether a record answers the question.
func (r *roster) admitAnswer(s *seat, record *session.Record, t packet.Tuple) refusal {
	if why := r.admitAsked(s, record); why != fine {
		return why
	}
	if record.Face(session.Inbound) != t && record.Face(session.Outbound) != t {
		return refuseUnasked
	}
	return fine
}
