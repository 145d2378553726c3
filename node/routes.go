package node

import (
	"context"
	"net/netip"
	"time"

	"fleetlb/bgp"
	"fleetlb/bgp/bfd"
	"fleetlb/node/admin"
)

func (b backend) Neighbors(ctx context.Context) ([]admin.Neighbor, error) {
	v, err := b.view(ctx)
	if err != nil || v.speaker == nil {
		return nil, err
	}
	var all []admin.Neighbor
	now := time.Now()
	detections := b.detections()
	for _, n := range v.speaker.Neighbors() {
		all = append(all, admin.Neighbor{
			Address: n.Address, ASN: n.ASN, State: string(n.State),
			UptimeS: seconds(n.Uptime(now)), Announced: n.Announced, BFD: inWords(detections, n.Address),
		})
	}
	return all, nil
}

// inWords says what BFD knows of a neighbour.
func inWords(all map[netip.Addr]bfd.Status, a netip.Addr) string {
	s, watched := all[a]
	switch {
	case !watched:
		return "off"
	case s.State == bfd.Up:
		return "up"
	}
	return "down"
}

func (b backend) Routes(ctx context.Context) ([]admin.Route, error) {
	v, err := b.view(ctx)
	if err != nil || v.speaker == nil {
		return nil, err
	}
	told := v.told()
	var all []admin.Route
	for _, r := range v.plan.routes {
		all = append(all, admin.Route{
			Prefix: r.Prefix, For: v.plan.serves(r), Prepend: r.Prepend, MED: r.MED,
			Communities: r.Communities, Neighbors: told[r.Prefix.Addr().Is4()],
		})
	}
	return all, nil
}

// told counts the neighbours that are there to be told of IPv4 (true) and IPv6
// routes.
func (v *view) told() map[bool]int {
	there := map[bool]int{}
	for _, n := range v.speaker.Neighbors() {
		for i := range v.config.BGP.Neighbors {
			c := &v.config.BGP.Neighbors[i]
			if c.Address != n.Address || n.State != bgp.Established {
				continue
			}
			for _, four := range []bool{true, false} {
				if carries(c, four) {
					there[four]++
				}
			}
		}
	}
	return there
}
