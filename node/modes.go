package node

import (
	"fmt"
	"strings"

	"fleetlb/fullnat"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
	"fleetlb/node/admin"
)

// What a mode asks of servers and of the network, as far as it can be seen from
// here. The rest is said, for doctor is where people look.

// silentAfter is how many packets a NAT server may be sent before it is strange
// that not one has come back.
const silentAfter = 50

// needs is what nobody but the servers can tell.
var needs = map[service.Mode]string{
	service.DR:  "its servers need the VIP on lo and, for IPv4, arp_ignore=1 and arp_announce=2",
	service.TUN: "its servers need the VIP, a tunnel device that takes packets out, and rp_filter=0 on that",
}

// waysTo looks at how the servers of a service are reached.
func waysTo(s *service.Service, hops *nexthop.Table, c *fullnat.Counters) (all []admin.Finding) {
	var bad, silent []string
	said := map[service.Mode]bool{}
	for _, v := range serversOf(s) {
		said[v.Mode] = true
		switch v.Mode {
		case service.DR:
			if router := hops.Behind(v.Addr); router != (packet.Addr{}) {
				bad = append(bad, fmt.Sprintf("%s is behind router %s", v.Name, router))
			}
		case service.NAT:
			if n := c.Of(v); n.PacketsIn > silentAfter && n.PacketsOut == 0 {
				silent = append(silent, v.Name)
			}
		}
	}
	if bad != nil {
		all = append(all, admin.Fail("mode dr of "+s.Name, strings.Join(bad, "; "), "only servers on a link of the director's can be had so: give them mode tun or fullnat"))
	}
	if silent != nil {
		all = append(all, admin.Warn("mode nat of "+s.Name, "no answer has come by here from "+strings.Join(silent, ", "),
			"make this director the gateway of its servers, and keep their clients off their link"))
	}
	for _, mode := range []service.Mode{service.DR, service.TUN} {
		if said[mode] && (mode != service.DR || bad == nil) {
			all = append(all, admin.OK(fmt.Sprintf("mode %v of %s", mode, s.Name), needs[mode]+"; that cannot be seen from here"))
		}
	}
	return all
}
