package bgp

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Timers a neighbour gets when its own are zero. Nine seconds is the shortest
// hold time that survives two lost keepalives of whole seconds.
const (
	DefaultHoldTime     = 9 * time.Second
	DefaultConnectRetry = 5 * time.Second
	DefaultPort         = 179
)

const (
	maxPassword = 80 // TCP_MD5SIG_MAXKEYLEN
	maxPrepend  = 16 // beyond this an AS path is noise, and some routers refuse it
)

// Config is all a speaker is told about whom to speak to.
type Config struct {
	ASN      uint32     `json:"asn"`
	RouterID netip.Addr `json:"router_id"` // IPv4, unique among the neighbours' neighbours

	// ListenPort is where passive neighbours connect to; 0 is 179. While no
	// neighbour is passive nobody listens.
	ListenPort uint16     `json:"listen_port,omitempty"`
	Neighbors  []Neighbor `json:"neighbors,omitempty"`
}

// Neighbor is a router to announce to.
//
// IPv4 prefixes are announced over a session between IPv4 addresses and IPv6
// prefixes over one between IPv6 addresses. The other family is announced as
// well when its next hop is given.
type Neighbor struct {
	Address netip.Addr `json:"address"`
	Port    uint16     `json:"port,omitempty"` // 0: 179
	ASN     uint32     `json:"asn"`            // the speaker's own: iBGP

	LocalAddress netip.Addr `json:"local_address"`     // zero: the kernel chooses
	Passive      bool       `json:"passive,omitempty"` // wait for the router to connect

	HoldTime     time.Duration `json:"hold_time,omitempty"`     // whole seconds, 3 s at least; 0: DefaultHoldTime
	ConnectRetry time.Duration `json:"connect_retry,omitempty"` // whole seconds; 0: DefaultConnectRetry

	Password    string `json:"password,omitempty"`     // TCP-MD5 (RFC 2385), 80 bytes at most
	TTLSecurity int    `json:"ttl_security,omitempty"` // GTSM (RFC 5082): how many hops away; 1 is next door, 0 is off
	Multihop    int    `json:"multihop,omitempty"`     // eBGP over routers: the TTL to send with; 0 is off

	// What announcements to this neighbour carry, added to what each route
	// carries by itself.
	NextHop4         netip.Addr `json:"next_hop4"` // zero: the session's local address
	NextHop6         netip.Addr `json:"next_hop6"`
	Prepend          int        `json:"prepend,omitempty"` // our ASN, this many times more; eBGP only
	MED              *uint32    `json:"med,omitempty"`     // nil: none, unless the route has one
	Communities      []string   `json:"communities,omitempty"`
	LargeCommunities []string   `json:"large_communities,omitempty"`
}

// Check reports what is wrong with c, one error for each fault.
func (c *Config) Check() error {
	var errs []error
	if c.ASN == 0 {
		errs = append(errs, errors.New("bgp: asn 0 is reserved"))
	}
	if !c.RouterID.Is4() || c.RouterID.IsUnspecified() {
		errs = append(errs, fmt.Errorf("bgp: router id %v is not an IPv4 address", c.RouterID))
	}
	seen := make(map[netip.Addr]bool)
	for i := range c.Neighbors {
		n := &c.Neighbors[i]
		if err := n.check(c); err != nil {
			errs = append(errs, fmt.Errorf("bgp: neighbor %v: %w", n.Address, err))
		}
		if seen[n.Address] {
			errs = append(errs, fmt.Errorf("bgp: neighbor %v: given twice", n.Address))
		}
		seen[n.Address] = true
	}
	return errors.Join(errs...)
}

func (n *Neighbor) check(c *Config) error {
	switch {
	case !n.Address.IsValid() || n.Address.IsUnspecified() || n.Address.Is4In6():
		return errors.New("not an address to connect to")
	case n.ASN == 0:
		return errors.New("asn 0 is reserved")
	case n.LocalAddress.IsValid() && n.LocalAddress.Is4() != n.Address.Is4():
		return fmt.Errorf("local address %v is of the other family", n.LocalAddress)
	case n.HoldTime != 0 && (n.HoldTime < 3*time.Second || n.HoldTime > 65535*time.Second):
		return fmt.Errorf("hold time %v is not between 3s and 65535s", n.HoldTime)
	case n.HoldTime%time.Second != 0:
		return fmt.Errorf("hold time %v is not in whole seconds", n.HoldTime)
	case n.ConnectRetry < 0 || n.ConnectRetry%time.Second != 0:
		return fmt.Errorf("connect retry %v is not in whole seconds", n.ConnectRetry)
	case len(n.Password) > maxPassword:
		return fmt.Errorf("password is longer than %d bytes", maxPassword)
	case n.TTLSecurity < 0 || n.TTLSecurity > 254:
		return fmt.Errorf("ttl security of %d hops is not between 1 and 254", n.TTLSecurity)
	case n.Multihop < 0 || n.Multihop > 255:
		return fmt.Errorf("multihop ttl %d is not between 1 and 255", n.Multihop)
	case n.TTLSecurity > 0 && n.Multihop > 0:
		return errors.New("ttl security and multihop exclude each other")
	case n.Multihop > 0 && n.ASN == c.ASN:
		return errors.New("multihop is for a neighbour of another asn")
	case n.NextHop4.IsValid() && !n.NextHop4.Is4():
		return fmt.Errorf("next hop %v is not an IPv4 address", n.NextHop4)
	case n.NextHop6.IsValid() && (!n.NextHop6.Is6() || n.NextHop6.Is4In6()):
		return fmt.Errorf("next hop %v is not an IPv6 address", n.NextHop6)
	case n.Prepend < 0 || n.Prepend > maxPrepend:
		return fmt.Errorf("prepend %d is not between 0 and %d", n.Prepend, maxPrepend)
	case n.Prepend > 0 && n.ASN == c.ASN:
		return errors.New("prepend is for a neighbour of another asn: inside one, a path with our own asn is a loop")
	}
	return checkCommunities(n.Communities, n.LargeCommunities)
}

func (n *Neighbor) holdTime() time.Duration     { return cmp.Or(n.HoldTime, DefaultHoldTime) }
func (n *Neighbor) connectRetry() time.Duration { return cmp.Or(n.ConnectRetry, DefaultConnectRetry) }
func (n *Neighbor) port() uint16                { return cmp.Or(n.Port, DefaultPort) }

// carries tells whether prefixes of a's family are announced to n.
func (n *Neighbor) carries(a netip.Addr) bool {
	if a.Is4() {
		return n.Address.Is4() || n.NextHop4.IsValid()
	}
	return n.Address.Is6() || n.NextHop6.IsValid()
}

// listenPort is the port to listen on, or -1.
func (c *Config) listenPort() int {
	if slices.ContainsFunc(c.Neighbors, func(n Neighbor) bool { return n.Passive }) {
		return int(cmp.Or(c.ListenPort, DefaultPort))
	}
	return -1
}

func (c *Config) clone() Config {
	d := *c
	d.Neighbors = slices.Clone(c.Neighbors)
	return d
}

func (c *Config) equal(d *Config) bool {
	return c.ASN == d.ASN && c.RouterID == d.RouterID && c.ListenPort == d.ListenPort &&
		slices.EqualFunc(c.Neighbors, d.Neighbors, func(a, b Neighbor) bool {
			return a.sameSession(&b) && a.sameAttributes(&b)
		})
}

// sameSession reports whether going from n to o needs no new session.
func (n *Neighbor) sameSession(o *Neighbor) bool {
	return n.Address == o.Address && n.port() == o.port() && n.ASN == o.ASN &&
		n.LocalAddress == o.LocalAddress && n.Passive == o.Passive &&
		n.holdTime() == o.holdTime() && n.connectRetry() == o.connectRetry() &&
		n.Password == o.Password && n.TTLSecurity == o.TTLSecurity && n.Multihop == o.Multihop &&
		n.NextHop4.IsValid() == o.NextHop4.IsValid() && n.NextHop6.IsValid() == o.NextHop6.IsValid()
}

// sameAttributes reports whether n and o are told the same of a route.
func (n *Neighbor) sameAttributes(o *Neighbor) bool {
	return n.NextHop4 == o.NextHop4 && n.NextHop6 == o.NextHop6 && n.Prepend == o.Prepend &&
		(n.MED == nil) == (o.MED == nil) && (n.MED == nil || *n.MED == *o.MED) &&
		slices.Equal(n.Communities, o.Communities) && slices.Equal(n.LargeCommunities, o.LargeCommunities)
}
