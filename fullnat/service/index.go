package service

import (
	"encoding/binary"
	"math/bits"

	"fleetlb/fullnat/packet"
)

// An index finds services by destination: an open-addressed table, never more
// than half full, whose keys stand in the slots. A Go map keyed by the same 20
// bytes takes three times as long.
type index struct {
	slots []slot // a power of two of them, or none
}

type slot struct {
	key
	service *Service // nil: the key is a VIP alone
}

// A key is a destination. Protocol and port are 0 in the key of a VIP alone.
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

func (x *index) find(k key) *slot {
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

// newIndex holds the services and their VIPs.
func newIndex(services []*Service) index {
	if len(services) == 0 {
		return index{}
	}
	x := index{make([]slot, 1<<bits.Len(uint(4*len(services)-1)))}
	for _, s := range services {
		x.put(slot{keyOf(s.Protocol, s.VIP, s.Port), s})
		x.put(slot{keyOf(0, s.VIP, 0), nil})
	}
	return x
}

func (x *index) put(s slot) {
	mask := uint64(len(x.slots) - 1)
	i := s.hash() & mask
	for x.slots[i].key != (key{}) && x.slots[i].key != s.key {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}
