package offload

import (
	"math/bits"
	"sync/atomic"
)

// numberMask is where a slot has the number of its face; the tag is above.
func (t *Table) numberMask() uint32 { return 1<<bits.Len(uint(len(t.faces)-1)) - 1 }

// slot is what stands in the index for a face.
func (t *Table) slot(h uint64, face uint32) uint32 {
	mask := t.numberMask()
	tag := uint32(h>>32) &^ mask
	if tag == 0 { // would be that of empty slots
		tag = ^mask
	}
	return tag | face
}

// insert puts a face into the index, if there is room.
func (t *Table) insert(h uint64, face uint32) bool {
	slot := t.slot(h, face)
	for _, b := range t.pair(h) {
		for i := range b {
			if atomic.LoadUint32(&b[i]) == 0 && atomic.CompareAndSwapUint32(&b[i], 0, slot) {
				return true
			}
		}
	}
	return false
}

func (t *Table) remove(h uint64, face uint32) {
	slot := t.slot(h, face)
	for _, b := range t.pair(h) {
		for i := range b {
			if atomic.LoadUint32(&b[i]) == slot { // nobody else's
				atomic.StoreUint32(&b[i], 0)
				return
			}
		}
	}
}

// pair returns the two buckets where a hash may be, in the order in which the
// programs look.
func (t *Table) pair(h uint64) [2]*bucket {
	i := t.bucket(h)
	return [2]*bucket{&t.buckets[i], &t.buckets[i^1]}
}

func (t *Table) bucket(h uint64) uint32 {
	return uint32(uint64(uint32(h)) * uint64(len(t.buckets)) >> 32)
}
