package node

import (
	"fmt"
	"net/netip"

	"fleetlb/bgp"
	"fleetlb/gossip"
	"fleetlb/gossip/replica"
	"fleetlb/session"
)

// mostPrepended bounds how much longer a backup's path is made: beyond it no
// router needs to tell one successor from the next.
const mostPrepended = 10

// backups are the routes to the other directors' local addresses, announced
// beforehand with a longer path: when a director dies, the router itself sends
// what servers answer to the next one, which keeps or asks for the sessions. Who
// comes first is agreed by rendezvous of block and director, so that the blocks
// of a fleet fall to different ones.
func (in *inputs) backups() (routes []bgp.Route) {
	for i := range in.others {
		m := &in.others[i]
		for _, block := range m.Blocks {
			if in.owned(block) {
				continue // a conflict, which others are told of
			}
			routes = append(routes, bgp.Route{Prefix: block, Prepend: min(1+in.rank(m.ID, block), mostPrepended)})
		}
	}
	return routes
}

// owned says whether a block is ours, or somebody else's before.
func (in *inputs) owned(block netip.Prefix) bool {
	for _, own := range in.locals {
		if own.Overlaps(block) {
			return true
		}
	}
	return false
}

// rank is our place in the succession to a block of another director.
func (in *inputs) rank(owner session.NodeID, block netip.Prefix) int {
	heirs := []session.NodeID{in.self}
	for i := range in.others {
		if m := &in.others[i]; m.Alive && m.ID != owner {
			heirs = append(heirs, m.ID)
		}
	}
	for place, id := range replica.Rank(heirs, []byte(block.String())) {
		if id == in.self {
			return place
		}
	}
	return len(heirs)
}

// blockOwner names whose local addresses a route leads to.
func blockOwner(others []gossip.Member, p netip.Prefix) string {
	for i := range others {
		for _, block := range others[i].Blocks {
			if block == p {
				return fmt.Sprintf("local addresses of %s", others[i].Name)
			}
		}
	}
	return "local addresses"
}
