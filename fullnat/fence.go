package fullnat

import (
	"time"

	"fleetlb/session"
)

// A director that was stopped for a while, by SIGSTOP or by a host that gave it
// no time, wakes up with sessions that others have carried on and ended in the
// meantime. Nobody tells it that it slept: a worker that has not come round for
// this long fences itself, before it carries anything.
const frozen = session.Tick(20) // 2 s; routers with BFD look elsewhere long before

// A fence keeps a worker from acting on what may be stale.
type fence struct {
	up    bool
	woken bool   // put up by the worker itself,
	life  uint64 // in this epoch: only another takes it down again
}

// wake puts the fence up and lets go of the packets that came while nobody
// looked: their senders have sent again since.
func (w *Worker) wake(slept session.Tick) {
	if w.snap.Fleet == nil {
		return
	}
	w.fence = fence{up: true, woken: true, life: w.snap.Fleet.Self.Epoch}
	w.froze(time.Duration(slept) * tickLength)
	for range maxStale / batchSize {
		n := w.queue.Recv(w.batch.frames[:])
		for _, f := range w.batch.frames[:n] {
			w.settle(f, DropStale)
		}
		w.flush()
		if n < batchSize {
			break
		}
	}
}

// maxStale bounds how many packets are let go of: more than the sockets hold.
const maxStale = 1 << 16

// unfence takes the fence down if the snapshot says so.
func (w *Worker) unfence() {
	f := w.snap.Fleet
	if f == nil || f.Self.Epoch != w.fence.life {
		w.fence.woken = false
	}
	w.fence.up = w.fence.woken || f != nil && f.Fenced
}
