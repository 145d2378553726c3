package bgptest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// table keeps the routes of protocol "bgp" in the main table of this network
// namespace equal to what is wanted. A nil table keeps nothing.
type table struct {
	handle    *netlink.Handle
	groups    *groups // nil: multipath routes, hash-threshold
	installed map[netip.Prefix][]netip.Addr
}

// newTable takes the main table over, with no routes in it from a predecessor
// that was killed.
func newTable(resilient bool) (*table, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("routing table: %w", err)
	}
	t := &table{handle: h, installed: make(map[netip.Prefix][]netip.Addr)}
	if resilient {
		t.groups = newGroups()
	}
	routes, err := t.list()
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		if err := h.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, fmt.Errorf("routing table: delete %v: %w", r.Dst, err)
		}
	}
	return t, nil
}

// list returns the routes of protocol "bgp".
func (t *table) list() ([]netlink.Route, error) {
	var all []netlink.Route
	ours := &netlink.Route{Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_BGP}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := t.handle.RouteListFiltered(family, ours, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
		if err != nil {
			return nil, fmt.Errorf("routing table: list: %w", err)
		}
		all = append(all, routes...)
	}
	return all, nil
}

// audit forgets routes that the kernel has removed or cut, as it does when an
// interface goes down, so that set installs them again.
func (t *table) audit() error {
	if t == nil {
		return nil
	}
	routes, err := t.list()
	if err != nil {
		return err
	}
	hops := make(map[string]int, len(routes))
	for _, r := range routes {
		hops[r.Dst.String()] = max(1, len(r.MultiPath))
	}
	for p, installed := range t.installed {
		if hops[p.String()] != len(installed) {
			delete(t.installed, p)
		}
	}
	return nil
}

// close removes what was installed.
func (t *table) close() {
	t.set(nil)
	t.handle.Close()
}

// set makes want what is installed. What cannot be installed, for instance
// because a next hop is unreachable, is tried again by the next call.
func (t *table) set(want map[netip.Prefix][]netip.Addr) error {
	if t == nil {
		return nil
	}
	var errs []error
	for p, hops := range t.installed {
		if _, ok := want[p]; ok {
			continue
		}
		if err := t.remove(p, hops); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("delete %v: %w", p, err))
			continue
		}
		delete(t.installed, p)
	}
	for p, hops := range want {
		if slices.Equal(t.installed[p], hops) {
			continue
		}
		if err := t.install(p, hops); err != nil {
			errs = append(errs, fmt.Errorf("install %v via %v: %w", p, hops, err))
			continue
		}
		t.installed[p] = hops
	}
	return errors.Join(errs...)
}

func (t *table) install(p netip.Prefix, hops []netip.Addr) error {
	if t.groups != nil {
		return t.groups.route(p, hops)
	}
	return t.handle.RouteReplace(kernelRoute(p, hops))
}

func (t *table) remove(p netip.Prefix, hops []netip.Addr) error {
	if t.groups != nil {
		return t.groups.unroute(p)
	}
	return t.handle.RouteDel(kernelRoute(p, hops))
}

// kernelRoute is one route over all of hops.
func kernelRoute(p netip.Prefix, hops []netip.Addr) *netlink.Route {
	r := &netlink.Route{
		Dst:      &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())},
		Table:    unix.RT_TABLE_MAIN,
		Protocol: unix.RTPROT_BGP,
	}
	if len(hops) == 1 {
		r.Gw = hops[0].AsSlice()
		return r
	}
	for _, h := range hops {
		r.MultiPath = append(r.MultiPath, &netlink.NexthopInfo{Gw: h.AsSlice()})
	}
	return r
}

// best chooses among the neighbours' routes as a router does that compares the
// length of the AS path, then MED, and spreads traffic over all that are equal
// then (RFC 4271 §9.1.2.2). Routes are sorted by prefix.
func best(routes []Route) map[netip.Prefix][]netip.Addr {
	chosen := make(map[netip.Prefix][]Route)
	for _, r := range routes {
		if !r.NextHop.IsValid() || r.NextHop.Is4() != r.Prefix.Addr().Is4() {
			continue
		}
		switch old := chosen[r.Prefix]; {
		case len(old) == 0 || worse(old[0], r) > 0:
			chosen[r.Prefix] = []Route{r}
		case worse(old[0], r) == 0:
			chosen[r.Prefix] = append(old, r)
		}
	}
	hops := make(map[netip.Prefix][]netip.Addr, len(chosen))
	for p := range maps.Keys(chosen) {
		for _, r := range chosen[p] {
			hops[p] = append(hops[p], r.NextHop)
		}
		slices.SortFunc(hops[p], netip.Addr.Compare)
		hops[p] = slices.Compact(hops[p])
	}
	return hops
}

// worse is above 0 when a is less wanted than b, below when it is more.
func worse(a, b Route) int {
	return cmp.Or(
		cmp.Compare(preference(b), preference(a)),
		cmp.Compare(len(a.Path), len(b.Path)),
		cmp.Compare(med(a), med(b)),
	)
}

func preference(r Route) uint32 {
	if r.LocalPref == nil {
		return 100
	}
	return *r.LocalPref
}

func med(r Route) uint32 {
	if r.MED == nil {
		return 0
	}
	return *r.MED
}
