package fullnat

import (
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// In direct routing nothing of a packet changes but the station it goes to, and
// a hop, which keeps directors that are each other's servers from passing a
// packet round for ever: Linux's IPVS takes one in all modes for that reason.
// The server has the VIP itself, and answers the client by its own way.

// bounces says whether a packet would go back to the station that it came from:
// a server that balances too, and has been here already.
func bounces(p *packet.Packet, path *session.Path, hop *nexthop.Hop) bool {
	return path.Mode == session.DR && hop.Dst == p.Ethernet().Src()
}

// offLink says whether a server cannot be had by direct routing: a router on the
// way would send what is for the VIP back here.
func offLink(path *session.Path, hops *nexthop.Table) bool {
	return path.Mode == session.DR && hops.Behind(path.Server) != (packet.Addr{})
}
