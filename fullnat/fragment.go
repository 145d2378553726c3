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
	held      int // frames waiting for their first fragment
}

// A datagram is known by source, destination, identification and protocol.
type datagram struct {
	key   datagramKey
	until session.Tick
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
// 45 of one datagram, which is 64 KB in 1,500-byte packets. The oldest datagram
// gives way to a new one.
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
func (t *fragments) find(key *datagramKey, now session.Tick) (d *datagram, found bool) {
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

// fragment carries one fragment.
func (w *Worker) fragment(f *link.Frame, p *packet.Packet, now session.Tick) Verdict {
	if !w.snap.owns(p.Tuple.Dst) {
		return NotOurs
	}
	key := datagramKey{p.Tuple.Src, p.Tuple.Dst, p.Frag.ID, p.Tuple.Protocol}
	meeting := int(key.hash()>>24) * w.workers / 256
	if meeting != w.id && w.hops == 0 {
		return w.handOver(f, meeting)
	}

	d, found := w.fragments.find(&key, now)
	if !found {
		w.forget(d)
		d.key, d.known = key, false
	}
	d.until = now + fragmentTimeout
	if p.Frag.Offset == 0 {
		d.known, d.tuple = true, p.Tuple
		v := w.ofKnown(f, p, d, now)
		w.release(d, now)
		return v
	}
	if !d.known {
		return w.holdEarly(f, d)
	}
	return w.ofKnown(f, p, d, now)
}

// ofKnown carries a fragment of a datagram whose first fragment was seen.
func (w *Worker) ofKnown(f *link.Frame, p *packet.Packet, d *datagram, now session.Tick) Verdict {
	if owner := w.owner(&d.tuple); owner != w.id {
		return w.handOver(f, owner)
	}
	s, dir := w.sessions.Find(&d.tuple)
	if s == nil {
		if p.Frag.Offset != 0 {
			return DropNoSession
		}
		var v Verdict
		if s, v = w.open(f, p, now); s == nil {
			return v
		}
		dir = session.Inbound
	}
	return w.carry(f, p, s, dir, now)
}

func (w *Worker) holdEarly(f *link.Frame, d *datagram) Verdict {
	if d.n == maxEarly || w.fragments.held == maxHeld {
		return DropFragmentLimit
	}
	d.early[d.n] = f
	d.n++
	w.fragments.held++
	return Parked
}

// release carries the fragments that waited for the first, in the order they came.
func (w *Worker) release(d *datagram, now session.Tick) {
	n := d.n
	d.n = 0
	w.fragments.held -= n
	for _, f := range d.early[:n] {
		p := &w.parser
		if packet.Parse(f.Bytes(), f.Offload.NeedsChecksum(), p) != packet.None {
			w.settle(f, DropFragmentLost)
			continue
		}
		w.settle(f, w.ofKnown(f, p, d, now))
	}
}

// forget drops what a datagram still holds and frees its place.
func (w *Worker) forget(d *datagram) {
	for _, f := range d.early[:d.n] {
		w.settle(f, DropFragmentLost)
	}
	w.fragments.held -= d.n
	d.n, d.until, d.known = 0, 0, false
}

// expireFragments forgets the datagrams whose time is up.
func (w *Worker) expireFragments(now session.Tick) {
	for i := range w.fragments.datagrams {
		d := &w.fragments.datagrams[i]
		if d.until != 0 && int32(now-d.until) >= 0 {
			w.forget(d)
		}
	}
}
