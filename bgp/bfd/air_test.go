package bfd

import (
	"errors"
	"net/netip"
	"sync"
	"time"
)

// air connects speakers without a kernel: what one sends is with the other at
// once, unless lose says otherwise. It belongs into a synctest bubble.
type air struct {
	mu    sync.Mutex
	ears  map[netip.Addr]*antenna
	lose  func(from netip.Addr, p packet) bool
	heard []heard // all that was sent, lost or not
}

type heard struct {
	at   time.Time
	from netip.Addr
	packet
}

func newAir() *air {
	return &air{ears: map[netip.Addr]*antenna{}, lose: func(netip.Addr, packet) bool { return false }}
}

// antenna is one speaker's wire.
type antenna struct {
	air    *air
	at     netip.Addr
	bell   chan struct{}
	queue  []arrival // air.mu
	broken bool      // air.mu
	closed bool
}

func (a *air) antenna(at netip.Addr) *antenna {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := &antenna{air: a, at: at, bell: make(chan struct{}, 1)}
	a.ears[at] = t
	return t
}

func (t *antenna) wake()  { poke(t.bell) }
func (t *antenna) close() { t.closed = true }

func (t *antenna) wait(until time.Time) {
	if until.IsZero() {
		<-t.bell
		return
	}
	select {
	case <-t.bell:
	case <-time.After(time.Until(until)):
	}
}

func (t *antenna) receive(hand func(*arrival)) {
	t.air.mu.Lock()
	queue := t.queue
	t.queue = nil
	t.air.mu.Unlock()
	for i := range queue {
		hand(&queue[i])
	}
}

func (t *antenna) dial(e ends) (line, error) {
	t.air.mu.Lock()
	defer t.air.mu.Unlock()
	if t.broken {
		return nil, errors.New("no route to host")
	}
	return &beam{t, e}, nil
}

type beam struct {
	antenna *antenna
	ends    ends
}

func (b *beam) local() netip.Addr { return b.antenna.at }
func (b *beam) close()            {}

func (b *beam) send(wire []byte) error {
	a := b.antenna.air
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.antenna.broken {
		return errors.New("network is down")
	}
	p, fault := parse(wire)
	if fault != None {
		panic("sent what no one takes: " + fault.String())
	}
	a.heard = append(a.heard, heard{time.Now(), b.antenna.at, p})
	if to := a.ears[b.ends.address]; to != nil && !a.lose(b.antenna.at, p) {
		to.queue = append(to.queue, arrival{append([]byte(nil), wire...), b.antenna.at, b.ends.address, b.ends.multihop})
		to.wake()
	}
	return nil
}

// sent returns when one end has sent since, and forgets all.
func (a *air) sent(from netip.Addr) (all []heard) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.heard {
		if h.from == from {
			all = append(all, h)
		}
	}
	a.heard = nil
	return all
}

func (a *air) losing(lose func(from netip.Addr, p packet) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lose = lose
}
