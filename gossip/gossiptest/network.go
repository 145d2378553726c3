// Package gossiptest is a network in memory for fleets under test: it loses,
// delays, repeats and reorders what it carries, and parts members as told. It
// needs no clock but package time's, so that it runs in a bubble of
// testing/synctest, where a minute takes no time.
package gossiptest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"fleetlb/gossip"
)

// inbox is how many datagrams wait for a receiver; more are lost.
const inbox = 8192

// A Network carries datagrams and streams between addresses. The zero value is
// not usable; New makes one.
type Network struct {
	mu        sync.Mutex
	random    *rand.Rand
	between   func(from, to netip.Addr) Faults
	apart     map[netip.Addr]int // the part somebody is in, when there are parts
	parted    bool
	packets   map[netip.AddrPort]*packets
	listeners map[netip.AddrPort]*listener
	next      uint16
	changed   chan struct{} // closed when parts have changed
	traffic   map[netip.Addr]Traffic
}

// Faults are what befalls datagrams. Streams only know Delay, for each opening:
// what is lost of them is sent again.
type Faults struct {
	Loss      float64 // of each datagram, 0 to 1
	Duplicate float64
	Delay     time.Duration
	Jitter    time.Duration // added to Delay, at random: reorders
}

// Traffic is what an address has sent.
type Traffic struct{ Datagrams, DatagramBytes, StreamBytes uint64 }

// New makes a network without faults. What happens at random follows from seed.
func New(seed uint64) *Network {
	return &Network{
		random: rand.New(rand.NewPCG(seed, 0)), next: 40000, changed: make(chan struct{}),
		packets: map[netip.AddrPort]*packets{}, listeners: map[netip.AddrPort]*listener{}, traffic: map[netip.Addr]Traffic{},
	}
}

var _ gossip.Network = (*Network)(nil)

// Suffer sets the faults of all datagrams from now on.
func (n *Network) Suffer(f Faults) { n.SufferBetween(func(netip.Addr, netip.Addr) Faults { return f }) }

// SufferBetween sets them for each pair of addresses.
func (n *Network) SufferBetween(f func(from, to netip.Addr) Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.between = f
}

// Part lets only those in one part hear each other; who is in none is in one with
// all others that are not. Streams across stand still. No parts: the network is
// whole again.
func (n *Network) Part(parts ...[]netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.parted, n.apart = len(parts) > 0, map[netip.Addr]int{}
	for i, p := range parts {
		for _, a := range p {
			n.apart[a] = i + 1
		}
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

// Sent is what each address has sent so far.
func (n *Network) Sent(a netip.Addr) Traffic {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.traffic[a]
}

// Inject delivers a datagram as though from had sent it.
func (n *Network) Inject(from, to netip.AddrPort, b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deliver(datagram{from, append([]byte(nil), b...)}, to)
}

// together says whether two hear each other, and when that may change.
func (n *Network) together(a, b netip.Addr) (bool, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hears(a, b), n.changed
}

func (n *Network) hears(a, b netip.Addr) bool { return !n.parted || n.apart[a] == n.apart[b] }

func (n *Network) faultsOf(a, b netip.Addr) Faults {
	if n.between == nil {
		return Faults{}
	}
	return n.between(a, b)
}

// Listen takes a port of an address, which needs no other existence.
func (n *Network) Listen(bind netip.AddrPort) (gossip.Packets, net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if bind.Port() == 0 {
		n.next++
		bind = netip.AddrPortFrom(bind.Addr(), n.next)
	}
	if n.packets[bind] != nil {
		return nil, nil, fmt.Errorf("listen %s: %w", bind, syscall.EADDRINUSE)
	}
	p := &packets{n, bind, make(chan datagram, inbox), make(chan struct{}), sync.Once{}}
	l := &listener{n, bind, make(chan net.Conn), make(chan struct{}), sync.Once{}}
	n.packets[bind], n.listeners[bind] = p, l
	return p, l, nil
}

// Dial opens a stream. Where nobody listens it is refused; from another part
// nothing is heard.
func (n *Network) Dial(ctx context.Context, bind, to netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	n.next++
	from := netip.AddrPortFrom(bind.Addr(), n.next)
	delay := n.faultsOf(from.Addr(), to.Addr()).Delay
	n.mu.Unlock()
	for again := time.Second; ; again *= 2 { // as TCP does
		if ok, _ := n.together(from.Addr(), to.Addr()); ok {
			break
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil, fmt.Errorf("dial %s: %w", to, os.ErrDeadlineExceeded)
		}
	}
	if delay > 0 {
		time.Sleep(delay)
	}
	n.mu.Lock()
	l := n.listeners[to]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial %s: %w", to, syscall.ECONNREFUSED)
	}
	here, there := n.pipe(from, to)
	select {
	case l.backlog <- there:
		return here, nil
	case <-l.closed:
		return nil, fmt.Errorf("dial %s: %w", to, syscall.ECONNREFUSED)
	case <-ctx.Done():
		return nil, fmt.Errorf("dial %s: %w", to, os.ErrDeadlineExceeded)
	}
}

type datagram struct {
	from netip.AddrPort
	b    []byte
}

// packets is one end of all datagrams.
type packets struct {
	n      *Network
	at     netip.AddrPort
	in     chan datagram
	closed chan struct{}
	once   sync.Once
}

func (p *packets) ReadFrom(b []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-p.in:
		return copy(b, d.b), d.from, nil
	case <-p.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (p *packets) WriteTo(b []byte, to netip.AddrPort) error {
	n := p.n
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.traffic[p.at.Addr()]
	t.Datagrams++
	t.DatagramBytes += uint64(len(b))
	n.traffic[p.at.Addr()] = t
	f := n.faultsOf(p.at.Addr(), to.Addr())
	d := datagram{p.at, append([]byte(nil), b...)}
	copies := 1
	if n.random.Float64() < f.Duplicate {
		copies = 2
	}
	for range copies {
		if n.random.Float64() < f.Loss {
			continue
		}
		delay := f.Delay
		if f.Jitter > 0 {
			delay += time.Duration(n.random.Int64N(int64(f.Jitter)))
		}
		if delay == 0 {
			n.deliver(d, to)
			continue
		}
		time.AfterFunc(delay, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.deliver(d, to)
		})
	}
	return nil
}

// deliver puts a datagram into its receiver's inbox, if there is room.
func (n *Network) deliver(d datagram, to netip.AddrPort) {
	p := n.packets[to]
	if p == nil || !n.hears(d.from.Addr(), to.Addr()) {
		return
	}
	select {
	case p.in <- datagram{d.from, append([]byte(nil), d.b...)}:
	default:
	}
}

func (p *packets) Close() error {
	p.once.Do(func() {
		close(p.closed)
		p.n.mu.Lock()
		defer p.n.mu.Unlock()
		delete(p.n.packets, p.at)
	})
	return nil
}

type listener struct {
	n       *Network
	at      netip.AddrPort
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.n.mu.Lock()
		defer l.n.mu.Unlock()
		delete(l.n.listeners, l.at)
	})
	return nil
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }
