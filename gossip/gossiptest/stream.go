package gossiptest

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// room is how much of a stream is on its way at most.
const room = 256 << 10

// pipe makes both ends of a stream.
func (n *Network) pipe(a, b netip.AddrPort) (*stream, *stream) {
	to, back := newHalf(), newHalf()
	return &stream{n: n, at: a, peer: b, in: back, out: to, read: newDeadline(), write: newDeadline()},
		&stream{n: n, at: b, peer: a, in: to, out: back, read: newDeadline(), write: newDeadline()}
}

// half is one direction.
type half struct {
	mu      sync.Mutex
	b       []byte
	ended   bool          // nothing more is written, or read
	changed chan struct{} // closed when any of that changes
}

func newHalf() *half { return &half{changed: make(chan struct{})} }

// turn says that something has changed. The caller holds mu.
func (h *half) turn() {
	close(h.changed)
	h.changed = make(chan struct{})
}

type stream struct {
	n           *Network
	at, peer    netip.AddrPort
	in, out     *half
	read, write *deadline
}

func (s *stream) Read(b []byte) (int, error) {
	for {
		together, parts := s.n.together(s.at.Addr(), s.peer.Addr())
		s.in.mu.Lock()
		ended, changed := s.in.ended, s.in.changed
		if together && len(s.in.b) > 0 {
			k := copy(b, s.in.b)
			s.in.b = s.in.b[k:]
			s.in.turn()
			s.in.mu.Unlock()
			return k, nil
		}
		s.in.mu.Unlock()
		if ended && together {
			return 0, io.EOF
		}
		select {
		case <-changed:
		case <-parts:
		case <-s.read.over():
			return 0, os.ErrDeadlineExceeded
		}
	}
}

func (s *stream) Write(b []byte) (n int, err error) {
	for {
		s.out.mu.Lock()
		if s.out.ended {
			s.out.mu.Unlock()
			return n, net.ErrClosed
		}
		k := min(room-len(s.out.b), len(b)-n)
		if k > 0 {
			s.out.b = append(s.out.b, b[n:n+k]...)
			n += k
			s.out.turn()
		}
		changed := s.out.changed
		s.out.mu.Unlock()
		s.n.count(s.at.Addr(), k)
		if n == len(b) {
			return n, nil
		}
		select {
		case <-changed:
		case <-s.write.over():
			return n, os.ErrDeadlineExceeded
		}
	}
}

func (n *Network) count(a netip.Addr, bytes int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.traffic[a]
	t.StreamBytes += uint64(bytes)
	n.traffic[a] = t
}

func (s *stream) Close() error {
	for _, h := range []*half{s.in, s.out} {
		h.mu.Lock()
		if !h.ended {
			h.ended = true
			h.turn()
		}
		h.mu.Unlock()
	}
	s.read.set(time.Time{})
	s.write.set(time.Time{})
	return nil
}

func (s *stream) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(s.at) }
func (s *stream) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.peer) }

func (s *stream) SetReadDeadline(t time.Time) error  { s.read.set(t); return nil }
func (s *stream) SetWriteDeadline(t time.Time) error { s.write.set(t); return nil }

func (s *stream) SetDeadline(t time.Time) error {
	s.read.set(t)
	s.write.set(t)
	return nil
}

// deadline is a moment that may still be moved.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	passed chan struct{}
}

func newDeadline() *deadline { return &deadline{passed: make(chan struct{})} }

func (d *deadline) over() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	select {
	case <-d.passed:
		d.passed = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	passed := d.passed
	if left := time.Until(t); left <= 0 {
		close(passed)
	} else {
		d.timer = time.AfterFunc(left, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			select {
			case <-passed:
			default:
				close(passed)
			}
		})
	}
}
