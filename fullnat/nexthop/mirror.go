package nexthop

import (
	"net/netip"

	"fleetlb/fullnat/packet"
)

// A mirror is what the kernel last said, in a form that compares: two mirrors
// that are deeply equal make equal tables.
type mirror struct {
	ports     []Port
	addresses []address
	routes    []route
}

// An address is one configured on an interface of the host.
type address struct {
	index  int          // of the interface
	prefix netip.Prefix // the address itself with its prefix length
	peer   netip.Prefix // what is connected: the same, but for point-to-point addresses
	usable bool         // neither tentative, duplicate nor deprecated
	global bool
}

// A route is one of the kernel's.
type route struct {
	prefix netip.Prefix
	own    bool // from the local table, which comes before the others
	void   bool // the kernel delivers such packets itself, or refuses them
	metric int
	paths  []path
}

// A path is one of a route's next hops.
type path struct {
	index   int        // of the interface
	gateway netip.Addr // of either family; the zero Addr if the destination is on-link
	weight  int        // at least 1
	mtu     int        // 0: the interface's
	down    bool       // the kernel says that it is
}

// A neighborKey is how the kernel names a neighbour.
type neighborKey struct {
	index int
	addr  packet.Addr
}

// A neighbor is what the kernel knows of one.
type neighbor struct {
	mac   [6]byte
	state int // NUD_…
}

// portOf returns the port of an interface's index.
func (m *mirror) portOf(index int) (uint8, bool) {
	for i := range m.ports {
		if m.ports[i].Index == index && index != 0 {
			return uint8(i), true
		}
	}
	return 0, false
}
