package link

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A line is one queue's way to one interface: a packet socket and, where there
// are some, rings.
type line struct {
	fd    int // -1: none
	rings []*xsk
	near  bool // frames in the rings may owe their checksums
}

var noLine = line{fd: -1}

func (l *line) close() {
	shut(l.fd)
	for _, x := range l.rings {
		x.close()
	}
	*l = noLine
}

// A tap is one queue's line to one interface. An interface that is removed and
// comes back gets a new one, which the worker takes up between batches.
type tap struct {
	mu sync.Mutex // held by the worker while it changes its line, by others while they use it
	line
	offered line        // to be taken up
	news    atomic.Bool // offered is one

	dry   int  // how many more times the packet socket, which was empty, is passed by
	sulks bool // the rings did not send: the packet socket has to show that it can be done

	rxFrames, rxFull, rxTooBig, rxRefused         atomic.Uint64
	txFrames, txFull, txTooBig, txDown, txRefused atomic.Uint64
}

// offer hands a new line to the worker.
func (t *tap) offer(l line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.offered.close()
	t.offered = l
	t.news.Store(true)
}

// adopt takes up the line that was offered.
func (t *tap) adopt() {
	if !t.news.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retire()
	t.line, t.offered = t.offered, noLine
	t.dry, t.sulks = 0, false
	t.news.Store(false)
}

// close gives up the line in use and any that was offered.
func (t *tap) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retire()
	t.offered.close()
	t.news.Store(false)
}

// retire closes the line in use, having read its last counts.
func (t *tap) retire() {
	if t.fd >= 0 {
		t.rxFull.Add(drops(t.fd) + t.lost())
	}
	t.line.close()
}

// lost is how many frames the rings have lost.
func (l *line) lost() (n uint64) {
	for _, x := range l.rings {
		n += x.lost()
	}
	return n
}

func shut(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}

// each calls use with every packet socket there is, which is not closed meanwhile.
func (t *tap) each(use func(fd int)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, fd := range [...]int{t.fd, t.offered.fd} {
		if fd >= 0 {
			use(fd)
		}
	}
}

// stat returns the counts so far.
func (t *tap) stat() Stat {
	t.each(func(fd int) { t.rxFull.Add(drops(fd)) })
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stat{
		RxFrames: t.rxFrames.Load(), RxFull: t.rxFull.Load() + t.lost() + t.offered.lost(), RxTooBig: t.rxTooBig.Load(), RxRefused: t.rxRefused.Load(),
		TxFrames: t.txFrames.Load(), TxFull: t.txFull.Load(), TxTooBig: t.txTooBig.Load(), TxDown: t.txDown.Load(), TxRefused: t.txRefused.Load(),
	}
}
