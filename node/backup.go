package node

import (
	"net/netip"
	"slices"

	"fleetlb/bgp"
	"fleetlb/gossip/replica"
	"fleetlb/session"
)

// mostPrepended bounds how much longer a backup's path is made: beyond it no
// router needs to tell one successor from the next.
const mostPrepended = 10

// backups are the routes to the other directors' local addresses, announced
// beforehand with a longer path: when a director dies, the router itself sends
// what servers answer to the next one, which keeps its sessions or asks for
// them. Who comes first is agreed by rendezvous of block and director, so that
// the blocks of a fleet fall to different ones.
func (in *inputs) backups() (routes []bgp.Route) {
	for i := range in.others {
		m := &in.others[i]
		for _, block := range m.Blocks {
			if slices.ContainsFunc(in.locals, block.Overlaps) {
				continue // a conflict, of which the operator is told
			}
			routes = append(routes, bgp.Route{Prefix: block, Prepend: min(1+in.rank(m.ID, block), mostPrepended)})
		}
	}
	return routes
}

// rank is our place in the succession to a block of another director.
func (in *inputs) rank(owner session.NodeID, block netip.Prefix) int {
	heirs := []session.NodeID{in.self}
	for i := range in.others {
		if m := &in.others[i]; m.Alive && m.ID != owner {
			heirs = append(heirs, m.ID)
		}
	}
	return slices.Index(replica.Rank(replica.BlockKey(block), heirs), in.self)
}

// localsOf names whose local addresses a block is: "local addresses", or those
// of another director.
func (p *plan) localsOf(block netip.Prefix) string {
	for i := range p.others {
		if slices.Contains(p.others[i].Blocks, block) {
			return "local addresses of " + p.others[i].Name
		}
	}
	return "local addresses"
}
