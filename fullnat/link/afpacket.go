package link

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// poolFrames is how many frames a worker has: a batch to receive into, one in
// hand, and those it holds back. 70 KB each if all were super-packets; plain
// frames touch a page.
const poolFrames = 1024

// A queue has a packet socket on each interface, with offload headers, many
// frames a call, and beside it rings for what they can carry.
//
// The kernel's other rings (TPACKET) are not used: see the package's account of
// what was measured.
type queue struct {
	pool *Pool
	taps []tap
	ail  func(port int) // reports an interface that is down or gone
	turn int            // the port that receives first next time

	rx    messages
	armed [burst]*Frame // the frames that rx receives into
	ready int           // how many are armed
	spent int           // how many of those, from the first, were handed out since

	tx    messages
	index [burst]int // position in the caller's slice of each message in tx

	poll  []unix.PollFd // the eventfd, then each tap's socket and rings
	until unix.Timespec

	sleeping, woken atomic.Bool
	wake            sync.Mutex
	event           int // eventfd, guarded by wake once workers run; -1: closed
}

func newQueue(ports int, ail func(port int)) (*queue, error) {
	pool, err := NewPool(poolFrames)
	if err != nil {
		return nil, err
	}
	event, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		pool.Close()
		return nil, err
	}
	q := &queue{pool: pool, taps: make([]tap, ports), ail: ail, poll: make([]unix.PollFd, 0, 1+2*ports), event: event}
	for i := range q.taps {
		q.taps[i].line, q.taps[i].offered = noLine, noLine
	}
	q.rx.init()
	q.tx.init()
	return q, nil
}

// Free takes frames back unsent.
func (q *queue) Free(frames []*Frame) { q.pool.Give(frames) }

// Alloc fills into with empty frames.
func (q *queue) Alloc(into []*Frame) int { return q.pool.Take(into) }

// Close gives up the sockets.
func (q *queue) Close() error {
	for i := range q.taps {
		q.taps[i].close()
	}
	q.wake.Lock()
	defer q.wake.Unlock()
	if q.event >= 0 {
		unix.Close(q.event)
		q.event = -1
	}
	return nil
}
