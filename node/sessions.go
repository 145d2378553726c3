package node

import (
	"context"
	"iter"

	"fleetlb/fullnat"
	"fleetlb/fullnat/link"
	"fleetlb/node/admin"
)

// Sessions lists this director's sessions or, asked for all, those of every
// director, one after the other.
func (b backend) Sessions(ctx context.Context, f admin.SessionFilter) iter.Seq2[admin.Session, error] {
	return func(yield func(admin.Session, error) bool) {
		v, err := b.view(ctx)
		if err == nil {
			err = v.known(f.Service)
		}
		if err != nil {
			yield(admin.Session{}, err)
			return
		}
		all := []iter.Seq2[admin.Session, error]{b.sessionsHere(ctx, &v, f)}
		if f.All && b.company != nil {
			for i := range v.others {
				if m := &v.others[i]; m.Alive {
					all = append(all, b.company.sessionsOf(ctx, m, f))
				}
			}
		}
		n := 0
		for _, sessions := range all {
			for s, err := range sessions {
				if !yield(s, err) || err != nil {
					return
				}
				if n++; n == f.Limit {
					return
				}
			}
		}
	}
}

func (b backend) sessionsHere(ctx context.Context, v *view, f admin.SessionFilter) iter.Seq2[admin.Session, error] {
	return func(yield func(admin.Session, error) bool) {
		for s, err := range b.plane.Sessions(ctx) {
			row := v.sessionRow(&s)
			if err == nil && (f.Service != "" && s.Service != f.Service || !f.Match(&row)) {
				continue
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func (v *view) sessionRow(s *fullnat.SessionInfo) admin.Session {
	return admin.Session{
		Protocol: protocolName(s.Protocol), State: s.State,
		Client: s.Client, VIP: s.VIP, Mode: s.Mode, Local: s.Local, Server: s.Server,
		Home: v.nameOf(s.Home), Role: s.Role.String(), ExpiresS: seconds(s.Expires),
		PacketsIn: s.PacketsIn, PacketsOut: s.PacketsOut, BytesIn: s.BytesIn, BytesOut: s.BytesOut,
		Node: v.config.Node.Name,
	}
}

func (b backend) Pool(ctx context.Context) ([]admin.Pool, error) {
	pools, err := b.plane.Pools(ctx)
	if err != nil {
		return nil, err
	}
	var all []admin.Pool
	for _, p := range pools {
		all = append(all, admin.Pool{
			Address: p.Local, Ports: p.Ports, Sessions: p.Sessions,
			BusiestServer: p.BusiestServer, BusiestPorts: p.BusiestPorts,
		})
	}
	return all, nil
}

// Drops lists what the workers dropped, and what was lost before it reached them.
func (b backend) Drops(ctx context.Context) ([]admin.Drop, error) {
	c, err := b.plane.Counters(ctx)
	if err != nil {
		return nil, err
	}
	return append(verdictDrops(c), linkDrops(b.ports.Stats())...), nil
}

// verdictDrops lists the verdicts that dropped anything.
func verdictDrops(c *fullnat.Counters) (all []admin.Drop) {
	for _, v := range fullnat.Verdicts() {
		if n := c.Verdicts[v]; v.Dropped() && n > 0 {
			all = append(all, admin.Drop{Reason: v.Name(), Packets: n})
		}
	}
	return all
}

// linkDrops adds up what each interface lost on its way to the workers. What it
// would not take from them they have counted themselves.
func linkDrops(stats []link.Stat) (all []admin.Drop) {
	sums := map[string]uint64{}
	var order []string
	for _, s := range stats {
		for _, d := range []struct {
			reason string
			n      uint64
		}{
			{"rx_full", s.RxFull}, {"rx_too_big", s.RxTooBig}, {"rx_refused", s.RxRefused},
		} {
			reason := s.Interface + "_" + d.reason
			if sums[reason] == 0 && d.n > 0 {
				order = append(order, reason)
			}
			sums[reason] += d.n
		}
	}
	for _, reason := range order {
		all = append(all, admin.Drop{Reason: reason, Packets: sums[reason]})
	}
	return all
}
