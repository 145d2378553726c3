package fullnat

import (
	"sync"
	"sync/atomic"

	"fleetlb/fullnat/link"
	"fleetlb/session"
)

// inbox takes frames from the other workers: those of a slot that this worker
// owns but that reached another, such as ICMP errors and fragments, which the
// kernel cannot steer by slot. Frames belong to the queue they came from, so
// the bytes are copied. The lock is taken for such frames alone, and once a
// turn when waiting says that there are any.
type inbox struct {
	waiting atomic.Bool
	mu      sync.Mutex
	filling post // by the other workers
	reading post // by the owner; the two change places
}

// A post is letters and, one after the other, their bytes.
type post struct {
	letters []letter
	bytes   []byte
}

// A letter is one frame handed over.
type letter struct {
	size    int
	port    uint8
	hops    uint8 // how often the frame has been handed over
	offload link.Offload
}

// Bounds of a post: 512 frames of ordinary size, or 16 super-packets.
const (
	maxLetters     = 512
	maxLetterBytes = 1 << 20
)

// maxHandOvers lets a fragment go to its datagram's worker and from there to
// its session's. Workers that disagree about an owner, for the moment that one
// has pinned a newer snapshot, cannot pass a frame to and fro.
const maxHandOvers = 2

// put copies a frame into the inbox, or reports that it is full.
func (b *inbox) put(f *link.Frame, hops uint8) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, bytes := &b.filling, f.Bytes()
	if len(p.letters) == maxLetters || len(p.bytes)+len(bytes) > maxLetterBytes {
		return false
	}
	p.letters = append(p.letters, letter{len(bytes), f.Port, hops, f.Offload})
	p.bytes = append(p.bytes, bytes...)
	b.waiting.Store(true)
	return true
}

// take empties the inbox. What it returns is good until it is called again.
func (b *inbox) take() ([]letter, []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.filling, b.reading = post{b.reading.letters[:0], b.reading.bytes[:0]}, b.filling
	b.waiting.Store(false)
	return b.reading.letters, b.reading.bytes
}

// handOver copies the frame in hand to the worker that owns it.
func (w *Worker) handOver(f *link.Frame, owner int) Verdict {
	to, hops := w.peers[owner], w.batch.hops[w.batch.at]
	if hops == maxHandOvers || !to.inbox.put(f, hops+1) {
		return DropHandOff
	}
	to.queue.Wake()
	return HandedOver
}

// receiveHandedOver carries what the other workers handed over and returns how
// many frames that were.
func (w *Worker) receiveHandedOver(now session.Tick) int {
	if !w.inbox.waiting.Load() {
		return 0
	}
	letters, bytes := w.inbox.take()
	for rest := letters; len(rest) > 0; {
		n := 0
		for len(rest) > 0 && n < batchSize {
			l := &rest[0]
			if f := w.alloc(); f != nil {
				f.Resize(l.size)
				copy(f.Bytes(), bytes)
				f.Port, f.Offload = l.port, l.offload
				w.batch.frames[n], w.batch.hops[n] = f, l.hops
				n++
			} else {
				w.verdicts[DropNoFrame]++
			}
			rest, bytes = rest[1:], bytes[l.size:]
		}
		w.carryBatch(n, now)
	}
	return len(letters)
}
