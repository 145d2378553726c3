package offload

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A grace tells when nobody can be reading any more what was taken from the
// index. Time is counted in periods. One that somebody was dropped in ends, and
// is over once every program that ran at its end has ended too: the kernel's own
// notion of a grace period, for programs run inside of RCU's read side.
type grace struct {
	period atomic.Uint32 // the present one; the first is 1
	last   atomic.Uint32 // all up to this are over
	wanted chan struct{}
	ended  chan struct{}
	closed sync.WaitGroup
}

// graceEvery is how often a period may end. Each costs a wait, but no processor.
const graceEvery = 50 * time.Millisecond

func newGrace() *grace {
	g := &grace{wanted: make(chan struct{}, 1), ended: make(chan struct{})}
	g.period.Store(1)
	g.closed.Go(g.run)
	return g
}

func (g *grace) close() {
	close(g.ended)
	g.closed.Wait()
}

// stamp returns the period in which something was dropped just now.
func (g *grace) stamp() uint32 {
	select {
	case g.wanted <- struct{}{}:
	default:
	}
	return g.period.Load()
}

// over says whether what has this stamp may be used again; 0 always.
func (g *grace) over(stamp uint32) bool {
	return stamp == 0 || int32(g.last.Load()-stamp) >= 0
}

func (g *grace) run() {
	for {
		select {
		case <-g.wanted:
		case <-g.ended:
			return
		}
		period := g.period.Load()
		g.period.Store(max(1, period+1))
		quiesce()
		g.last.Store(period)
		select {
		case <-time.After(graceEvery):
		case <-g.ended:
			return
		}
	}
}

// quiesce returns when every program that was running has ended.
func quiesce() {
	const global = 1 // MEMBARRIER_CMD_GLOBAL: synchronize_rcu, says membarrier(2)
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		time.Sleep(time.Second) // not with nohz_full; no program runs that long
	}
}
