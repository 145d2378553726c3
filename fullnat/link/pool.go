package link

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A Pool is the frames of one queue: a bounded number of slots in one piece of
// memory that the garbage collector never looks at. A slot holds the largest
// frame, yet costs only the pages that frames have reached into.
type Pool struct {
	slab   []byte
	frames []Frame
	free   []*Frame // a stack, so that the slot used last, still in cache, is used next
}

// slotLen has room for growth behind the largest frame. It is deliberately not
// a multiple of a page: headers at one page offset would share one set of the
// first-level cache.
const slotLen = vnetLen + Headroom + maxFrame + 4<<10 + 62

// NewPool maps memory for n frames.
func NewPool(n int) (*Pool, error) {
	slab, err := unix.Mmap(-1, 0, n*slotLen, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("frame pool: map %d bytes: %w", n*slotLen, err)
	}
	// A huge page would make 30 slots resident at the first touch of one. Where
	// the kernel has none there is nothing to refuse.
	unix.Madvise(slab, unix.MADV_NOHUGEPAGE)
	p := &Pool{slab: slab, frames: make([]Frame, n), free: make([]*Frame, n)}
	for i := range p.frames {
		f := &p.frames[i]
		f.slot = slab[i*slotLen : (i+1)*slotLen : (i+1)*slotLen]
		p.free[n-1-i] = f
	}
	return p, nil
}

// Len returns how many frames are in the pool.
func (p *Pool) Len() int { return len(p.free) }

// Cap returns how many frames there are, in the pool or out.
func (p *Pool) Cap() int { return len(p.frames) }

// Take fills into with empty frames and returns how many it had.
func (p *Pool) Take(into []*Frame) int {
	n := min(len(into), len(p.free))
	rest := len(p.free) - n
	for i := range into[:n] {
		f := p.free[rest+n-1-i]
		f.reset()
		f.held = true
		into[i] = f
	}
	p.free = p.free[:rest]
	return n
}

// Give takes frames back. Giving one twice panics: two would own its bytes.
func (p *Pool) Give(frames []*Frame) {
	for _, f := range frames {
		p.give(f)
	}
}

func (p *Pool) give(f *Frame) {
	if !f.held {
		panic("link: frame given back twice")
	}
	f.held = false
	p.free = append(p.free, f)
}

// Close unmaps the frames; their bytes are gone, whoever still holds one.
func (p *Pool) Close() error {
	if p.slab == nil {
		return nil
	}
	slab := p.slab
	p.slab, p.free = nil, nil
	return unix.Munmap(slab)
}
