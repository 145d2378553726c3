package bgptest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
)

// groups spreads a prefix over its next hops by a resilient group of next-hop
// objects: when one leaves, the flows of the others stay where they are
// (Documentation/networking/nexthop-group-resilient in Linux). They are the
// kernel's own command line's to make, for the netlink library has none.
type groups struct {
	hops   map[netip.Addr]int
	groups map[netip.Prefix]int
	next   int
}

// firstGroup leaves the small numbers of next-hop objects to others.
const firstGroup = 7000

func newGroups() *groups {
	return &groups{map[netip.Addr]int{}, map[netip.Prefix]int{}, firstGroup}
}

// route makes p reach all of hops.
func (g *groups) route(p netip.Prefix, hops []netip.Addr) error {
	var members []string
	for _, h := range hops {
		id, err := g.hop(h)
		if err != nil {
			return err
		}
		members = append(members, fmt.Sprint(id))
	}
	id, known := g.groups[p]
	if !known {
		id = g.number()
		g.groups[p] = id
	}
	// Buckets are only ever moved from a hop that has left, or once they have
	// been idle.
	if err := ip("nexthop", "replace", "id", fmt.Sprint(id), "group", strings.Join(members, "/"),
		"type", "resilient", "buckets", "128", "idle_timer", "60", "unbalanced_timer", "0"); err != nil {
		return err
	}
	return ip(family(p.Addr()), "route", "replace", p.String(), "nhid", fmt.Sprint(id), "proto", "bgp")
}

// unroute undoes route.
func (g *groups) unroute(p netip.Prefix) error {
	id := g.groups[p]
	delete(g.groups, p)
	return ip("nexthop", "del", "id", fmt.Sprint(id)) // the route goes with it
}

// hop returns the number of the object that stands for a next hop.
func (g *groups) hop(a netip.Addr) (int, error) {
	id, known := g.hops[a]
	if !known {
		id = g.number()
	}
	routes, err := netlink.RouteGet(net.IP(a.AsSlice()))
	if err != nil || len(routes) == 0 {
		return 0, errors.Join(fmt.Errorf("no way to %v", a), err)
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return 0, err
	}
	g.hops[a] = id
	// One that went with its interface is made again.
	return id, ip(family(a), "nexthop", "replace", "id", fmt.Sprint(id), "via", a.String(), "dev", link.Attrs().Name, "proto", "bgp")
}

func (g *groups) number() int {
	g.next++
	return g.next
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "-4"
	}
	return "-6"
}

// ip runs one command of iproute2.
func ip(words ...string) error {
	out, err := exec.Command("ip", words...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(words, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
