package node

import (
	"fleetlb/fullnat"
	"fleetlb/gossip/replica"
	"fleetlb/node/metrics"
	"fleetlb/session"
)

// measureFleet adds what has passed between this director and the others.
func (m meter) measureFleet(s *metrics.Snapshot, v *view, c *fullnat.Counters) {
	if m.company == nil {
		return
	}
	e := m.company.engine.Stats()
	f := &metrics.Fleet{
		Lag: map[float64]uint64{}, Lagged: e.Lag.Count(), LagSum: e.Lag.Sum,
		AtRisk: e.AtRisk, Parked: c.Fleet.Sought, VIPs: countHeld(v.plan.held),
		BytesOut: e.Bytes, BytesIn: e.PulledBytes,
	}
	for _, p := range e.Peers {
		f.Unacked += p.Unacked
	}
	within := uint64(0)
	for i, bound := range replica.LagBounds {
		within += e.Lag.Counts[i]
		f.Lag[bound.Seconds()] = within
	}

	states := map[string]uint64{v.state: 1}
	for i := range v.others {
		states[conditionOf(&v.others[i])]++
	}
	for state, n := range states {
		f.Members = append(f.Members, metrics.Count{Kind: state, N: n})
	}
	for role, n := range c.Fleet.Roles {
		f.Roles = append(f.Roles, metrics.Count{Kind: session.Role(role).String(), N: uint64(n)})
	}
	f.Events = []metrics.Count{
		{Kind: "told", N: c.Fleet.Told}, {Kind: "applied", N: c.Fleet.Applied},
		{Kind: "not_believed", N: c.Fleet.Refused}, {Kind: "no_room", N: c.Fleet.NoRoom},
		{Kind: "adopted", N: c.Fleet.Adopted}, {Kind: "asked", N: c.Fleet.Asked}, {Kind: "pulled", N: c.Fleet.Pulled},
		{Kind: "unknown", N: c.Fleet.Unknown}, {Kind: "unanswered", N: c.Fleet.Unanswered},
		{Kind: "unasked", N: c.Fleet.Unasked}, {Kind: "answered", N: c.Fleet.Answered},
		{Kind: "resent", N: e.Resent}, {Kind: "overflowed", N: e.Overflowed}, {Kind: "resynced", N: e.Resynced},
		{Kind: "differed", N: e.Differed}, {Kind: "erased", N: e.Erased},
	}
	for _, r := range m.company.members.Refusals() {
		f.Refused = append(f.Refused, metrics.Drop{Reason: r.Reason, Packets: r.Count})
	}
	for _, r := range m.company.engine.Refusals() {
		f.Refused = append(f.Refused, metrics.Drop{Reason: "replication_" + r.Reason, Packets: r.Count})
	}
	s.Fleet = f
}
