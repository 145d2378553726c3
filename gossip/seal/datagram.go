package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"slices"
)

const (
	version    = 1
	headerSize = 31
	tagSize    = 16

	// Overhead is how much longer a sealed datagram is than its payload.
	Overhead = headerSize + 1 + tagSize

	// MaxDatagram is the longest datagram that is opened, sealed.
	MaxDatagram = 1452 // what IPv6 and UDP leave of 1,500

	maxCounter = 1<<48 - 1
)

// Seal appends to b a datagram for the life of a receiver. The kind is a byte of
// the caller's, sealed like the payload, which is left alone and must not overlap
// b's free room.
func (e *Endpoint) Seal(b []byte, to Life, kind byte, payload []byte) ([]byte, error) {
	o := e.sealer(to)
	n := o.last.Add(1)
	if n > maxCounter {
		return nil, Crowded
	}
	start := len(b)
	b = slices.Grow(b, Overhead+len(payload))
	b = append(b, version)
	b = binary.BigEndian.AppendUint32(b, uint32(o.key.id))
	b = binary.BigEndian.AppendUint32(b, uint32(to.Epoch))
	b = Life{e.boot.Node, o.epoch}.append(b)
	b = append(b, byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	b = append(b, kind)
	b = append(b, payload...)
	header, plain := b[start:start+headerSize], b[start+headerSize:]
	o.aead.Seal(plain[:0], nonceOf(header), plain, header)
	return b[:len(b)+tagSize], nil
}

// nonceOf is the counter, with what precedes it to make it as long as a nonce:
// within the header, so that nothing is allocated for it.
func nonceOf(header []byte) []byte { return header[headerSize-12 : headerSize] }

// sealer returns what seals for a receiver, as our ring and our epoch are now.
func (e *Endpoint) sealer(to Life) *outgoing {
	current := func(o *outgoing) bool {
		keys := *e.ring.keys.Load()
		return o != nil && o.epoch == e.epoch.Load() && o.key.id == choose(keys, o.held).id
	}
	e.sending.RLock()
	o := e.out[to]
	e.sending.RUnlock()
	if current(o) {
		return o
	}
	e.sending.Lock()
	defer e.sending.Unlock()
	if o = e.out[to]; !current(o) {
		var held []KeyID
		if o != nil {
			held = o.held
		}
		o = e.pair(to, o, held)
		e.out[to] = o
	}
	return o
}

// Open opens a datagram in place and returns whose it is and what it holds,
// which is good until the datagram is. A datagram that is refused is counted and
// is rubble.
func (e *Endpoint) Open(datagram []byte) (from Life, kind byte, payload []byte, why Reason) {
	from, plain, why := e.open(datagram)
	if why != Fine {
		return Life{}, 0, nil, e.refuse(why)
	}
	return from, plain[0], plain[1:], Fine
}

func (e *Endpoint) open(d []byte) (from Life, plain []byte, why Reason) {
	switch {
	case len(d) > MaxDatagram:
		return from, nil, Huge
	case len(d) == 0:
		return from, nil, Truncated
	case d[0] != version:
		return from, nil, Version
	case len(d) < Overhead:
		return from, nil, Truncated
	}
	keys := *e.ring.keys.Load()
	k := find(keys, KeyID(binary.BigEndian.Uint32(d[1:])))
	from = Life{binary.BigEndian.Uint64(d[9:]), binary.BigEndian.Uint64(d[17:])}
	n := uint64(binary.BigEndian.Uint16(d[25:]))<<32 | uint64(binary.BigEndian.Uint32(d[27:]))
	switch {
	case k < 0:
		return from, nil, UnknownKey
	case from.Node == e.boot.Node:
		return from, nil, Own
	case binary.BigEndian.Uint32(d[5:]) != uint32(e.boot.Epoch):
		return from, nil, Late
	}

	e.hearing.Lock()
	defer e.hearing.Unlock()
	i := e.in[from.Node]
	known := i != nil && i.epoch == from.Epoch
	switch {
	case i != nil && from.Epoch < i.epoch:
		return from, nil, StaleEpoch
	case known && !i.window.fresh(n):
		return from, nil, Replayed
	case n == 0:
		return from, nil, Replayed
	}
	var aead cipher.AEAD
	if known {
		aead = i.aeads[keys[k].id]
	}
	if aead == nil {
		aead = keys[k].expand(pairInfo(from, e.boot))
	}
	plain, err := aead.Open(d[headerSize:headerSize], nonceOf(d[:headerSize]), d[headerSize:], d[:headerSize])
	if err != nil {
		return from, nil, Forged
	}
	if i, why = e.heard(from); why != Fine {
		return from, nil, why
	}
	if len(i.aeads) > MaxKeys { // some are of keys that are gone
		clear(i.aeads)
	}
	i.aeads[keys[k].id] = aead
	i.window.mark(n)
	return from, plain, Fine
}
