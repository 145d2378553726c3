package offload

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// maxPorts is how many interfaces there can be.
const maxPorts = 256

// A Hop is where packets go next: out of Port, from Src to Dst, if they are no
// longer than MTU. With an MTU of 0 they go up.
type Hop struct {
	Port     uint8
	MTU      uint16
	Src, Dst [6]byte
}

// A HopRef names a hop, as of when it was asked for.
type HopRef uint32

// Ref names the hop at an index.
func (t *Table) Ref(index uint32) HopRef {
	return HopRef(index<<8 | uint32(atomic.LoadUint64(&t.hops[index][1])>>56))
}

// SetHop makes the hop at an index this one. Flows that named it follow, unless
// it is another: not the same neighbour with a new address, but someone else.
// Calls about one index must not overlap.
func (t *Table) SetHop(index uint32, h Hop, another bool) {
	at := &t.hops[index]
	words := h.words(uint8(at[1] >> 56))
	if another {
		atomic.StoreUint64(&at[0], 0)
		words[1] += 1 << 56
	}
	// A frame that is under way meanwhile may carry one of the old addresses; if
	// the neighbour has moved it is lost.
	if at[1] != words[1] {
		atomic.StoreUint64(&at[1], words[1])
	}
	if at[0] != words[0] {
		atomic.StoreUint64(&at[0], words[0])
	}
}

func (h *Hop) words(version uint8) hopWords {
	var dst, src [8]byte
	copy(dst[:], h.Dst[:])
	binary.LittleEndian.PutUint16(dst[6:], h.MTU)
	copy(src[:], h.Src[:])
	src[6], src[7] = h.Port, version
	return hopWords{binary.LittleEndian.Uint64(dst[:]), binary.LittleEndian.Uint64(src[:])}
}

// SetPort says which interface of the calling thread's network namespace a port
// is. Without one, packets whose next hop is there go up.
func (t *Table) SetPort(port uint8, index int) error {
	if index == 0 {
		t.control.usable[port] = 0
		return nil
	}
	if err := t.maps[flowsMapPorts].Put(uint32(port), uint32(index)); err != nil {
		return fmt.Errorf("interface number %d: %w", index, err)
	}
	t.control.usable[port] = 1
	return nil
}
