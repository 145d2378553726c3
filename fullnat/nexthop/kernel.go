package nexthop

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"fleetlb/fullnat/packet"
)

// A kernel answers questions over netlink.
type kernel struct{ *netlink.Handle }

// dump asks a question until its answer is whole: the kernel says when what it
// listed changed meanwhile.
func dump[T any](ask func() ([]T, error)) (answer []T, err error) {
	for range 5 {
		if answer, err = ask(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return answer, err
		}
	}
	return answer, nil // it keeps changing, so news will come
}

// mirror reads everything but the neighbours.
func (k kernel) mirror(names []string) (*mirror, error) {
	m := &mirror{}
	for _, name := range names {
		p, err := k.port(name)
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", name, err)
		}
		m.ports = append(m.ports, p)
	}
	addrs, err := dump(func() ([]netlink.Addr, error) { return k.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if a, ok := addressOf(a); ok {
			m.addresses = append(m.addresses, a)
		}
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := dump(func() ([]netlink.Route, error) {
			return k.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for i := range routes {
			if r, ok := routeOf(&routes[i]); ok {
				m.routes = append(m.routes, r)
			}
		}
	}
	return m, nil
}

// port describes one of our interfaces. One that is missing is down.
func (k kernel) port(name string) (Port, error) {
	l, err := k.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return Port{Interface: Interface{Name: name}}, nil
	}
	if err != nil {
		return Port{}, err
	}
	a := l.Attrs()
	const running = unix.IFF_UP | unix.IFF_RUNNING
	p := Port{Interface{Name: name, Index: a.Index, MTU: a.MTU}, a.RawFlags&running == running}
	copy(p.MAC[:], a.HardwareAddr)
	return p, nil
}

func addressOf(a netlink.Addr) (address, bool) {
	prefix, ok := prefixOf(a.IPNet)
	if !ok {
		return address{}, false
	}
	const unusable = unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED | unix.IFA_F_DEPRECATED
	out := address{
		index: a.LinkIndex, prefix: prefix, peer: prefix.Masked(),
		usable: a.Flags&unusable == 0 || a.Flags&unix.IFA_F_OPTIMISTIC != 0,
		global: a.Scope < unix.RT_SCOPE_LINK,
	}
	if peer, ok := prefixOf(a.Peer); ok {
		out.peer = peer.Masked()
	}
	return out, true
}

// routeOf translates a route, or says that it is none of the director's.
func routeOf(r *netlink.Route) (route, bool) {
	prefix, ok := prefixOf(r.Dst)
	if !ok || r.Tos != 0 {
		return route{}, false
	}
	out := route{prefix: prefix.Masked(), metric: r.Priority}
	switch r.Table {
	case unix.RT_TABLE_LOCAL:
		out.own, out.void = true, true
		return out, true
	case unix.RT_TABLE_MAIN, unix.RT_TABLE_DEFAULT:
	default:
		return route{}, false
	}
	if r.Type != unix.RTN_UNICAST {
		out.void = true
		return out, true
	}
	if len(r.MultiPath) == 0 {
		p := path{index: r.LinkIndex, gateway: gatewayOf(r.Gw, r.Via), weight: 1, mtu: r.MTU, down: dead(r.Flags)}
		if r.Encap == nil {
			out.paths = append(out.paths, p)
		}
	}
	for _, n := range r.MultiPath {
		p := path{index: n.LinkIndex, gateway: gatewayOf(n.Gw, n.Via), weight: n.Hops + 1, mtu: r.MTU, down: dead(n.Flags)}
		if n.Encap == nil {
			out.paths = append(out.paths, p)
		}
	}
	return out, true
}

// dead says whether a path's flags mean that it leads nowhere.
func dead(flags int) bool { return flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) != 0 }

// gatewayOf returns a path's gateway: of the route's own family, or of the
// other one (RTA_VIA).
func gatewayOf(gw net.IP, via netlink.Destination) netip.Addr {
	if v, ok := via.(*netlink.Via); ok {
		gw = v.Addr
	}
	a, _ := netip.AddrFromSlice(gw)
	if a = a.Unmap(); a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	ones, size := n.Mask.Size()
	if !ok || size == 0 {
		return netip.Prefix{}, false
	}
	if size == 32 {
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, ones), true
}

// neighbors reads the neighbours on an interface of ours.
func (k kernel) neighbors(m *mirror) (map[neighborKey]neighbor, error) {
	list, err := dump(func() ([]netlink.Neigh, error) { return k.NeighList(0, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	all := make(map[neighborKey]neighbor)
	for i := range list {
		if key, n, ok := neighborOf(&list[i]); ok {
			if _, ours := m.portOf(key.index); ours {
				all[key] = n
			}
		}
	}
	return all, nil
}

func neighborOf(n *netlink.Neigh) (neighborKey, neighbor, bool) {
	a, ok := netip.AddrFromSlice(n.IP)
	if !ok || n.Family != netlink.FAMILY_V4 && n.Family != netlink.FAMILY_V6 || n.Flags&netlink.NTF_PROXY != 0 {
		return neighborKey{}, neighbor{}, false
	}
	out := neighbor{state: n.State}
	if copy(out.mac[:], n.HardwareAddr) != len(out.mac) {
		out.mac = [6]byte{}
	}
	return neighborKey{n.LinkIndex, packet.AddrFrom(a)}, out, true
}

// solicit asks the kernel to resolve a neighbour, or to make sure that it still
// answers: the same as if the kernel itself had a packet for it.
func (k kernel) solicit(key neighborKey) error {
	return k.NeighSet(&netlink.Neigh{LinkIndex: key.index, IP: key.addr.Netip().AsSlice(), Flags: netlink.NTF_USE})
}
