package node

import (
	"net/netip"
	"slices"

	"fleetlb/fullnat"
	"fleetlb/node/config"
	"fleetlb/node/vrrp"
)

// VIPs that a [[vrrp]] group lists are held by whichever router of the LAN the
// protocol says, director or not; neither rendezvous nor what directors offer each
// other has a say in it. A group takes part while it could serve: the workers come
// round, the director carries and does not drain, the interface is up, and one of
// its services at least has its quorum. Otherwise it resigns.

// startElections starts what agrees with other routers on who holds VIPs.
func (d *director) startElections() error {
	s, err := vrrp.New(d.log, func() bool { return d.plane.Heartbeat() < vouchFor })
	if err != nil {
		return err // s, in an interface, would not be nil
	}
	d.elector = s
	return nil
}

// elected has a value when a VIP has come or gone by election.
func (d *director) elected() <-chan struct{} {
	if d.elector == nil {
		return nil
	}
	return d.elector.Changes()
}

// groupsOf says the groups in the words of package vrrp.
func groupsOf(c *config.Config) (all []vrrp.Group) {
	for i := range c.VRRP {
		v := &c.VRRP[i]
		g := vrrp.Group{
			Name: v.Name, Interface: c.InterfaceOf(v), ID: uint8(v.ID), Priority: uint8(v.Priority),
			Interval: v.Interval, Preempt: v.Preempt, PreemptDelay: v.PreemptDelay,
			Addresses: v.VIPs, Source: v.Source,
		}
		if v.Checksum == vrrp.Plain.String() {
			g.Checksum = vrrp.Plain
		}
		all = append(all, g)
	}
	return all
}

// polls says how the elections stand.
func (d *director) polls(in *inputs) {
	in.groups = groupsOf(d.running)
	if d.elector == nil || len(in.groups) == 0 {
		return
	}
	in.polls = map[vrrp.Place]vrrp.Status{}
	for _, s := range d.elector.Groups() {
		in.polls[s.Place()] = s
	}
	in.linked = func(ifname string) bool {
		for _, p := range d.hops.Table().Ports() {
			if p.Name == ifname {
				return p.Up
			}
		}
		return false
	}
}

// stand has the groups of a plan take part, as far as they are ready.
func (d *director) stand(groups []vrrp.Group) error {
	if d.elector == nil {
		return nil
	}
	return d.elector.Set(groups)
}

// grouped says whether a VIP is one of a group's.
func (in *inputs) grouped(vip netip.Addr) bool {
	return slices.ContainsFunc(in.groups, func(g vrrp.Group) bool { return slices.Contains(g.Addresses, vip) })
}

// stand says which groups are ready, of those VIPs that could be served, and
// corrects who holds what.
func (in *inputs) stand(served, held map[netip.Addr]bool) (groups []vrrp.Group) {
	for _, g := range in.groups {
		g.Ready = in.carries() && in.linked(g.Interface) &&
			slices.ContainsFunc(g.Addresses, func(vip netip.Addr) bool { return served[vip] })
		groups = append(groups, g)
		for _, vip := range g.Addresses {
			if delete(held, vip); g.Ready {
				held[vip] = in.polls[g.Place()].State == vrrp.Active
			}
		}
	}
	return groups
}

// lanOfGroups adds what the workers are told of VIPs in groups. One that was given
// away is carried on for whoever has not heard of it yet, until another router is
// heard to have it.
func (in *inputs) lanOfGroups(groups []vrrp.Group, l *fullnat.LAN) {
	for i := range groups {
		g := &groups[i]
		switch s := in.polls[g.Place()]; {
		case s.State == vrrp.Backup:
			l.Backup = append(l.Backup, g.Addresses...)
		case s.State == vrrp.Active && g.Ready:
			if l.Claims == nil {
				l.Claims = map[netip.Addr]uint32{}
			}
			for _, vip := range g.Addresses {
				l.Claims[vip] = s.Claims
			}
		}
	}
	slices.SortFunc(l.Backup, netip.Addr.Compare)
}
