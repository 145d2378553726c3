package nexthop

import (
	"net/netip"

	"github.com/vishvananda/netlink"

	"fleetlb/fullnat/packet"
)

// A Network is what a Watcher would have read from a kernel. It makes tables for
// those who have none to ask, tests above all.
type Network struct {
	Ports     []Port                   // their Index is set by Table
	Addresses [][]netip.Prefix         // the host's, by port
	Routes    []Route                  // beside those that the addresses bring
	Neighbors []map[netip.Addr][6]byte // that answer, by port
	Wanted    []netip.Addr             // on-link destinations that somebody has asked for
}

// A Route leads by a gateway or, without one, straight to a link.
type Route struct {
	Prefix  netip.Prefix
	Gateway netip.Addr
	Port    int // -1: the kernel refuses such packets
	MTU     int // 0: the port's
}

// Table makes the table of the network. IDs of two tables have nothing to do
// with each other, so their generations must differ.
func (n *Network) Table(generation uint32) *Table {
	m := &mirror{}
	for i, p := range n.Ports {
		p.Index = i + 1
		m.ports = append(m.ports, p)
	}
	for port, addresses := range n.Addresses {
		for _, a := range addresses {
			host := netip.PrefixFrom(a.Addr(), a.Addr().BitLen())
			m.addresses = append(m.addresses, address{
				index: port + 1, prefix: a, peer: a.Masked(), usable: true, global: !a.Addr().IsLinkLocalUnicast(),
			})
			m.routes = append(m.routes,
				route{prefix: host, own: true, void: true},
				route{prefix: a.Masked(), paths: []path{{index: port + 1, weight: 1}}})
		}
	}
	for _, r := range n.Routes {
		if r.Port < 0 {
			m.routes = append(m.routes, route{prefix: r.Prefix, void: true})
			continue
		}
		m.routes = append(m.routes, route{
			prefix: r.Prefix, paths: []path{{index: r.Port + 1, gateway: r.Gateway, weight: 1, mtu: r.MTU}},
		})
	}
	neighbors := make(map[neighborKey]neighbor)
	for port, known := range n.Neighbors {
		for a, mac := range known {
			neighbors[neighborKey{port + 1, packet.AddrFrom(a)}] = neighbor{mac, netlink.NUD_REACHABLE}
		}
	}
	keep := make([]packet.Addr, len(n.Wanted))
	for i, a := range n.Wanted {
		keep[i] = packet.AddrFrom(a)
	}
	t := build(m, neighbors, newHops(), keep)
	t.generation = generation
	return t
}
