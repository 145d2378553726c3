package replica

import (
	"encoding/binary"
	"iter"
	"math/bits"

	"fleetlb/session"
)

// slotSet is a set of slots.
type slotSet [session.Slots / 64]uint64

// slotSetSize is how many bytes one takes on the wire.
const slotSetSize = session.Slots / 8

func (s *slotSet) add(slot uint8)      { s[slot/64] |= 1 << (slot % 64) }
func (s *slotSet) has(slot uint8) bool { return s[slot/64]&(1<<(slot%64)) != 0 }
func (s *slotSet) empty() bool         { return *s == slotSet{} }

func (s *slotSet) unite(t *slotSet) {
	for i := range s {
		s[i] |= t[i]
	}
}

func (s *slotSet) len() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

func (s *slotSet) all() iter.Seq[uint8] {
	return func(yield func(uint8) bool) {
		for slot := range session.Slots {
			if s.has(uint8(slot)) && !yield(uint8(slot)) {
				return
			}
		}
	}
}

// array is the set as others speak it.
func (s *slotSet) array() (a [session.Slots]bool) {
	for slot := range s.all() {
		a[slot] = true
	}
	return a
}

func everySlot() slotSet { return slotSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)} }

func (s *slotSet) appendTo(b []byte) []byte {
	for _, w := range s {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// parse reads a set of slotSetSize bytes.
func (s *slotSet) parse(b []byte) {
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
}

func (s *slotSet) intersect(t *slotSet) {
	for i := range s {
		s[i] &= t[i]
	}
}

func (s *slotSet) subtract(t *slotSet) {
	for i := range s {
		s[i] &^= t[i]
	}
}
