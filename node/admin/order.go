package admin

import (
	"cmp"
	"net/netip"
	"strings"
)

// The order of each list: what an operator would look for first.

func compareServices(a, b Service) int { return strings.Compare(a.Name, b.Name) }

func compareServers(a, b Server) int {
	return cmp.Or(strings.Compare(a.Service, b.Service), a.Address.Compare(b.Address))
}

func compareSettings(a, b Setting) int {
	return cmp.Or(strings.Compare(a.Service, b.Service), a.Server.Compare(b.Server))
}

func compareTraffic(a, b Traffic) int {
	return cmp.Or(strings.Compare(a.Service, b.Service), a.Server.Compare(b.Server))
}

func compareHealth(a, b Health) int {
	return cmp.Or(strings.Compare(a.Service, b.Service), a.Address.Compare(b.Address))
}

func comparePersistence(a, b Persistence) int {
	return cmp.Or(strings.Compare(a.Service, b.Service), comparePrefixes(a.Client, b.Client))
}

func compareVRRP(a, b VRRP) int          { return strings.Compare(a.Name, b.Name) }
func compareNodes(a, b Node) int         { return strings.Compare(a.Name, b.Name) }
func compareHolders(a, b KeyHolder) int  { return strings.Compare(a.Member, b.Member) }
func compareNeighbors(a, b Neighbor) int { return a.Address.Compare(b.Address) }
func comparePools(a, b Pool) int         { return a.Address.Compare(b.Address) }
func compareDrops(a, b Drop) int         { return strings.Compare(a.Reason, b.Reason) }

func compareRoutes(a, b Route) int { return comparePrefixes(a.Prefix, b.Prefix) }

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// compareFindings puts what needs attention first.
func compareFindings(a, b Finding) int {
	rank := map[string]int{"fail": 0, "warn": 1, "ok": 2}
	return cmp.Or(cmp.Compare(rank[a.State], rank[b.State]), strings.Compare(a.Check, b.Check))
}

// CompareSessions orders sessions as they are printed; the server sends them as
// it finds them.
func CompareSessions(a, b Session) int {
	return cmp.Or(strings.Compare(a.Protocol, b.Protocol), a.VIP.Compare(b.VIP),
		a.Client.Compare(b.Client), a.Server.Compare(b.Server), a.Local.Compare(b.Local), strings.Compare(a.Node, b.Node))
}
