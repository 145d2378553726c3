package service

import (
	"fmt"
	"net/netip"
)

// claims are what services listen at. One port goes before a range of them, and a
// range before any, so only those of one kind get into each other's way.
type claims struct {
	singles map[Listener]string       // by whom
	ranges  map[Listener][]rangeClaim // by VIP and protocol, of which port and last are 0
}

type rangeClaim struct {
	Listener
	owner string
}

func (l Listener) any() bool { return l.VIP.Port() == 0 }

func (l Listener) String() string {
	if l.Last == 0 || l.any() {
		return fmt.Sprintf("%v/%s", l.VIP, protocol(l.Protocol))
	}
	return fmt.Sprintf("%v-%d/%s", l.VIP, l.Last, protocol(l.Protocol))
}

// claim notes that a service listens somewhere, or says who else does.
func (c *claims) claim(l Listener, owner string) error {
	if c.singles == nil {
		c.singles, c.ranges = make(map[Listener]string), make(map[Listener][]rangeClaim)
	}
	l.VIP = unmap(l.VIP)
	if l.Last == 0 {
		if other, taken := c.singles[l]; taken {
			return fmt.Errorf("vip %v: belongs to service %q", l, other)
		}
		c.singles[l] = owner
		return nil
	}
	at := Listener{VIP: netip.AddrPortFrom(l.VIP.Addr(), 0), Protocol: l.Protocol}
	for _, o := range c.ranges[at] {
		if o.any() == l.any() && o.VIP.Port() <= l.Last && l.VIP.Port() <= o.Last {
			return fmt.Errorf("vip %v: overlaps %v of service %q", l, o.Listener, o.owner)
		}
	}
	c.ranges[at] = append(c.ranges[at], rangeClaim{l, owner})
	return nil
}
