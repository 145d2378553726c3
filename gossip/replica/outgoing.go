package replica

import (
	"encoding/binary"
	"time"
)

const (
	// window is how many batches may be under way to a peer at once.
	window = 256
	// narrow is where the window begins, and as small as losses make it.
	narrow = 32
	// maxQueue is how many batches wait for a peer at most: 60,000 records, which
	// is more than a second of 20,000 new sessions in each.
	maxQueue = 1 << 11
	// pace is how long a batch that is not full waits for more after the last.
	pace = time.Millisecond
	// ackDelay is how long an acknowledgement waits for a datagram to go along.
	ackDelay = time.Millisecond
)

// outgoing is the stream of records to one peer. Engine.mu guards it.
type outgoing struct {
	stream uint32   // its number
	oldest uint32   // the number of queue[0]
	queue  []*batch // what is not known to be applied
	sent   int      // so many of queue have been sent
	behind slotSet  // what the queue had no room for

	width    int // of the window as of now
	trip     trip
	timeouts int       // in a row, without a word from the peer
	halved   time.Time // when the window was last made smaller
	last     time.Time // when a batch was last sent for the first time
	deadline time.Time // of the oldest that is under way; zero: none is

	ack     ackState // what to tell the peer of its own stream
	ackBy   time.Time
	ackDue  bool
	acked   time.Time // when it was last told
	restart uint32    // tell the peer to begin this stream anew; 0: none
}

// begin makes it a new stream. What is queued is sent again from the first on.
func (o *outgoing) begin(e *Engine) {
	e.streams++
	o.stream, o.oldest, o.sent = e.streams, 1, 0
	o.width, o.timeouts, o.deadline = narrow, 0, time.Time{}
	for _, b := range o.queue {
		b.held, b.sends = false, 0
	}
}

// drop forgets what is queued.
func (o *outgoing) drop(e *Engine) {
	for _, b := range o.queue {
		o.discard(e, b)
	}
	o.queue, o.sent, o.behind = nil, 0, slotSet{}
	o.deadline = time.Time{}
}

func (o *outgoing) discard(e *Engine, b *batch) {
	for _, n := range b.tickets {
		e.tickets.release(n)
	}
	e.pool.put(b)
}

// queue puts a record into the stream to p.
func (e *Engine) queue(p *peer, record []byte, slot uint8, ticket int32) {
	o := &p.outgoing
	if o.behind.has(slot) && len(o.queue) >= maxQueue/2 {
		return // it will be pulled
	}
	b := o.open(e, len(record))
	if b == nil {
		o.behind.add(slot)
		e.counts.overflowed.Add(1)
		return
	}
	b.body = append(b.body, record...)
	if ticket != noTicket {
		b.tickets = append(b.tickets, ticket)
		e.tickets.hold(ticket)
	}
	e.counts.queued.Add(1)
}

// open returns a batch that is not sent yet and has so much room, nil if the
// queue is full.
func (o *outgoing) open(e *Engine, room int) *batch {
	if n := len(o.queue); n > o.sent {
		if b := o.queue[n-1]; len(b.body)+room <= maxBody {
			return b
		}
	}
	if len(o.queue) >= maxQueue {
		return nil
	}
	b := e.pool.get()
	o.queue = append(o.queue, b)
	return b
}

// flush sends p what is due and returns when more will be.
func (e *Engine) flush(p *peer, now time.Time) (next time.Time) {
	o := &p.outgoing
	next = now.Add(idle)
	if !o.behind.empty() && len(o.queue) < maxQueue/2 {
		b := o.open(e, 0)
		b.behind.unite(&o.behind)
		o.behind = slotSet{}
	}
	e.resend(p, now)
	e.sendNew(p, now, &next)
	e.sendQuestions(p, now)
	if len(p.asked) > 0 {
		next = earlier(next, now.Add(askUntil))
	}
	if o.restart != 0 || o.ackDue && !now.Before(o.ackBy) {
		e.send(p, nil, now)
	}
	if o.ackDue {
		next = earlier(next, o.ackBy)
	}
	if !o.deadline.IsZero() {
		next = earlier(next, o.deadline)
	}
	return next
}

// sendNew sends batches for the first time: those that have no room left at
// once, the last, which has, if the stream was idle for a while.
func (e *Engine) sendNew(p *peer, now time.Time, next *time.Time) {
	o := &p.outgoing
	for o.sent < min(len(o.queue), o.width) {
		if last := o.sent == len(o.queue)-1; last {
			if due := o.last.Add(pace); due.After(now) {
				*next = earlier(*next, due)
				break
			}
		}
		b := o.queue[o.sent]
		b.number = o.oldest + uint32(o.sent)
		o.sent++
		o.last = now
		e.send(p, b, now)
		if o.deadline.IsZero() {
			o.deadline = now.Add(o.trip.timeout())
		}
	}
}

// resend sends again what has been under way for too long. To a peer that says
// nothing at all, less and less; the oldest is sent even if the peer holds it,
// for its acknowledgement may have been lost.
func (e *Engine) resend(p *peer, now time.Time) {
	o := &p.outgoing
	if o.deadline.IsZero() || now.Before(o.deadline) {
		return
	}
	o.deadline = time.Time{}
	patience := o.trip.timeout()
	if o.timeouts > patient {
		patience = min(patience<<min(o.timeouts-patient, 10), maxTimeout)
	}
	budget := narrow
	if o.timeouts > patient {
		budget = 1
	}
	again := false
	for i, b := range o.queue[:o.sent] {
		if b.held && i > 0 {
			continue
		}
		due := b.sentAt.Add(patience)
		if !due.After(now) {
			if budget == 0 {
				due = now.Add(pace)
			} else {
				budget--
				again = true
				e.counts.resent.Add(1)
				e.send(p, b, now)
				due = now.Add(patience)
			}
		}
		if o.deadline.IsZero() || due.Before(o.deadline) {
			o.deadline = due
		}
	}
	if again {
		o.timeouts++
		o.shrink(now)
	}
}

// patient is after how many timeouts in a row resending slows down.
const patient = 8

// shrink halves the window, once for all that is lost at a time.
func (o *outgoing) shrink(now time.Time) {
	if now.Sub(o.halved) > o.trip.timeout() {
		o.width, o.halved = max(o.width/2, narrow), now
	}
}

// heard takes the peer's word on what it has.
func (e *Engine) heard(p *peer, a *ackState, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := &p.outgoing
	if a.stream != o.stream || a.applied-o.oldest+1 > uint32(o.sent) {
		return // of a former stream, or reordered: older than what we know
	}
	o.timeouts = 0
	n := int(a.applied - o.oldest + 1)
	var newest time.Time // when the last of those that arrived was sent
	for _, b := range o.queue[:n] {
		if b.sends == 1 {
			newest = b.sentAt
			if !b.held {
				o.trip.measure(now.Sub(b.sentAt))
			}
		}
		for _, t := range b.tickets {
			e.tickets.arrived(t, now)
		}
		e.pool.put(b)
	}
	o.oldest += uint32(n)
	o.sent -= n
	o.queue = o.queue[:copy(o.queue, o.queue[n:])]
	o.width = min(o.width+n, window)

	for i := range min(8*a.bits, o.sent) {
		if b := o.queue[i]; a.held[i/8]&(1<<(i%8)) != 0 && !b.held {
			b.held = true
			if b.sends == 1 && b.sentAt.After(newest) {
				newest = b.sentAt
				o.trip.measure(now.Sub(b.sentAt))
			}
		}
	}
	o.lost(e, p, newest, now)
	o.rearm()
	if len(o.queue) > o.sent {
		e.wakeBy(now.Add(pace))
	}
}

// lost sends again what was sent well before something that has arrived.
func (o *outgoing) lost(e *Engine, p *peer, newest, now time.Time) {
	if newest.IsZero() {
		return
	}
	before := newest.Add(-reordering - o.trip.smooth/4)
	budget := narrow
	for _, b := range o.queue[:o.sent] {
		if budget > 0 && !b.held && b.sends == 1 && b.sentAt.Before(before) {
			budget--
			e.counts.resent.Add(1)
			e.send(p, b, now)
			o.shrink(now)
		}
	}
}

// reordering is how much later than its successor a datagram may come without
// being taken for lost.
const reordering = time.Millisecond

// rearm sets the time when something under way is to be sent again.
func (o *outgoing) rearm() {
	o.deadline = time.Time{}
	for i, b := range o.queue[:o.sent] {
		if b.held && i > 0 {
			continue
		}
		if due := b.sentAt.Add(o.trip.timeout()); o.deadline.IsZero() || due.Before(o.deadline) {
			o.deadline = due
		}
	}
}

// send puts together a datagram: a batch, if there is one, and what else the
// peer should know.
func (e *Engine) send(p *peer, b *batch, now time.Time) {
	o := &p.outgoing
	d := appendHeader(e.scratch[:0], p.owner.Epoch)
	if o.restart != 0 {
		d = appendRestart(d, o.restart)
		o.restart = 0
	}
	if o.ackDue {
		d = o.ack.appendTo(d)
		o.ackDue, o.acked = false, now
	}
	if b != nil {
		d = o.appendBatch(d, b)
		b.sends++
		b.sentAt = now
	}
	e.post(p, d)
}

func (o *outgoing) appendBatch(d []byte, b *batch) []byte {
	at := len(d)
	d = openBlock(d, blockBatch)
	d = binary.BigEndian.AppendUint32(d, o.stream)
	d = binary.BigEndian.AppendUint32(d, b.number)
	d = binary.BigEndian.AppendUint16(d, uint16(b.number-o.oldest))
	if b.behind.empty() {
		d = append(d, 0, 0)
	} else {
		d = append(d, 0, 2+slotSetSize, extensionBehind, slotSetSize)
		d = b.behind.appendTo(d)
	}
	return closeBlock(append(d, b.body...), at)
}

// post gives the wire a datagram. Whether it arrives is for acknowledgements to
// say.
func (e *Engine) post(p *peer, d []byte) {
	e.counts.datagrams.Add(1)
	e.counts.bytes.Add(uint64(len(d)))
	if e.wire.Send(p.owner.ID, d) != nil {
		e.counts.unsent.Add(1)
	}
}
