package node

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"fleetlb/fullnat/packet"
	"fleetlb/node/admin"
	"fleetlb/node/config"
)

// Explain adds to what a worker knows of a packet what only the control plane
// knows: why a server is down, and why nobody sends packets here at all.
// What this director does not know of, another may.
func (b backend) Explain(ctx context.Context, t admin.Tuple) (admin.Explanation, error) {
	x, err := b.explainHere(ctx, t)
	if err != nil || x.Session != "" || b.company == nil {
		return x, err
	}
	v, err := b.view(ctx)
	if err == nil {
		x.Why = append(x.Why, b.explainElsewhere(ctx, &v, t)...)
	}
	return x, err
}

func (b backend) explainHere(ctx context.Context, t admin.Tuple) (admin.Explanation, error) {
	if t.Protocol != "tcp" && t.Protocol != "udp" {
		return admin.Explanation{}, invalid("protocol %q is neither tcp nor udp", t.Protocol)
	}
	v, err := b.view(ctx)
	if err != nil {
		return admin.Explanation{}, err
	}
	e, err := b.plane.Explain(ctx, packet.Tuple{
		Src: packet.AddrFrom(t.Src.Addr()), SrcPort: t.Src.Port(),
		Dst: packet.AddrFrom(t.Dst.Addr()), DstPort: t.Dst.Port(),
		Protocol: protocolNumber(t.Protocol),
	})
	if err != nil {
		return admin.Explanation{}, err
	}
	x := admin.Explanation{
		Protocol: t.Protocol, Src: t.Src, Dst: t.Dst,
		Direction: e.Direction, Verdict: e.Verdict.Name(), Service: e.Service,
		Slot: e.Slot, Worker: e.Worker,
		Server: e.Server, Local: e.Local, NextHop: e.NextHop, Why: e.Why,
	}
	if s := e.Session; s != nil {
		x.Session = fmt.Sprintf("%s, %d packets in and %d out; %s here, home %s", s.State, s.PacketsIn, s.PacketsOut, s.Role, v.nameOf(s.Home))
	}
	p, _ := v.of(e.Service)
	if p == nil {
		x.Why = append(x.Why, v.neighbours(t)...)
		return x, nil
	}
	if e.Scheduler {
		x.Scheduler = p.config.Scheduler
		x.Why = append(append(x.Why, b.whyDown(p.config)...), disabled(p.config)...)
	}
	if e.Direction == "inbound" {
		x.Why = append(x.Why, b.announcement(&v, p, t.Dst.Addr().Unmap()))
	}
	return x, nil
}

// neighbours names the services that somebody may have meant whose packet is for
// none.
func (v *view) neighbours(t admin.Tuple) []string {
	var here []string
	for i := range v.running.Services {
		s := &v.running.Services[i]
		for _, l := range s.Listeners() {
			if l.Addr == t.Dst.Addr().Unmap() {
				here = append(here, fmt.Sprintf("%q at %s", s.Name, l))
			}
		}
	}
	if here == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s has %s", t.Dst.Addr(), strings.Join(here, ", "))}
}

// whyDown says what the checks have against servers.
func (b backend) whyDown(s *config.Service) (all []string) {
	verdicts := b.monitor.Verdicts()
	for _, r := range s.Servers {
		if v := verdicts[targetKey(s, r.Address)]; r.Enabled && !v.Up && v.Reason != "" {
			all = append(all, fmt.Sprintf("server %s: %s", r.Address, v.Reason))
		}
	}
	return all
}

// disabled names the servers that the dataplane does not know.
func disabled(s *config.Service) (all []string) {
	for _, r := range s.Servers {
		if !r.Enabled {
			all = append(all, fmt.Sprintf("server %s: disabled in the configuration", r.Address))
		}
	}
	return all
}

// announcement says whether routers send packets here, and why not.
func (b backend) announcement(v *view, p *planned, vip netip.Addr) string {
	elected := b.whereElected(vip)
	switch {
	case elected != "" && (v.speaker == nil || !v.plan.held[vip]):
		return elected
	case v.speaker == nil && len(v.others) > 0:
		return v.whereHeld(vip)
	case v.speaker == nil:
		return "there is no [bgp]: packets come only from where the VIP is on the link or routed here by hand"
	case p.announced:
		n := v.told()[vip.Is4()]
		if n == 0 {
			return fmt.Sprintf("%s should be announced, but no BGP session is established: see fleetlb bgp neighbors", vip)
		}
		return fmt.Sprintf("%s is announced to %s", vip, count(n, "neighbour"))
	case v.held != "":
		return fmt.Sprintf("%s is not announced: %s", vip, v.held)
	case v.state != "serving":
		return fmt.Sprintf("%s is not announced: this director is %s", vip, v.state)
	}
	return fmt.Sprintf("%s is not announced for this service: %s", vip, p.shortfall())
}

// whereHeld says who answers for a VIP on a LAN.
func (v *view) whereHeld(vip netip.Addr) string {
	if v.plan.held[vip] {
		return fmt.Sprintf("this director answers for %s where it is on a link", vip)
	}
	for i := range v.others {
		if m := &v.others[i]; m.Alive && v.offers[m.ID][vip] {
			return fmt.Sprintf("director %s answers for %s where it is on a link", m.Name, vip)
		}
	}
	return fmt.Sprintf("no director answers for %s: see fleetlb services and fleetlb nodes", vip)
}

// shortfall says why a service has not its quorum.
func (p *planned) shortfall() string {
	return fmt.Sprintf("%d of %s can be given new connections, and %d must be healthy",
		p.up, count(len(p.config.Servers), "server"), quorum(p.config, p.standing))
}

// count is "1 server" or "2 servers".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
