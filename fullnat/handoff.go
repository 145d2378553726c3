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
	waiting atomic.Int32
	mu      sync.Mutex
	letters []letter // filled by the other workers
	taken   []letter // being read by the owner; the two change places
}

const inboxSize = 256

// A letter is one frame handed over. Its buffer is kept and reused.
type letter struct {
	bytes   []byte
	port    uint8
	offload link.Offload
	hops    uint8 // how often the frame has been handed over
}

// maxHandOvers lets a fragment go to its datagram's worker and from there to
// its session's. Workers that disagree about an owner, for the moment that one
// has pinned a newer snapshot, cannot pass a frame to and fro.
const maxHandOvers = 2

// put copies a frame into the inbox, or reports that it is full.
func (b *inbox) put(f *link.Frame, hops uint8) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.letters)
	if n == inboxSize {
		return false
	}
	if n < cap(b.letters) {
		b.letters = b.letters[:n+1]
	} else {
		b.letters = append(b.letters, letter{})
	}
	l := &b.letters[n]
	l.bytes = append(l.bytes[:0], f.Bytes()...)
	l.port, l.offload, l.hops = f.Port, f.Offload, hops
	b.waiting.Store(int32(n + 1))
	return true
}

// take empties the inbox. The letters are the owner's until it takes again.
func (b *inbox) take() []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letters, b.taken = b.taken[:0], b.letters
	b.waiting.Store(0)
	return b.taken
}

// handOver copies a frame to the worker that owns it.
func (w *Worker) handOver(f *link.Frame, owner int) Verdict {
	to := w.peers[owner]
	if w.hops == maxHandOvers || !to.inbox.put(f, w.hops+1) {
		return DropHandOff
	}
	to.queue.Wake()
	return HandedOver
}

// drainInbox carries what the other workers handed over and returns how many
// frames that were.
func (w *Worker) drainInbox(now session.Tick) int {
	if w.inbox.waiting.Load() == 0 {
		return 0
	}
	letters := w.inbox.take()
	for i := range letters {
		l := &letters[i]
		f := w.alloc()
		if f == nil {
			w.verdicts[DropHandOff]++
			continue
		}
		f.Resize(len(l.bytes))
		copy(f.Bytes(), l.bytes)
		f.Port, f.Offload = l.port, l.offload
		w.hops = l.hops
		w.settle(f, w.forward(f, now))
	}
	w.hops = 0
	return len(letters)
}
