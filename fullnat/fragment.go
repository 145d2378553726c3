package fullnat

import (
	"encoding/binary"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// Fragments (RFC 791 §3.2, RFC 8200 §4.5) are translated one by one and never
// put together: the first carries the ports and the checksum of the whole
// datagram, which an address change can mend without seeing the rest. What is
// kept is which connection a datagram belongs to, and the fragments that came
// before the first.
//
// All fragments of a datagram meet at one worker, found from what every one of
// them carries. The first tells it which worker owns the session; it and all
// others go there, the first ahead.
type fragments struct {
	datagrams [maxDatagrams]datagram
	held      int         // frames waiting for their first fragment
	victim    int         // the datagram that lost such frames last
	complete  []*datagram // whose first fragment has come while others wait; for this turn
}

// A datagram is known by source, destination, identification and protocol.
type datagram struct {
	key   datagramKey
	until session.Tick // 0: the place is free
	known bool         // the first fragment was seen:
	tuple packet.Tuple // its tuple, as it was received
	early [maxEarly]*link.Frame
	n     int // frames in early
}

type datagramKey struct {
	src, dst packet.Addr
	id       uint32
	protocol uint8
}

// Bounds: a worker remembers 256 datagrams and holds 128 early frames, at most
// 45 of one datagram, which is 64 KB in 1,500-byte packets. The oldest give way
// to new ones: who sends fragments without a beginning must go on sending them
// to be in the way of others.
const (
	maxDatagrams    = 256
	maxEarly        = 45
	maxHeld         = 128
	fragmentTimeout = session.Tick(50) // 5 s; a receiver waits longer, but a late first fragment is a lost one
)

// hash spreads datagrams over workers and over the places they may take.
func (k *datagramKey) hash() uint32 {
	h := binary.BigEndian.Uint32(k.src[12:])*0x9e3779b1 ^ binary.BigEndian.Uint32(k.dst[12:])*0x85ebca6b ^ k.id*0xc2b2ae35
	h ^= h >> 15
	return h * 0x27d4eb2f
}

// ways is how many places a datagram may take, so that a look-up stays short.
const ways = 8

// find returns the datagram of key, or the place for it: a free or the oldest one.
func (t *fragments) find(key *datagramKey) (d *datagram, found bool) {
	set := int(key.hash()>>8) % (maxDatagrams / ways) * ways
	oldest := &t.datagrams[set]
	for i := range t.datagrams[set : set+ways] {
		d := &t.datagrams[set+i]
		if d.until != 0 && d.key == *key {
			return d, true
		}
		if int32(d.until-oldest.until) < 0 {
			oldest = d
		}
	}
	return oldest, false
}

// fragment carries one fragment of a datagram to an address of ours.
func (w *Worker) fragment(f *link.Frame, p *packet.Packet, now session.Tick) Verdict {
	if p.Tuple.Protocol != packet.TCP && p.Tuple.Protocol != packet.UDP {
		return DropProtocol
	}
	key := datagramKey{p.Tuple.Src, p.Tuple.Dst, p.Frag.ID, p.Tuple.Protocol}
	meeting := int(key.hash()>>24) * w.workers / 256
	if meeting != w.id && w.batch.hops[w.batch.at] == 0 {
		return w.handOver(f, meeting)
	}

	t := &w.fragments
	d, found := t.find(&key)
	if !found {
		w.forget(d, DropFragmentLost)
		d.key = key
	}
	d.until = now + fragmentTimeout
	switch {
	case p.Frag.Offset == 0:
		d.known, d.tuple = true, p.Tuple
		if d.n > 0 {
			t.complete = append(t.complete, d)
		}
		return w.firstFragment(f, p, now)
	case d.known:
		return w.laterFragment(f, p, &d.tuple, now)
	}
	return w.holdEarly(f, d)
}

func (w *Worker) firstFragment(f *link.Frame, p *packet.Packet, now session.Tick) Verdict {
	from := w.snap.side(&p.Tuple)
	if from == stranger {
		return w.unserved(&p.Tuple)
	}
	if owner := w.owner(&p.Tuple, from); owner != w.id {
		return w.handOver(f, owner)
	}
	return w.flow(f, p, w.sessions.Hash(&p.Tuple), now)
}

// laterFragment carries a fragment of a datagram whose first one had this tuple.
func (w *Worker) laterFragment(f *link.Frame, p *packet.Packet, t *packet.Tuple, now session.Tick) Verdict {
	from := w.snap.side(t)
	if from == stranger {
		return w.unserved(t)
	}
	if owner := w.owner(t, from); owner != w.id {
		return w.handOver(f, owner)
	}
	s, dir := w.sessions.Find(t)
	if s == nil {
		return w.seek(f, p, t, now, unknown(from))
	}
	return w.carry(f, p, s, dir, now)
}

// holdEarly keeps a frame until the first fragment comes.
func (w *Worker) holdEarly(f *link.Frame, d *datagram) Verdict {
	if d.n == maxEarly {
		return DropFragmentLimit
	}
	if w.fragments.held == maxHeld {
		w.makeRoom(d)
	}
	d.early[d.n] = f
	d.n++
	w.fragments.held++
	return Parked
}

// makeRoom takes the early frames of another datagram than d, round and round.
func (w *Worker) makeRoom(d *datagram) {
	t := &w.fragments
	for {
		t.victim = (t.victim + 1) % maxDatagrams
		if other := &t.datagrams[t.victim]; other != d && other.n > 0 {
			w.forget(other, DropFragmentLimit)
			return
		}
	}
}

// release carries the fragments whose first has come in this turn, in the order
// they came. They have been to the worker where they meet, and are not sent
// there again.
func (w *Worker) release(now session.Tick) {
	t := &w.fragments
	if len(t.complete) == 0 {
		return
	}
	for _, d := range t.complete {
		n := copy(w.batch.frames[:], d.early[:d.n])
		for i := range n {
			w.batch.hops[i] = 1
		}
		t.held -= n
		d.n = 0
		w.carryBatch(n, now)
	}
	t.complete = t.complete[:0]
}

// forget drops what a datagram still holds and frees its place.
func (w *Worker) forget(d *datagram, why Verdict) {
	for _, f := range d.early[:d.n] {
		w.settle(f, why)
	}
	w.fragments.held -= d.n
	d.n, d.until, d.known = 0, 0, false
}

// expireFragments forgets the datagrams whose time is up.
func (w *Worker) expireFragments(now session.Tick) {
	for i := range w.fragments.datagrams {
		d := &w.fragments.datagrams[i]
		if d.until != 0 && int32(now-d.until) >= 0 {
			w.forget(d, DropFragmentLost)
		}
	}
}
