package fullnat

import (
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// batchSize is how many frames a worker takes in hand at once: enough to spread
// the cost of a system call and to wait for the memory of all their sessions at
// the same time, few enough to stay in the first-level cache.
const batchSize = 64

// A batch is the frames in hand and what is known of each.
type batch struct {
	frames  [batchSize]*link.Frame
	packets [batchSize]packet.Packet
	tuples  [batchSize]*packet.Tuple // of packets,
	hashes  [batchSize]session.Hash  // and theirs
	faults  [batchSize]Verdict       // why the frame is no packet; Forwarded: it is one
	hops    [batchSize]uint8         // how often the frame was handed over
	n       int                      // frames there are,
	parsed  int                      // parsed,
	at      int                      // carried: the number of the one in hand
}

// receive carries one batch from the receive queue and returns its size. Nothing
// on a packet's way allocates, locks, logs or asks the clock: now was read once
// by run, and the snapshot is pinned, so every packet sees the same
// configuration.
func (w *Worker) receive(now session.Tick) int {
	n := w.queue.Recv(w.batch.frames[:])
	clear(w.batch.hops[:n])
	w.carryBatch(n, now)
	return n
}

// carryBatch carries the first n frames of the batch.
func (w *Worker) carryBatch(n int, now session.Tick) {
	w.batch.n, w.batch.parsed, w.batch.at = n, 0, 0
	for !w.carryRest(now) {
	}
}

// carryRest carries what is left of the batch: it parses all of it first, so
// that the sessions are fetched from memory side by side.
func (w *Worker) carryRest(now session.Tick) (done bool) {
	defer w.survive()
	b := &w.batch
	for ; b.parsed < b.n; b.parsed++ {
		f := b.frames[b.parsed]
		b.faults[b.parsed] = w.parse(f, &b.packets[b.parsed])
	}
	w.sessions.Prefetch(b.tuples[b.at:b.n], b.hashes[b.at:b.n])
	for ; b.at < b.n; b.at++ {
		f := b.frames[b.at]
		w.settle(f, w.forward(f, &b.packets[b.at], now))
	}
	return true
}

// survive ends a panic over the frame in hand at that frame: no packet, whatever
// is in it, may end the director. A panic anywhere else does end it, for a
// worker that cannot rely on its own books attracts traffic it does not carry.
func (w *Worker) survive() {
	panicked := recover()
	if panicked == nil {
		return
	}
	w.report(panicked)
	b := &w.batch
	if b.parsed < b.n {
		b.faults[b.parsed] = DropDefect
		b.parsed++
		return
	}
	w.settle(b.frames[b.at], DropDefect)
	b.at++
}

// parse proves a frame. What stands behind the IP packet, padding or worse, goes
// no further: it would leak into another network, and a checksum still owed
// covers all of the frame. An IP packet for one host in a frame for all is
// nobody's (RFC 1122 §3.3.6): every director on the link would answer it.
func (w *Worker) parse(f *link.Frame, p *packet.Packet) Verdict {
	if fault := packet.Parse(f.Bytes(), f.Offload.NeedsChecksum(), p); fault != packet.None {
		return faulty(fault)
	}
	if p.Ethernet().Multicast() && p.Kind != packet.ARP && p.Kind != packet.Neighbor {
		return DropBroadcast
	}
	f.Resize(len(p.Frame))
	return Forwarded
}

// forward is the life of one packet: find its session, carry it on.
func (w *Worker) forward(f *link.Frame, p *packet.Packet, now session.Tick) Verdict {
	if fault := w.batch.faults[w.batch.at]; fault != Forwarded {
		return fault
	}
	if p.Kind == packet.Flow {
		return w.flow(f, p, w.batch.hashes[w.batch.at], now)
	}
	return w.unusual(f, p, now)
}

// unusual sends everything that is not a whole TCP or UDP packet to its file.
func (w *Worker) unusual(f *link.Frame, p *packet.Packet, now session.Tick) Verdict {
	switch p.Kind {
	case packet.ARP, packet.Neighbor:
		return w.ask(f, p)
	}
	if !w.snap.concerns(p) {
		return NotOurs
	}
	switch p.Kind {
	case packet.Fragment:
		return w.fragment(f, p, now)
	case packet.Error:
		return w.icmpError(f, p, now)
	case packet.Echo:
		return w.echo(p)
	}
	return DropProtocol
}
