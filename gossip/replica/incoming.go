package replica

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"fleetlb/session"
)

// incoming is the stream of records from one peer. Records are applied in the
// order of its numbers, under mu.
type incoming struct {
	mu      sync.Mutex
	known   bool
	stream  uint32
	next    uint32         // the number to be applied next
	held    [window][]byte // batches that cannot be applied yet, as they came, by number
	end     uint32         // behind the last of them
	full    atomic.Bool    // there was no room for the next; it is held
	spare   [][]byte
	records []session.Record
	watches []*watch // of the pulls under way from this peer
}

// Receive takes a datagram of another director. The payload may be used again
// when it returns.
func (e *Engine) Receive(from session.Owner, payload []byte) {
	now := time.Now()
	r := e.roster.Load()
	life, blocks, why := parseHeader(payload)
	s := r.seats[from.ID]
	switch {
	case why != fine:
	case s == nil || from.Epoch > s.Epoch:
		why = refuseStranger
	case from.Epoch < s.Epoch || life != r.self.Epoch:
		why = refuseStale
	}
	if why != fine {
		e.refuse(why)
		return
	}
	for len(blocks) > 0 {
		kind, body, rest, ok := nextBlock(blocks)
		if !ok || !e.receive(r, s, kind, body, now) {
			e.refuse(refuseShape)
			return
		}
		blocks = rest
	}
}

// receive takes one block and says whether it was well formed.
func (e *Engine) receive(r *roster, s *seat, kind byte, body []byte, now time.Time) bool {
	switch kind {
	case blockBatch:
		var v batchView
		if !v.parse(body) {
			return false
		}
		s.incoming.mu.Lock()
		defer s.incoming.mu.Unlock()
		s.incoming.take(e, r, s, body, &v, now)
	case blockAck:
		var a ackState
		if !a.parse(body) {
			return false
		}
		e.heard(s.peer, &a, now)
	case blockRestart:
		if len(body) < 4 {
			return false
		}
		e.restart(r, s.peer, binary.BigEndian.Uint32(body))
	case blockAsk:
		return e.questioned(s, body)
	case blockAnswer:
		return e.told(r, s, body)
	}
	return true
}

// take takes a batch: it is applied, held until it can be, or known already.
func (in *incoming) take(e *Engine, r *roster, s *seat, body []byte, v *batchView, now time.Time) {
	if !in.known || int32(v.stream-in.stream) > 0 {
		if v.oldest != 1 {
			e.beg(s.peer, v.stream) // we have missed its beginning
			return
		}
		in.reset()
		in.known, in.stream, in.next, in.end = true, v.stream, 1, 1
	}
	if v.stream != in.stream {
		return
	}
	switch ahead := v.number - in.next; {
	case int32(ahead) < 0 || ahead < window && in.held[v.number%window] != nil:
		e.counts.duplicates.Add(1)
	case ahead >= window:
		e.refuse(refuseWindow)
		return
	case ahead == 0 && in.apply(e, r, s, v):
		in.next++
		in.drain(e, r, s)
	default:
		in.hold(v.number, body)
		in.full.Store(ahead == 0)
	}
	e.acknowledge(s.peer, in.state(), now)
}

// drain applies what is held, as far as nothing is missing and there is room.
func (in *incoming) drain(e *Engine, r *roster, s *seat) (progress bool) {
	for {
		place := &in.held[in.next%window]
		if *place == nil {
			in.full.Store(false)
			return progress
		}
		var v batchView
		v.parse(*place) // it was well formed when it came
		if !in.apply(e, r, s, &v) {
			in.full.Store(true)
			return progress
		}
		in.spare = append(in.spare, *place)
		*place = nil
		in.next++
		progress = true
	}
}

// retry tries again to apply what there was no room for, and says whether it is
// to be called again.
func (in *incoming) retry(e *Engine, r *roster, p *peer, now time.Time) bool {
	s := r.seats[p.owner.ID]
	if !in.full.Load() {
		return false
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.drain(e, r, s) {
		e.acknowledge(p, in.state(), now)
	}
	return in.full.Load()
}

func (in *incoming) hold(number uint32, body []byte) {
	var b []byte
	if last := len(in.spare) - 1; last >= 0 {
		b, in.spare = in.spare[last], in.spare[:last]
	}
	in.held[number%window] = append(b[:0], body...)
	if int32(number+1-in.end) > 0 {
		in.end = number + 1
	}
}

func (in *incoming) reset() {
	for i, b := range in.held {
		if b != nil {
			in.spare = append(in.spare, b)
			in.held[i] = nil
		}
	}
	in.full.Store(false)
}

// state is what the peer is to know of its stream.
func (in *incoming) state() (a ackState) {
	a.stream, a.applied = in.stream, in.next-1
	for n := in.next; int32(in.end-n) > 0; n++ {
		if in.held[n%window] != nil {
			i := n - in.next
			a.held[i/8] |= 1 << (i % 8)
			a.bits = int(i/8) + 1
		}
	}
	return a
}

// apply gives a batch's records to the sessions.
func (in *incoming) apply(e *Engine, r *roster, s *seat, v *batchView) bool {
	in.records = in.records[:0]
	var bad [numRefusals]uint64
	from := s.Owner()
	for rest := v.records; len(rest) > 0; {
		var bytes []byte
		var ok bool
		if bytes, rest, ok = nextRecord(rest); !ok {
			bad[refuseShape]++
			break
		}
		in.records = append(in.records, session.Record{})
		record := &in.records[len(in.records)-1]
		why := refuseRecord
		if _, err := record.Parse(bytes, from); err == nil {
			why = r.admit(s, record)
		}
		if why != fine {
			bad[why]++
			in.records = in.records[:len(in.records)-1]
		}
	}
	if len(in.records) > 0 && !e.sessions.Apply(from, false, in.records) {
		return false
	}
	for why, n := range bad {
		if n > 0 {
			e.refused[why].Add(n)
		}
	}
	e.counts.applied.Add(uint64(len(in.records)))
	for _, w := range in.watches {
		w.see(in.records)
	}
	if !v.behind.empty() {
		e.fallBehind(s.peer, &v.behind)
	}
	return true
}

// acknowledge lets the peer know what has arrived: at once, or soon if it was
// told only now.
func (e *Engine) acknowledge(p *peer, a ackState, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := &p.outgoing
	o.ack, o.ackDue = a, true
	if o.ackBy = o.acked.Add(ackDelay); !o.ackBy.After(now) {
		e.send(p, nil, now)
	} else {
		e.wakeBy(o.ackBy)
	}
}

// beg asks the peer to begin its stream anew.
func (e *Engine) beg(p *peer, stream uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p.outgoing.restart = stream
	e.wake()
}

// restart begins the stream to a peer anew: the peer has forgotten it. What it
// may have missed, it pulls.
func (e *Engine) restart(r *roster, p *peer, stream uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if o := &p.outgoing; stream == o.stream {
		o.begin(e)
		missed := r.keptBy(p.owner.ID)
		o.behind.unite(&missed)
		e.wake()
	}
}
