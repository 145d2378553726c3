package link

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A ring is one of the four queues between us and an XDP socket, in memory that
// the kernel shares. One side produces, the other consumes; each stores its own
// index and reads the other's.
type ring[T uint64 | unix.XDPDesc] struct {
	produced, consumed *uint32
	slots              []T
	own                uint32 // our index, whichever it is
	memory             []byte
}

// mapRing maps a ring of n slots, n a power of two.
func mapRing[T uint64 | unix.XDPDesc](fd int, place int64, o unix.XDPRingOffset, n int) (r ring[T], err error) {
	var slot T
	r.memory, err = unix.Mmap(fd, place, int(o.Desc)+n*int(unsafe.Sizeof(slot)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return r, err
	}
	at := func(offset uint64) *uint32 { return (*uint32)(unsafe.Pointer(&r.memory[offset])) }
	r.produced, r.consumed = at(o.Producer), at(o.Consumer)
	r.slots = unsafe.Slice((*T)(unsafe.Pointer(&r.memory[o.Desc])), n)
	return r, nil
}

func (r *ring[T]) unmap() {
	if r.memory != nil {
		unix.Munmap(r.memory)
	}
	*r = ring[T]{}
}

// slot is the i-th from our index on.
func (r *ring[T]) slot(i int) *T { return &r.slots[(r.own+uint32(i))&uint32(len(r.slots)-1)] }

// waiting is how many slots there are for us to consume.
func (r *ring[T]) waiting() int { return int(atomic.LoadUint32(r.produced) - r.own) }

// consume gives the first n slots back.
func (r *ring[T]) consume(n int) {
	r.own += uint32(n)
	atomic.StoreUint32(r.consumed, r.own)
}

// pending is how many of the slots we produced the kernel has not consumed.
func (r *ring[T]) pending() int { return int(r.own - atomic.LoadUint32(r.consumed)) }

// produce hands n slots over that have been filled.
func (r *ring[T]) produce(n int) {
	r.own += uint32(n)
	atomic.StoreUint32(r.produced, r.own)
}
