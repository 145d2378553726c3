package replica

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"fleetlb/session"
)

// A network carries datagrams and streams between engines, in memory. What its
// fields say may be changed while it does, under mu.
type network struct {
	mu     sync.Mutex
	random *rand.Rand
	loss   float64 // share of datagrams that are lost
	twice  float64 // share of those that come twice
	delay  time.Duration
	jitter time.Duration // later than delay by up to this: datagrams overtake each other
	cut    func(from, to session.NodeID) bool
	frozen map[session.NodeID]bool // these take nothing until they wake
	late   map[session.NodeID][]func()

	engines map[session.NodeID]*Engine
	owners  map[session.NodeID]session.Owner
	streams map[*stretch]bool
	sent    int // datagrams
	bytes   int
}

// A stretch is one open stream.
type stretch struct {
	from, to session.NodeID
	end      net.Conn
}

func newNetwork(seed uint64) *network {
	return &network{
		random: rand.New(rand.NewPCG(seed, seed)), delay: 100 * time.Microsecond,
		frozen: map[session.NodeID]bool{}, late: map[session.NodeID][]func(){},
		engines: map[session.NodeID]*Engine{}, owners: map[session.NodeID]session.Owner{},
		streams: map[*stretch]bool{},
	}
}

// wire is the network as one director sees it.
type wire struct {
	*network
	from session.NodeID
}

func (w wire) Send(to session.NodeID, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent++
	w.bytes += len(payload)
	if len(payload) > MaxDatagram {
		return errors.New("too long")
	}
	from := w.owners[w.from]
	if w.frozen[w.from] || w.cut != nil && w.cut(w.from, to) {
		return nil
	}
	for copies := 1; copies > 0; copies-- {
		if w.random.Float64() < w.twice {
			copies++
		}
		if w.random.Float64() < w.loss {
			continue
		}
		delay := w.delay
		if w.jitter > 0 {
			delay += time.Duration(w.random.Int64N(int64(w.jitter)))
		}
		payload := slices.Clone(payload)
		time.AfterFunc(delay, func() { w.deliver(to, func(e *Engine) { e.Receive(from, payload) }) })
	}
	return nil
}

func (n *network) deliver(to session.NodeID, f func(*Engine)) {
	n.mu.Lock()
	if n.frozen[to] {
		if len(n.late[to]) < 256 { // as much as a socket holds
			n.late[to] = append(n.late[to], func() { n.deliver(to, f) })
		}
		n.mu.Unlock()
		return
	}
	e := n.engines[to]
	n.mu.Unlock()
	if e != nil {
		f(e)
	}
}

func (w wire) Open(ctx context.Context, to session.NodeID) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.engines[to]
	from := w.owners[w.from]
	if e == nil || w.frozen[w.from] || w.frozen[to] || w.cut != nil && (w.cut(w.from, to) || w.cut(to, w.from)) {
		return nil, errors.New("no route")
	}
	near, far := net.Pipe()
	s := &stretch{w.from, to, far}
	w.streams[s] = true
	go func() {
		e.Accept(from, far)
		far.Close()
		w.mu.Lock()
		delete(w.streams, s)
		w.mu.Unlock()
	}()
	return near, nil
}

// set changes what the network does.
func (n *network) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	for s := range n.streams {
		if n.cut != nil && (n.cut(s.from, s.to) || n.cut(s.to, s.from)) {
			s.end.Close()
		}
	}
}

// traffic is how many datagrams and bytes were sent so far.
func (n *network) traffic() (datagrams, bytes int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent, n.bytes
}
