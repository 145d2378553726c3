package nexthop

import (
	"net/netip"

	"fleetlb/fullnat/packet"
)

// An ID names a hop. It means the same hop in every table of one generation.
type ID uint16

// None is the answer of Lookup when there is no route.
const None ID = 0

// unknown plus a port is the ID of on-link destinations that nobody has asked
// for yet. IDs of hops are smaller.
const unknown ID = 0xff00

// A Hop is where to send a frame next: out of Port, from Src to Dst.
type Hop struct {
	Port     uint8 // index into the interfaces
	Resolved bool  // Dst is known and, as far as the kernel can tell, alive
	Src, Dst [6]byte
	MTU      uint16      // of the interface or, if smaller, the route
	Gateway  packet.Addr // whose address Dst is: a router's, or the destination's itself; zero if nobody has asked for it yet
}

// An Interface is one that frames may leave by.
type Interface struct {
	Name  string
	Index int // 0 if there is no such interface
	MAC   [6]byte
	MTU   int
}

// A Port is one of our interfaces as it is at present.
type Port struct {
	Interface
	Up bool // administratively, and with a carrier
}

// A Table is the kernel's routes and neighbours at one moment. It never changes.
type Table struct {
	generation uint32
	hops       []Hop // by ID; the first stands for None
	unknown    []Hop // by port
	onLink     map[hopKey]ID
	routes     [2]lpm // IPv4, IPv6

	ports     []Port
	connected [][]netip.Prefix // by port
	hosts     map[packet.Addr]struct{}
	sources   [2][]packet.Addr // IPv4, IPv6; by port
	unkept    int
}

// A hopKey is what makes a hop: a neighbour on a port, reached with an MTU of
// its own if the route has one, else 0.
type hopKey struct {
	addr packet.Addr
	mtu  uint16
	port uint8
}

// Lookup returns the next hop towards dst, or None if there is no route. An
// on-link destination that nobody has asked for yet has an ID as well; its hop
// knows only the port.
func (t *Table) Lookup(dst packet.Addr) ID {
	r := t.routes[family(dst)].find(dst)
	if r == nil || len(r.paths) == 0 {
		return None
	}
	p := r.path(dst)
	if p.hop != None {
		return p.hop
	}
	if id, ok := t.onLink[hopKey{dst, p.mtu, p.port}]; ok {
		return id
	}
	return unknown + ID(p.port)
}

// Hop returns the hop of an ID, or nil for None. It is the table's.
func (t *Table) Hop(id ID) *Hop {
	switch {
	case id == None:
		return nil
	case id >= unknown:
		return &t.unknown[id-unknown]
	}
	return &t.hops[id]
}

// MaxHops is more than any ID of a hop that has been asked for.
const MaxHops = maxHops

// Hops lists the hops by ID; the first stands for None. It is the table's.
func (t *Table) Hops() []Hop { return t.hops }

// Behind returns the router on the way to dst, or the zero Addr where there is
// none, or none is known.
func (t *Table) Behind(dst packet.Addr) packet.Addr {
	if hop := t.Hop(t.Lookup(dst)); hop != nil && hop.Gateway != dst {
		return hop.Gateway
	}
	return packet.Addr{}
}

// Unkept is how many on-link destinations are not kept resolved, there being more
// than [MaxKept] of them.
func (t *Table) Unkept() int { return t.unkept }

// MaxKept is how many on-link destinations are kept resolved.
const MaxKept = maxKept

// Generation changes whenever Lookup may answer otherwise than it did, and not
// when a hop only becomes reachable or changes its MAC address.
func (t *Table) Generation() uint32 { return t.generation }

// Port returns an interface as it is at present.
func (t *Table) Port(port uint8) *Port { return &t.ports[port] }

// Ports lists the interfaces as they are at present. It is the table's.
func (t *Table) Ports() []Port { return t.ports }

// OnLink says whether a lies in a prefix connected to a port.
func (t *Table) OnLink(port uint8, a packet.Addr) bool {
	ip := a.Netip()
	for _, p := range t.connected[port] {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// HostAddress says whether a is configured on one of the host's interfaces, be
// it ours or not.
func (t *Table) HostAddress(a packet.Addr) bool {
	_, ok := t.hosts[a]
	return ok
}

// Hosts lists the addresses of the host's interfaces, in no order.
func (t *Table) Hosts() (all []netip.Addr) {
	for a := range t.hosts {
		all = append(all, a.Netip())
	}
	return all
}

// SourceFor returns the address with which the host itself would speak on a
// port, or the zero Addr if it has none of that family on any of our ports.
func (t *Table) SourceFor(port uint8, v6 bool) packet.Addr {
	if v6 {
		return t.sources[1][port]
	}
	return t.sources[0][port]
}

// family is an address's index into what there is one of for each family.
func family(a packet.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}
