package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AddRoute adds a route in the words of `ip route add`: "PREFIX via GATEWAY",
// where PREFIX may be "default"; "metric N" may follow.
func (h *Host) AddRoute(words string) error { return h.changeRoute(words, h.net.RouteReplace) }

// DelRoute removes what AddRoute added.
func (h *Host) DelRoute(words string) error { return h.changeRoute(words, h.net.RouteDel) }

func (h *Host) changeRoute(words string, change func(*netlink.Route) error) error {
	r, err := parseRoute(words)
	if err == nil {
		err = change(r)
	}
	if err != nil {
		return fmt.Errorf("%s: route %q: %w", h.Name, words, err)
	}
	return nil
}

func parseRoute(words string) (*netlink.Route, error) {
	var dst, via string
	var metric int
	if n, _ := fmt.Sscanf(words, "%s via %s metric %d", &dst, &via, &metric); n < 2 {
		return nil, errors.New("want PREFIX via GATEWAY [metric N]")
	}
	gateway, err := netip.ParseAddr(via)
	if err != nil {
		return nil, err
	}
	prefix := netip.PrefixFrom(gateway, 0).Masked()
	if dst != "default" {
		if prefix, err = netip.ParsePrefix(dst); err != nil {
			return nil, err
		}
	}
	return &netlink.Route{Dst: ipNet(prefix), Gw: gateway.AsSlice(), Priority: metric}, nil
}

// Route is one destination of a host's main table.
type Route struct {
	Prefix   netip.Prefix
	NextHops []netip.Addr // sorted; more than one is ECMP; none is a connected network
	Learned  bool         // by a routing daemon, not from the layout or the kernel
}

func (r Route) String() string { return fmt.Sprintf("%v via %v", r.Prefix, r.NextHops) }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Routes lists the host's main table, both families, sorted by prefix.
func (h *Host) Routes() ([]Route, error) {
	all, err := h.net.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("%s: routes: %w", h.Name, err)
	}
	type key struct { // what tells a daemon's route from another's to the same place
		prefix   netip.Prefix
		metric   int
		protocol netlink.RouteProtocol
	}
	found := make(map[key]*Route)
	for _, r := range all {
		if r.Table != unix.RT_TABLE_MAIN || r.Dst == nil || r.Type != unix.RTN_UNICAST {
			continue
		}
		ip, _ := netip.AddrFromSlice(r.Dst.IP)
		ones, _ := r.Dst.Mask.Size()
		prefix := netip.PrefixFrom(ip.Unmap(), ones)
		k := key{prefix, r.Priority, r.Protocol}
		route := found[k]
		if route == nil {
			route = &Route{Prefix: prefix, Learned: r.Protocol > unix.RTPROT_STATIC}
			found[k] = route
		}
		route.add(r.Gw, r.Via)
		for _, hop := range r.MultiPath {
			route.add(hop.Gw, hop.Via)
		}
	}
	routes := make([]Route, 0, len(found))
	for _, r := range found {
		slices.SortFunc(r.NextHops, netip.Addr.Compare)
		routes = append(routes, *r)
	}
	slices.SortFunc(routes, func(a, b Route) int {
		if c := a.Prefix.Addr().Compare(b.Prefix.Addr()); c != 0 {
			return c
		}
		return a.Prefix.Bits() - b.Prefix.Bits()
	})
	return routes, nil
}

// Learned returns the hosts by which a routing daemon on h reaches a prefix,
// sorted by name; none when it has installed no such route.
func (h *Host) Learned(prefix string) ([]string, error) {
	want, err := netip.ParsePrefix(prefix)
	if err != nil {
		return nil, err
	}
	routes, err := h.Routes()
	if err != nil {
		return nil, err
	}
	var via []string
	for _, r := range routes {
		if r.Prefix != want || !r.Learned {
			continue
		}
		for _, hop := range r.NextHops {
			via = append(via, h.lab.owner(hop))
		}
	}
	slices.Sort(via)
	return via, nil
}

// AwaitLearned waits until a routing daemon on h reaches the prefix by way of
// just these hosts; with none, until it does not reach it.
func (h *Host) AwaitLearned(timeout time.Duration, prefix string, want ...string) error {
	return Await(timeout, fmt.Sprintf("%s to route %s via %v", h.Name, prefix, want), func() error {
		got, err := h.Learned(prefix)
		if err != nil {
			return err
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("it has %v", got)
		}
		return nil
	})
}

// owner names the host that has an address. Routers name IPv6 next hops as they
// please, by their global or their link-local address.
func (l *Lab) owner(a netip.Addr) string {
	for _, h := range l.Hosts() {
		addrs, _ := h.net.AddrList(nil, netlink.FAMILY_ALL)
		for _, have := range addrs {
			if ip, ok := netip.AddrFromSlice(have.IP); ok && ip.Unmap() == a {
				return h.Name
			}
		}
	}
	return a.String()
}

func (r *Route) add(gateway net.IP, via netlink.Destination) {
	if v, ok := via.(*netlink.Via); ok && gateway == nil {
		gateway = v.Addr // an IPv4 route by way of an IPv6 router
	}
	if ip, ok := netip.AddrFromSlice(gateway); ok {
		r.NextHops = append(r.NextHops, ip.Unmap())
	}
}

// ForgetMTU has the host forget what it has learned of the paths to all others.
func (h *Host) ForgetMTU(a netip.Addr) error {
	family := "-4"
	if a.Is6() {
		family = "-6"
	}
	_, err := h.Run(context.Background(), "ip", family, "route", "flush", "cache")
	return err
}
