package link

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A tap is one queue's socket on one interface. An interface that is removed
// and comes back gets a new socket, which the worker takes up between batches.
type tap struct {
	mu      sync.Mutex  // held by the worker while it changes fd, by others while they use it
	fd      int         // -1: none
	offered int         // a socket to be taken up; -1: none
	news    atomic.Bool // offered is one

	rxFrames, rxFull, rxTooBig, rxRefused         atomic.Uint64
	txFrames, txFull, txTooBig, txDown, txRefused atomic.Uint64
}

// offer hands a new socket to the worker.
func (t *tap) offer(fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	shut(t.offered)
	t.offered = fd
	t.news.Store(true)
}

// adopt takes up the socket that was offered.
func (t *tap) adopt() {
	if !t.news.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retire()
	t.fd, t.offered = t.offered, -1
	t.news.Store(false)
}

// close gives up the socket in use and any that was offered.
func (t *tap) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retire()
	shut(t.offered)
	t.fd, t.offered = -1, -1
	t.news.Store(false)
}

// retire closes the socket in use, having read its last count.
func (t *tap) retire() {
	if t.fd >= 0 {
		t.rxFull.Add(drops(t.fd))
	}
	shut(t.fd)
}

func shut(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}

// each calls use with every socket there is, which is not closed meanwhile.
func (t *tap) each(use func(fd int)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, fd := range [...]int{t.fd, t.offered} {
		if fd >= 0 {
			use(fd)
		}
	}
}

// stat returns the counts so far.
func (t *tap) stat() Stat {
	t.each(func(fd int) { t.rxFull.Add(drops(fd)) })
	return Stat{
		RxFrames: t.rxFrames.Load(), RxFull: t.rxFull.Load(), RxTooBig: t.rxTooBig.Load(), RxRefused: t.rxRefused.Load(),
		TxFrames: t.txFrames.Load(), TxFull: t.txFull.Load(), TxTooBig: t.txTooBig.Load(), TxDown: t.txDown.Load(), TxRefused: t.txRefused.Load(),
	}
}
