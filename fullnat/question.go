package fullnat

import (
	"hash/maphash"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A packet of a session that is not here may belong to one that another director
// knows: routers move connections as they like. The other directors are asked,
// and the packet waits for their answer.
//
// A flood of packets that belong to nothing looks the same. So everything here
// is bounded, nothing is allocated, and what nobody knew a moment ago is not
// asked for again.
type seeking struct {
	open   [maxQuestions]question
	sought [maxSought]sought
	vacant uint16 // the first free place in sought, 1 more than its index; 0: none
	fresh  uint16 // places from here on were never used
	held   int    // frames in sought
	left   int    // how many may still be asked in this tick
	denied [maxDenied]denial
	seed   maphash.Seed
}

// A question is a session that the other directors have been asked for, and the
// packets that wait for the answer, in the order they came.
type question struct {
	tuple       packet.Tuple
	until       session.Tick // 0: the place is free
	first, last uint16       // places in sought, 1 more than their index
	n           int
}

// A sought is a frame that waits, and the one behind it.
type sought struct {
	frame *link.Frame
	next  uint16
}

// A denial is a session that nobody knew.
type denial struct {
	hash  uint64
	until session.Tick
}

const (
	maxQuestions     = 512
	maxSought        = 512              // frames that wait; a worker has twice as many
	maxSoughtOne     = 64               // of one session
	questionTimeout  = session.Tick(10) // one second, after which a sender has sent again itself
	questionsPerTick = 2000             // 20,000 a second
	maxDenied        = 4096             // so many at a time
	denialTimeout    = session.Tick(10) // one second
)

// hash cannot be foreseen: nobody may aim his packets at one place.
func (q *seeking) hash(t *packet.Tuple) uint64 { return maphash.Comparable(q.seed, *t) }

// find returns the question about t, or else a place for it, if there is one.
func (q *seeking) find(t *packet.Tuple, hash uint64) (a *question, found bool) {
	set := int(hash>>32) % (maxQuestions / ways) * ways
	for i := range q.open[set : set+ways] {
		switch b := &q.open[set+i]; {
		case b.until == 0:
			a = b
		case b.tuple == *t:
			return b, true
		}
	}
	return a, false
}

// wait puts a frame behind those that wait for the same answer.
func (q *seeking) wait(a *question, f *link.Frame) Verdict {
	if a.n == maxSoughtOne || q.held == maxSought {
		return DropSoughtLimit
	}
	at := q.vacant
	if at == 0 {
		q.fresh++
		at = q.fresh
	} else {
		q.vacant = q.sought[at-1].next
	}
	q.sought[at-1] = sought{frame: f}
	if a.n == 0 {
		a.first = at
	} else {
		q.sought[a.last-1].next = at
	}
	a.last = at
	a.n++
	q.held++
	return Parked
}

// close frees a question's place and returns the frames that waited, in into.
func (q *seeking) close(a *question, into *[batchSize]*link.Frame) (n int) {
	for at := a.first; at != 0; n++ {
		s := &q.sought[at-1]
		into[n] = s.frame
		s.frame = nil
		at, s.next, q.vacant = s.next, q.vacant, at
	}
	q.held -= n
	*a = question{}
	return n
}

func (q *seeking) deny(hash uint64, now session.Tick) {
	q.denied[hash%maxDenied] = denial{hash, now + denialTimeout}
}

func (q *seeking) isDenied(hash uint64, now session.Tick) bool {
	d := &q.denied[hash%maxDenied]
	return d.hash == hash && int32(d.until-now) > 0
}

// unknown is the verdict on a packet from a side whose session nobody knows. What
// a server says to others than its clients is its own affair, and the kernel's.
func unknown(from side) Verdict {
	if from == gated {
		return NotOurs
	}
	return DropNoSession
}

// seek keeps a packet whose session is not here until the others have said
// whose it is, unless nobody knows. t is how the session is known to such
// packets. For a SYN nobody is asked: there is no session before it.
func (w *Worker) seek(f *link.Frame, p *packet.Packet, t *packet.Tuple, now session.Tick, unknown Verdict) Verdict {
	if !w.snap.asks || opens(p.Flags) {
		return unknown
	}
	q := &w.seeking
	hash := q.hash(t)
	if q.isDenied(hash, now) {
		return unknown
	}
	a, asked := q.find(t, hash)
	switch {
	case asked:
		return q.wait(a, f)
	case a == nil || q.left == 0 || q.held == maxSought:
		w.fleet.Unasked++
		return DropUnasked
	}
	q.left--
	a.tuple, a.until = *t, now+questionTimeout
	w.question(t)
	return q.wait(a, f)
}

// hesitate says why a packet that opens a session must not do so yet, or
// Forwarded. A datagram may as well be one of many: whoever does not keep its
// slot asks first. If so many others are asked for that it cannot be, it opens a
// session: most datagrams do.
func (w *Worker) hesitate(f *link.Frame, p *packet.Packet, now session.Tick) Verdict {
	fleet := w.snap.Fleet
	if fleet == nil {
		return Forwarded
	}
	if p.Tuple.Protocol == packet.UDP && (w.fence.up || !fleet.whole(slotOf(&p.Tuple, client))) {
		if v := w.seek(f, p, &p.Tuple, now, DropNoSession); v == Parked || v == DropSoughtLimit {
			return v
		}
	}
	if w.fence.up {
		return DropFenced
	}
	return Forwarded
}

// A reply is what the others said to a question; without a record: nobody knows.
type reply struct {
	tuple  packet.Tuple
	record *session.Record
}

// Found is the answer to a question: the session to which packets with these
// ends belong, or nil if nobody knows it. One that comes too late is let go of.
func (p *Plane) Found(t packet.Tuple, r *session.Record) {
	answer := reply{tuple: t}
	if r != nil {
		if r.Valid() != nil || r.Face(session.Inbound) != t && r.Face(session.Outbound) != t {
			p.delivery.refuse()
			return
		}
		own := *r
		answer.record = &own
	}
	w := p.workers[ownerOf(slotOf(&t, p.current.Load().side(&t)), len(p.workers))]
	select {
	case w.replies <- answer:
		w.queue.Wake()
	default: // the packets that wait for it are dropped when their time is up
	}
}

const (
	maxReplies     = maxQuestions
	repliesPerTurn = 16
)

// hear takes the next few answers.
func (w *Worker) hear(now session.Tick) {
	for range min(len(w.replies), repliesPerTurn) {
		r := <-w.replies
		hash := w.seeking.hash(&r.tuple)
		if _, asked := w.seeking.find(&r.tuple, hash); !asked {
			continue
		}
		if r.record != nil && w.snap.Fleet != nil && w.install(r.record, now) {
			w.fleet.Pulled++
		} else {
			w.fleet.Unknown++
			w.seeking.deny(hash, now)
		}
		w.resume(&r.tuple, now)
	}
}

// resume carries the packets that waited to know of a session, in the order they
// came. Found or denied, it is not asked for again.
func (w *Worker) resume(t *packet.Tuple, now session.Tick) {
	q := &w.seeking
	a, asked := q.find(t, q.hash(t))
	if !asked {
		return
	}
	n := q.close(a, &w.batch.frames)
	for i := range n {
		w.batch.hops[i] = 1 // fragments have met
	}
	w.carryBatch(n, now)
}

// expireQuestions lets go of the packets whose answer did not come.
func (w *Worker) expireQuestions(now session.Tick) {
	q := &w.seeking
	q.left = questionsPerTick
	for i := range q.open {
		a := &q.open[i]
		if a.until == 0 || int32(now-a.until) < 0 {
			continue
		}
		w.fleet.Unanswered++
		n := q.close(a, &w.batch.frames)
		for _, f := range w.batch.frames[:n] {
			w.settle(f, DropUnanswered)
		}
	}
}
