package vrrp

import (
	"errors"
	"net/netip"
	"sync"
	"time"
)

// air is a LAN without a kernel: what one sends is with all others at once. It
// belongs into a synctest bubble.
type air struct {
	mu    sync.Mutex
	ears  []*antenna
	heard []said
}

// said is one message that went over the air.
type said struct {
	at       time.Time
	from     string
	priority uint8
	advert
}

// antenna is one speaker's wire.
type antenna struct {
	air    *air
	at     netip.Addr
	bell   chan struct{}
	queue  []arrival // air.mu
	deaf   bool      // air.mu
	broken bool      // air.mu
}

func (a *air) antenna(at string) *antenna {
	t := &antenna{air: a, at: netip.MustParseAddr(at), bell: make(chan struct{}, 1)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ears = append(a.ears, t)
	return t
}

func (t *antenna) wake() {
	select {
	case t.bell <- struct{}{}:
	default:
	}
}

func (t *antenna) close() {}

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

func (t *antenna) open(_ Place, from netip.Addr) (line, error) {
	t.air.mu.Lock()
	defer t.air.mu.Unlock()
	if t.broken {
		return nil, errors.New("interface eth0 has no IPv4 address to speak from")
	}
	if !from.IsValid() {
		from = t.at
	}
	return &beam{t, from}, nil
}

// beam is the line of the one place there is.
type beam struct {
	antenna *antenna
	from    netip.Addr
}

func (b *beam) local() netip.Addr { return b.from }
func (b *beam) close()            {}

func (b *beam) receive(hand func(*arrival)) {
	a := b.antenna.air
	a.mu.Lock()
	queue := b.antenna.queue
	b.antenna.queue = nil
	a.mu.Unlock()
	for i := range queue {
		hand(&queue[i])
	}
}

func (b *beam) send(wire []byte) error {
	a := b.antenna.air
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.antenna.broken {
		return errors.New("network is down")
	}
	m, _, fault := parse(wire, b.from, group4)
	if fault != None {
		panic("sent what no one takes: " + fault.String())
	}
	a.heard = append(a.heard, said{time.Now(), b.from.String(), m.priority, m})
	for _, to := range a.ears {
		if to != b.antenna && !to.deaf {
			to.queue = append(to.queue, arrival{append([]byte(nil), wire...), b.from, group4, hopLimit})
			to.wake()
		}
	}
	return nil
}

// sent returns what was, and forgets it.
func (a *air) sent() (all []said) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all, a.heard = a.heard, nil
	return all
}

func (a *air) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}
