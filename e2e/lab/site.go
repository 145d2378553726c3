package lab

import (
	"fmt"
	"time"
)

// Shape is how the directors of a site are connected.
type Shape int

const (
	// TwoArm directors have one leg at the router and one in the servers' LAN,
	// where their local addresses are on the link.
	TwoArm Shape = iota
	// Routed directors have one leg, at the router, and so have the servers:
	// local addresses are announced like VIPs.
	Routed
	// OneArm puts router, directors and servers into one LAN, VIPs and local
	// addresses too: nothing is announced, ARP and NDP do all.
	OneArm
)

func (s Shape) String() string { return [...]string{"two-arm", "routed", "one-arm"}[s] }

// Options of a site; the zero value is one client, one two-arm director, three
// servers, and a router that runs no BGP.
type Options struct {
	Shape     Shape
	Router    string // bird, frr, embedded; "": none
	Password  string // of the BGP sessions
	BFD       string // interval, of which three may be missed; "": none
	Fleet     bool   // the directors know of each other
	Directors int
	Servers   int
	Clients   int
	Extra     []Machine // more machines, in any of the site's LANs
}

// Site is the usual layout:
//
//	client1 ─┐ clients          front ┌─ lb1 ─┐ back   ┌─ server1
//	client2 ─┴───────── router ───────┴─ lb2 ─┴────────┴─ server2
//	                      └───────────────────────┘
//
// The router reaches the servers' LAN too: servers have it for their gateway,
// and routed directors need it.
//
//	clients  198.51.100.0/24  2001:db8:c::/64   router .1, clients from .11
//	front    10.1.0.0/24      2001:db8:1::/64   router .1, directors from .11
//	back     10.3.0.0/24      2001:db8:3::/64   router .1, servers from .11, directors from .201
//	local    10.2.N.0/28      2001:db8:2:N::/124, or in the back LAN from .128 on
//	VIPs     203.0.113.0/24   2001:db8:f::/64, or in the back LAN at .80 and ::1:80
type Site struct {
	*Lab
	Gateway   *Host // the router's host
	Router    Router
	Clients   []*Host
	Directors []*Director
	Servers   []*Host

	// VIP4 and VIP6 are the addresses that suit the shape.
	VIP4, VIP6 string
}

// OpenSite lays the site out and starts its router; directors and servers are
// for the caller to start.
func OpenSite(o Options) (*Site, error) {
	o.defaults()
	l, err := Open(o.layout())
	if err != nil {
		return nil, err
	}
	s := &Site{Lab: l, Gateway: l.Host("router"), VIP4: "203.0.113.10", VIP6: "2001:db8:f::10"}
	if o.Shape == OneArm {
		s.VIP4, s.VIP6 = "10.3.0.80", "2001:db8:3::1:80"
	}
	for i := range o.Clients {
		s.Clients = append(s.Clients, l.Host(fmt.Sprintf("client%d", i+1)))
	}
	for i := range o.Servers {
		s.Servers = append(s.Servers, l.Host(fmt.Sprintf("server%d", i+1)))
	}
	for i := range o.Directors {
		s.Directors = append(s.Directors, o.director(l.Host(fmt.Sprintf("lb%d", i+1)), i+1))
	}
	if o.Router != "" {
		if s.Router, err = s.Gateway.NewRouter(o.Router, o.Password, o.BFD != ""); err == nil {
			err = s.Router.Start()
		}
		if err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// SiteForTest is to OpenSite as [ForTest] is to Open.
func SiteForTest(t TB, o Options) *Site {
	t.Helper()
	s, err := OpenSite(o)
	if err != nil {
		refuse(t, err)
	}
	closeWith(t, s.Lab)
	return s
}

// ServerAddress returns "ip:port" of the i-th server, counted from 1.
func ServerAddress(i, port int, v6 bool) string {
	if v6 {
		return fmt.Sprintf("[2001:db8:3::%d]:%d", 10+i, port)
	}
	return fmt.Sprintf("10.3.0.%d:%d", 10+i, port)
}

// AwaitEstablished waits until the router has sessions with every director over
// both families.
func (s *Site) AwaitEstablished(timeout time.Duration) error {
	return Await(timeout, "BGP sessions with every director", func() error {
		neighbors, err := s.Router.Neighbors()
		if err != nil {
			return err
		}
		up := 0
		for _, n := range neighbors {
			if n.Established {
				up++
			}
		}
		if want := 2 * len(s.Directors); up != want {
			return fmt.Errorf("%d of %d established", up, want)
		}
		return nil
	})
}

func (o *Options) defaults() {
	if o.Directors == 0 {
		o.Directors = 1
	}
	if o.Servers == 0 {
		o.Servers = 3
	}
	if o.Clients == 0 {
		o.Clients = 1
	}
}

func (o *Options) layout() Layout {
	router := Machine{Name: "router", Router: true, Plugs: []Plug{
		{LAN: "clients", Addrs: []string{"198.51.100.1/24", "2001:db8:c::1/64"}},
		{LAN: "back", Addrs: []string{"10.3.0.1/24", "2001:db8:3::1/64"}},
	}}
	if o.Shape != OneArm {
		router.Plugs = append(router.Plugs, Plug{LAN: "front", Addrs: []string{"10.1.0.1/24", "2001:db8:1::1/64"}})
	}
	layout := Layout{router}
	for i := range o.Clients {
		layout = append(layout, Machine{
			Name:   fmt.Sprintf("client%d", i+1),
			Plugs:  []Plug{{LAN: "clients", Addrs: in("198.51.100.%d/24", "2001:db8:c::%d/64", 11+i)}},
			Routes: []string{"default via 198.51.100.1", "default via 2001:db8:c::1"},
		})
	}
	front := Plug{LAN: "front"}
	for i := range o.Directors {
		front.Addrs = in("10.1.0.%d/24", "2001:db8:1::%d/64", 11+i)
		back := Plug{LAN: "back", Addrs: in("10.3.0.%d/24", "2001:db8:3::%d/64", 201+i)}
		m := Machine{Name: fmt.Sprintf("lb%d", i+1), Plugs: []Plug{front},
			Routes: []string{"default via 10.1.0.1", "default via 2001:db8:1::1"}}
		switch o.Shape {
		case TwoArm:
			m.Plugs = append(m.Plugs, back)
		case OneArm:
			m.Plugs = []Plug{back}
			m.Routes = []string{"default via 10.3.0.1", "default via 2001:db8:3::1"}
		}
		layout = append(layout, m)
	}
	for i := range o.Servers {
		layout = append(layout, Machine{
			Name:   fmt.Sprintf("server%d", i+1),
			Plugs:  []Plug{{LAN: "back", Addrs: in("10.3.0.%d/24", "2001:db8:3::%d/64", 11+i)}},
			Routes: []string{"default via 10.3.0.1", "default via 2001:db8:3::1"},
		})
	}
	return append(layout, o.Extra...)
}

// director describes the i-th director, counted from 1.
func (o *Options) director(h *Host, i int) *Director {
	d := &Director{
		Host:       h,
		Interfaces: []string{"eth0"},
		Locals:     in("10.3.0.%d/28", "2001:db8:3::%x/124", 128+16*(i-1)),
		BGP:        o.Router != "",
		Neighbors:  []string{"10.1.0.1", "2001:db8:1::1"},
		RouterID:   fmt.Sprintf("10.1.0.%d", 10+i),
		Password:   o.Password,
		BFD:        o.BFD,
	}
	if o.Fleet {
		d.Gossip, d.Key = gossips(o.Shape, i), fleetKey
		for other := range o.Directors {
			if other+1 != i {
				d.Seeds = append(d.Seeds, gossips(o.Shape, other+1))
			}
		}
	}
	switch o.Shape {
	case TwoArm:
		d.Interfaces = []string{"eth0", "eth1"}
	case Routed:
		d.Locals = in("10.2.%d.0/28", "2001:db8:2:%d::/124", i)
	}
	return d
}

// fleetKey is for every fleet of the lab: its networks are nobody else's.
const fleetKey = "bGFiIGxhYiBsYWIgbGFiIGxhYiBsYWIgbGFiIGxhYi4="

// GossipPort is where directors speak to each other.
const GossipPort = 7946

// gossips is where the i-th director of a fleet does.
func gossips(shape Shape, i int) string {
	if shape == OneArm {
		return fmt.Sprintf("10.3.0.%d:%d", 200+i, GossipPort)
	}
	return fmt.Sprintf("10.1.0.%d:%d", 10+i, GossipPort)
}

// in fills one number into an address of each family.
func in(v4, v6 string, n int) []string {
	return []string{fmt.Sprintf(v4, n), fmt.Sprintf(v6, n)}
}
