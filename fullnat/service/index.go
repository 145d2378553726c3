package service

import (
	"encoding/binary"
	"math/bits"

	"fleetlb/fullnat/packet"
)

// An index finds something by destination: an open-addressed table, never more
// than half full, whose keys stand in the slots. A Go map keyed by the same 20
// bytes takes three times as long.
type index[T any] struct {
	slots []slot[T] // a power of two of them, or none
}

type slot[T any] struct {
	key
	value T
}

// A key is a destination. Protocol and port are 0 in the key of a VIP alone, and
// the port in that of all its ranges.
type key struct {
	high, low uint64 // of the address
	rest      uint64 // port and protocol, and bit 63 so that no key is zero
}

func keyOf(protocol uint8, vip packet.Addr, port uint16) key {
	return key{
		high: binary.BigEndian.Uint64(vip[:8]),
		low:  binary.BigEndian.Uint64(vip[8:]),
		rest: 1<<63 | uint64(port)<<8 | uint64(protocol),
	}
}

// hash needs no secret: the keys in the table are the operator's.
func (k key) hash() uint64 {
	high, low := bits.Mul64(k.low^k.rest*0x9e3779b97f4a7c15, k.high^0xbf58476d1ce4e5b9)
	return high ^ low
}

func (x *index[T]) find(k key) *slot[T] {
	if len(x.slots) == 0 {
		return nil
	}
	mask := uint64(len(x.slots) - 1)
	for i := k.hash() & mask; ; i = (i + 1) & mask {
		switch s := &x.slots[i]; s.key {
		case k:
			return s
		case key{}:
			return nil
		}
	}
}

// newIndex has room for n keys.
func newIndex[T any](n int) index[T] {
	if n == 0 {
		return index[T]{}
	}
	return index[T]{make([]slot[T], 1<<bits.Len(uint(2*n-1)))}
}

// put adds a key, or gives it another value.
func (x *index[T]) put(k key, value T) {
	mask := uint64(len(x.slots) - 1)
	i := k.hash() & mask
	for x.slots[i].key != (key{}) && x.slots[i].key != k {
		i = (i + 1) & mask
	}
	x.slots[i] = slot[T]{k, value}
}
