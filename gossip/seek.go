package gossip

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"fleetlb/gossip/seal"
)

// memberlist forgets the dead after half a minute, and then two halves of a
// fleet never meet again. So every member that died is asked to join for as long
// as it is remembered, and every seed for ever, until it is alive again. One
// attempt takes two seconds at most, and three pass at most before the next: with
// the exchange itself, members find each other again within six.
const (
	seekInterval = 200 * time.Millisecond
	firstPause   = 250 * time.Millisecond
	longestPause = 3 * time.Second
	mostSeeking  = 64 // attempts at a time
	mostHints    = 256
)

// a sought address is one where a member should be and is not.
type sought struct {
	seed  bool
	due   time.Time
	pause time.Duration // before the next attempt, without the jitter
	tries int
	won   int // attempts that succeeded, and yet it is not alive
	busy  bool
	node  uint64 // who answered there last; a seed's address need not be the one it tells
	err   string // why the last attempt failed, as it was logged
}

// seek looks for members until the fleet is closed.
func (f *Fleet) seek() {
	tick := time.NewTicker(seekInterval)
	defer tick.Stop()
	for {
		f.start(f.due())
		select {
		case <-tick.C:
		case <-f.ctx.Done():
			return
		}
	}
}

// start tries addresses, unless the fleet is being closed.
func (f *Fleet) start(due []netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, address := range due {
		if f.ctx.Err() == nil {
			f.wait.Go(func() { f.join(address) })
		}
	}
}

// due returns the addresses to be tried now.
func (f *Fleet) due() (due []netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	there := map[netip.AddrPort]bool{f.wire.advertise: true}
	nodes := map[uint64]bool{f.wire.endpoint.Boot().Node: true}
	for _, p := range f.peers {
		switch {
		case p.live():
			there[p.address], nodes[p.life.Node] = true, true
		case !p.left && f.sought[p.address] == nil:
			f.sought[p.address] = &sought{}
		}
	}
	busy, now := 0, time.Now()
	for address, s := range f.sought {
		found := there[address] || s.node != 0 && nodes[s.node]
		switch {
		case s.busy:
			busy++
		case found && !s.seed:
			delete(f.sought, address)
		case found:
			s.pause, s.won, s.err = 0, 0, ""
		case !now.Before(s.due) && busy+len(due) < mostSeeking:
			s.busy = true
			due = append(due, address)
		}
	}
	return due
}

// hint takes note of where somebody is who is not a live member here, though it
// speaks. If it is new, others will tell us in a moment.
func (f *Fleet) hint(p *peer, address netip.AddrPort) {
	s := f.sought[address]
	if s == nil {
		if len(f.sought) >= mostHints+mostPeers {
			return
		}
		s = &sought{}
		f.sought[address] = s
		if p == nil {
			s.due = time.Now().Add(jitter(time.Second))
		}
	}
	if p != nil && s.pause > firstPause {
		s.pause, s.due = firstPause, time.Now()
	}
}

// join asks whoever is at an address to join, and sees to the next attempt. To
// bring two halves together takes two exchanges: in the first each side learns
// that the other holds it dead, and only then does it object.
func (f *Fleet) join(address netip.AddrPort) {
	_, err := f.list.Join([]string{address.String()})
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sought[address]
	if s == nil {
		return
	}
	s.busy = false
	s.tries++
	if err == nil {
		s.won++
	}
	f.settle()
	if err == nil && s.won < 5 {
		s.pause = firstPause
	} else {
		s.pause = min(max(firstPause, 2*s.pause), longestPause)
	}
	s.due = time.Now().Add(jitter(s.pause))
	if err != nil && !s.seed && !f.wanted(address) {
		delete(f.sought, address)
	}
}

// settle lets Join return when a seed has answered, or all have been tried.
func (f *Fleet) settle() {
	all, one := true, false
	for _, s := range f.sought {
		all = all && (!s.seed || s.tries > 0)
		one = one || s.seed && s.won > 0
	}
	if (all || one) && !f.settled {
		f.settled = true
		close(f.tried)
	}
}

// wanted says whether a member that died was at this address.
func (f *Fleet) wanted(address netip.AddrPort) bool {
	for _, p := range f.peers {
		if p.address == address && !p.left {
			return true
		}
	}
	return false
}

// met takes note of what came of dialing an address.
func (f *Fleet) met(address netip.AddrPort, who seal.Life, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var refused *seal.RefusedError
	outlived := errors.As(err, &refused) && refused.Reason == seal.StaleEpoch
	if outlived != f.outlived && (outlived || err == nil) {
		f.outlived = outlived
		f.changed()
	}
	s := f.sought[address]
	switch {
	case s == nil || f.ctx.Err() != nil:
	case err == nil:
		s.node, s.err = who.Node, ""
	case errors.Is(err, seal.Own): // our address among the seeds, in another form
		s.node = f.wire.endpoint.Boot().Node
	case s.err != err.Error():
		s.err = err.Error()
		f.log.Info("gossip: out of reach: "+s.err, "address", address, "seed", s.seed)
	}
}

// jitter is a duration of about d: members that lost each other at one moment
// must not all come back at one.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}
