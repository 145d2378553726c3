package node

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/node/admin"
	"fleetlb/node/metrics"
	"fleetlb/node/vrrp"
)

// groups are those there are; nil where there is no elector.
func (d *director) groups() []vrrp.Status {
	if d.elector == nil {
		return nil
	}
	return d.elector.Groups()
}

// VRRP lists the groups of VIPs that are held in turn with other routers.
func (b backend) VRRP(context.Context) (all []admin.VRRP, err error) {
	for _, s := range b.groups() {
		row := admin.VRRP{
			Name: s.Name, Interface: s.Interface, ID: int(s.ID), VIPs: s.Addresses,
			State: s.State.String(), SinceS: seconds(time.Since(s.Since)), Priority: int(s.Priority),
			IntervalMS: s.Interval.Milliseconds(), Transitions: s.Transitions, Reason: s.Reason,
			Sent: s.Sent, Received: s.Received, Dropped: dropsOf(&s), Problem: s.Problem,
		}
		if who, ok := s.Active(); ok {
			row.Active, row.ActivePriority = who.Address, int(who.Priority)
		}
		all = append(all, row)
	}
	return all, nil
}

func dropsOf(s *vrrp.Status) (n uint64) {
	for _, packets := range s.Drops {
		n += packets
	}
	return n
}

// measureVRRP adds who holds what by election.
func (m meter) measureVRRP(s *metrics.Snapshot) {
	for _, g := range m.groups() {
		row := metrics.VRRP{
			Name: g.Name, Interface: g.Interface, ID: fmt.Sprint(g.ID), State: g.State.String(), Priority: int(g.Priority),
			Transitions: g.Transitions, Sent: g.Sent, Received: g.Received,
		}
		for reason, packets := range g.Drops {
			row.Drops = append(row.Drops, metrics.Drop{Reason: reason, Packets: packets})
		}
		slices.SortFunc(row.Drops, func(a, b metrics.Drop) int { return strings.Compare(a.Reason, b.Reason) })
		s.VRRP = append(s.VRRP, row)
	}
}

// whereElected says who holds a VIP of a group; "" of any other.
func (b backend) whereElected(vip netip.Addr) string {
	for _, s := range b.groups() {
		if !slices.Contains(s.Addresses, vip) {
			continue
		}
		who, known := s.Active()
		switch {
		case s.State == vrrp.Active:
			return fmt.Sprintf("this director holds %s on %s (vrrp %s)", vip, s.Interface, s.Name)
		case known:
			return fmt.Sprintf("router %s holds %s on %s (vrrp %s): its priority is %d, ours %d", who.Address, vip, s.Interface, s.Name, who.Priority, s.Priority)
		}
		return fmt.Sprintf("nobody is known to hold %s on %s (vrrp %s): see fleetlb vrrp", vip, s.Interface, s.Name)
	}
	return ""
}

// elections says what is wrong between this director and the other routers.
func (b backend) elections() (all []admin.Finding) {
	for _, s := range b.groups() {
		check := "vrrp " + s.Name
		found := append(disagreements(&s, check), unheard(&s, check)...)
		if f, off := offLink(&s, b.hops.Table()); off {
			found = append(found, f)
		}
		if s.Problem != "" {
			found = append(found, admin.Fail(check, s.Problem, "until then this director takes no part, and others hold the VIPs"))
		}
		if found == nil {
			found = append(found, calm(&s, check))
		}
		all = append(all, found...)
	}
	return all
}

// calm says how a group is that nothing is wrong with.
func calm(s *vrrp.Status, check string) admin.Finding {
	who, known := s.Active()
	switch {
	case s.State == vrrp.Active:
		return admin.OK(check, fmt.Sprintf("active, with priority %d", s.Priority))
	case s.State == vrrp.Backup && known:
		return admin.OK(check, fmt.Sprintf("backup to %s, which has priority %d", who.Address, who.Priority))
	case s.State == vrrp.Backup:
		return admin.OK(check, "backup, and soon active: no other router is heard")
	}
	return admin.Warn(check, "takes no part: "+cmp.Or(s.Reason, "not ready"),
		"it does when the director serves, the interface is up and one of the group's services has its quorum: see fleetlb services")
}

// disagreements are what other routers that were heard lately think otherwise.
func disagreements(s *vrrp.Status, check string) (all []admin.Finding) {
	warn := func(found, advice string) { all = append(all, admin.Warn(check, found, advice)) }
	var active []string
	for i := range s.Others {
		o := &s.Others[i]
		if time.Since(o.Last) <= 3*o.Interval && o.Count >= insistently {
			active = append(active, fmt.Sprintf("%s (priority %d)", o.Address, o.Priority))
		}
		if o.Interval != s.Own.Interval {
			warn(fmt.Sprintf("%s advertises every %v, and here interval is %v", o.Address, o.Interval, s.Own.Interval),
				"say the same on all routers of the group (keepalived: advert_int)")
		}
		if !sameAddresses(o.Addresses, s.Addresses) {
			warn(fmt.Sprintf("%s holds %s, and here vips are %s", o.Address, inLine(o.Addresses), inLine(s.Addresses)),
				"list the same on all routers of the group (keepalived: virtual_ipaddress); keepalived does not listen to one that lists others")
		}
		if ours := s.Own.Checksum; s.Addresses[0].Is4() && o.Checksum != ours {
			warn(fmt.Sprintf("%s makes its checksums as in %v, and here checksum is %v", o.Address, o.Checksum, ours),
				fmt.Sprintf("it may not understand us: set checksum = %q (keepalived: v3_checksum_as_v2)", o.Checksum))
		}
	}
	if s.State == vrrp.Active && len(active) > 0 {
		all = append(all, admin.Fail(check, fmt.Sprintf("active here and at %s", strings.Join(active, ", ")),
			"each must hear the other: is multicast filtered, or do versions, vips or checksums differ?"))
	} else if len(active) > 1 {
		all = append(all, admin.Fail(check, "active at "+strings.Join(active, " and "), "they do not hear each other"))
	}
	return all
}

// insistently is how often another must have said that it is active: a handover
// takes an advertisement or two.
const insistently = 5

// unheard is what came and was not understood.
func unheard(s *vrrp.Status, check string) (all []admin.Finding) {
	for _, d := range []struct {
		reason       vrrp.Fault
		found, about string
	}{
		{vrrp.BadVersion, "of another version than 3", "set it on the other router (keepalived: vrrp_version 3), or give this group another id"},
		{vrrp.BadChecksum, "with a wrong checksum", "see who sends them: tcpdump -vni " + s.Interface + " proto 112 or ip6 proto 112"},
		{vrrp.Far, "that have passed a router", "somebody forges them, or a router carries what is for the link alone"},
		{vrrp.OwnAddress, "from our own address", "another host has it as well, or two directors have one source"},
	} {
		if n := s.Drops[d.reason.String()]; n > 0 {
			all = append(all, admin.Warn(check, fmt.Sprintf("%d advertisements %s", n, d.found), d.about))
		}
	}
	return all
}

// offLink finds a VIP that nobody looks for on the interface.
func offLink(s *vrrp.Status, hops *nexthop.Table) (admin.Finding, bool) {
	for i, p := range hops.Ports() {
		if p.Name != s.Interface {
			continue
		}
		for _, vip := range s.Addresses {
			if !hops.OnLink(uint8(i), packet.AddrFrom(vip)) {
				return admin.Warn("vrrp "+s.Name, fmt.Sprintf("%s is in no network of %s: stations there do not look for it", vip, s.Interface),
					"give the interface an address of that network, or the group another interface"), true
			}
		}
	}
	return admin.Finding{}, false
}

func sameAddresses(a, b []netip.Addr) bool {
	return slices.Equal(slices.SortedFunc(slices.Values(a), netip.Addr.Compare), slices.SortedFunc(slices.Values(b), netip.Addr.Compare))
}

func inLine(all []netip.Addr) string {
	words := make([]string, len(all))
	for i, a := range all {
		words[i] = a.String()
	}
	return strings.Join(words, ", ")
}
