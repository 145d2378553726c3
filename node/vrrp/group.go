package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"
)

// A Group is a virtual router: addresses that go together, and our part in who
// holds them.
type Group struct {
	Name         string
	Interface    string
	ID           uint8 // VRID, 1 to 255; of IPv4 and of IPv6 on an interface they are counted apart
	Priority     uint8 // 1 to 255; 255: the addresses are this host's own
	Interval     time.Duration
	Preempt      bool          // take over from an active router of less priority
	PreemptDelay time.Duration // but not before it has been backup for so long
	Addresses    []netip.Addr  // of one family
	Source       netip.Addr    // to speak from; zero: the interface's first, or over IPv6 its link-local one
	Checksum     Checksum      // of what is sent over IPv4

	Ready bool // to be active, if the others let it
}

// A Place is what tells virtual routers apart. A change of it takes a new one.
type Place struct {
	ifname string
	id     uint8
	v4     bool
}

// Place is where a group is.
func (g *Group) Place() Place { return Place{g.Interface, g.ID, g.v4()} }

func (g *Group) v4() bool { return g.Addresses[0].Is4() }

// mostAddresses keeps an advertisement within the smallest of usual links, of
// 1,500 bytes.
func mostAddresses(v4 bool) int {
	if v4 {
		return 255 // as many as the header can count
	}
	return 90
}

// Check reports what is wrong with a set of groups.
func Check(groups []Group) error {
	var errs []error
	seen := make(map[Place]string)
	for i := range groups {
		g := &groups[i]
		if err := g.check(); err != nil {
			errs = append(errs, fmt.Errorf("vrrp: %s: %w", g.Name, err))
			continue
		}
		if other, taken := seen[g.Place()]; taken {
			errs = append(errs, fmt.Errorf("vrrp: %s: id %d on %s is that of %s", g.Name, g.ID, g.Interface, other))
		}
		seen[g.Place()] = g.Name
	}
	return errors.Join(errs...)
}

func (g *Group) check() error {
	switch {
	case g.ID == 0:
		return errors.New("id 0 is not between 1 and 255")
	case g.Priority == release:
		return errors.New("priority 0 is not between 1 and 255")
	case g.Interval < MinInterval || g.Interval > MaxInterval || g.Interval%MinInterval != 0:
		return fmt.Errorf("interval %v is not in steps of %v between that and %v", g.Interval, MinInterval, MaxInterval)
	case len(g.Addresses) == 0:
		return errors.New("no addresses")
	case len(g.Addresses) > mostAddresses(g.v4()):
		return fmt.Errorf("%d addresses; %d are the most", len(g.Addresses), mostAddresses(g.v4()))
	}
	for _, a := range append(slices.Clone(g.Addresses), g.Source) {
		if a.IsValid() && a.Is4() != g.v4() {
			return fmt.Errorf("address %v is of another family than %v", a, g.Addresses[0])
		}
	}
	return nil
}

// equal says whether the operator wants the same of both, but for what is asked
// anew all the time.
func (g *Group) equal(o *Group) bool {
	a, b := *g, *o
	a.Ready, b.Ready = false, false
	return reflect.DeepEqual(a, b)
}

// Status is how a group is doing.
type Status struct {
	Name      string
	Interface string
	ID        uint8
	Priority  uint8
	Interval  time.Duration // as the active router says it, while that is another
	Addresses []netip.Addr
	Own       Group // as the operator wants it

	State       State
	Since       time.Time  // of State
	Address     netip.Addr // we speak from; zero: not known yet
	Others      []Other    // heard lately, the last one first
	Claims      uint32     // another value: tell the stations (again) where the addresses are
	Transitions uint64     // times it became active
	Reason      string     // for the last change of State; "": there was none
	Problem     string     // why nothing can be sent or heard; "": it can

	Sent, Received uint64
	Drops          map[string]uint64 // received and not used, by reason
}

// Place is where the group is.
func (s *Status) Place() Place { return Place{s.Interface, s.ID, s.Addresses[0].Is4()} }

// Active is who is, as far as is known; not ok: nobody.
func (s *Status) Active() (who Other, ok bool) {
	switch {
	case s.State == Active:
		return Other{Address: s.Address, Priority: s.Priority}, true
	case s.State == Backup && len(s.Others) > 0 && s.Others[0].Priority != release:
		return s.Others[0], true
	}
	return Other{}, false
}

// An Other is another router that advertises for the same virtual router.
type Other struct {
	Address   netip.Addr
	Priority  uint8
	Interval  time.Duration
	Addresses []netip.Addr
	Checksum  Checksum
	Last      time.Time // heard
	Count     int       // advertisements since it was silent for longer than three intervals
}
