package bfd

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// What a peer gets whose own are zero.
const (
	DefaultInterval   = 300 * time.Millisecond
	DefaultMultiplier = 3
)

// Intervals below the shortest are lost to a busy host's scheduling; the longest
// fits the wire many times over and is slower than BGP's own hold time.
const (
	MinInterval = 50 * time.Millisecond
	MaxInterval = 10 * time.Second
)

// A Peer is a router to have a session with.
type Peer struct {
	Address netip.Addr
	Local   netip.Addr // our end; zero: what the kernel sends from

	// Interval is how often we wish to send and are ready to be sent to; a
	// slower peer slows both. A session that misses Multiplier in a row is down.
	Interval   time.Duration // 0: DefaultInterval
	Multiplier int           // 0: DefaultMultiplier

	Multihop bool // it is over routers: another port, and hop limits prove nothing
}

// ends is what tells sessions apart. A change of it takes a new session.
type ends struct {
	address, local netip.Addr
	multihop       bool
}

func (p *Peer) ends() ends { return ends{p.Address, p.Local, p.Multihop} }

// Check reports what is wrong with a set of peers.
func Check(peers []Peer) error {
	var errs []error
	seen := make(map[netip.Addr]bool)
	for i := range peers {
		p := &peers[i]
		if err := p.check(); err != nil {
			errs = append(errs, fmt.Errorf("bfd: peer %v: %w", p.Address, err))
		}
		if seen[p.Address] {
			errs = append(errs, fmt.Errorf("bfd: peer %v: given twice", p.Address))
		}
		seen[p.Address] = true
	}
	return errors.Join(errs...)
}

func (p *Peer) check() error {
	a, l := p.Address, p.Local
	switch {
	case !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Is4In6() || a.Zone() != "":
		return errors.New("not the address of a host")
	case l.IsValid() && (l.Is4() != a.Is4() || l.Is4In6() || l.IsUnspecified()):
		return fmt.Errorf("local address %v is not one to reach it from", l)
	case p.Interval != 0 && (p.Interval < MinInterval || p.Interval > MaxInterval):
		return fmt.Errorf("interval %v is not between %v and %v", p.Interval, MinInterval, MaxInterval)
	case p.Interval%time.Microsecond != 0:
		return fmt.Errorf("interval %v is not in whole microseconds", p.Interval)
	case p.Multiplier < 0 || p.Multiplier > 255:
		return fmt.Errorf("multiplier %d is not between 1 and 255", p.Multiplier)
	}
	return nil
}

// full is p with its defaults filled in.
func (p Peer) full() Peer {
	p.Interval = cmp.Or(p.Interval, DefaultInterval)
	p.Multiplier = cmp.Or(p.Multiplier, DefaultMultiplier)
	return p
}

// Status is how a session is doing.
type Status struct {
	Address netip.Addr
	Local   netip.Addr // zero: not known yet
	State   State
	Since   time.Time // of State
	Diag    Diag      // why it went down last; NoDiag while it is up
	Problem string    // why nothing can be sent or heard; "": it can

	RemoteState State // Down while nothing is heard
	RemoteDiag  Diag

	Interval time.Duration // from packet to packet of ours, before jitter
	Detect   time.Duration // silence of the peer that ends the session; 0: nothing heard

	Sent, Received uint64
	Failures       uint64 // how often it was up and went down, not on purpose
	LastFailure    Diag   // why the last time
}
