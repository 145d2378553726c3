package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

func (l *loader) verifyServices(p *place) {
	services := l.cfg.Services
	names := make(map[string]*place)
	owners := make(claims)
	tags := make(map[uint32]string)
	for i := range services {
		v, at := &services[i], p.item(i)
		s := scope{noun: fmt.Sprintf("service %d", i+1), path: "service"}
		if at.good("name") && v.Name != "" {
			s.noun = "service " + show(v.Name)
		}
		l.verifyName(s, at, v, names)
		l.verifyVIP(s, at, v, owners)
		l.verifyTag(s, at, v, tags)
		l.verifyForwarding(s, at, v)
		l.verifyQuorum(s, at, v)
		l.verifyServers(s, at, v)
		if at.at("check") != nil {
			l.verifyCheck(scope{noun: s.noun, sub: "check"}, at.at("check"), &v.Check)
		}
	}
	if len(services) > 0 && len(l.cfg.Node.Interfaces) == 0 && !l.broken && !l.places.at("node").refused("interfaces") {
		l.complain(scope{sub: "node"}, cmp.Or(l.places.at("node"), l.places), "interfaces is missing; services need one to get packets from")
	}
}

func (l *loader) verifyName(s scope, p *place, v *Service, names map[string]*place) {
	if !p.good("name") {
		return
	}
	at := p.at("name")
	if !nameForm.MatchString(v.Name) {
		l.complain(s, at, "name %s", nameRule)
		return
	}
	if first := names[v.Name]; first != nil {
		l.complain(s, at, "the name is taken%s", first.mention())
		return
	}
	names[v.Name] = at
}

// verifyForwarding checks modes, scheduler and MSS.
func (l *loader) verifyForwarding(s scope, p *place, v *Service) {
	l.verifyMode(s, p, v)
	if v.OnePacket && v.Forwards("fullnat") && !p.refused("mode") {
		l.complain(s, p.near("one_packet"), "one_packet is not for mode \"fullnat\", whose answers find their client by the session that it leaves out")
	}
	if p.good("scheduler_flags") && !p.refused("scheduler") {
		l.verifyFlags(s, p.at("scheduler_flags"), v)
	}
	if p.good("mss") && v.MSS != 0 && v.MSS < leastMSS {
		l.complain(s, p.at("mss"), "mss %d is below %d, which every host takes; 0 leaves it alone", v.MSS, leastMSS)
	}
}

// verifyLocals asks for a local address of the VIP's family. The first service
// that lacks one speaks for all.
func (l *loader) verifyLocals(s scope, p *place, v *Service) {
	four := v.VIP.Addr().Is4()
	said := &l.short[1]
	if four {
		said = &l.short[0]
	}
	has := slices.ContainsFunc(l.cfg.Fullnat.LocalAddresses, func(b netip.Prefix) bool { return b.Addr().Is4() == four })
	if has || *said || l.broken || l.places.at("fullnat").refused("local_addresses") {
		return
	}
	*said = true
	l.complain(s, p, "mode \"fullnat\" needs an %s local address; list one in fullnat.local_addresses", family(v.VIP.Addr()))
}

// leastMSS is what RFC 9293 §3.7.1 lets a sender assume over IPv4.
const leastMSS = 536

// schedulerFlags are those that IPVS knows, by scheduler.
var schedulerFlags = map[string][]string{
	"sh": {"sh-fallback", "sh-port"},
	"mh": {"mh-fallback", "mh-port"},
}

func (l *loader) verifyFlags(s scope, p *place, v *Service) {
	known := schedulerFlags[v.Scheduler]
	for i, flag := range v.SchedulerFlags {
		switch {
		case slices.Contains(v.SchedulerFlags[:min(i, 2)], flag):
			l.complain(s, p.item(i), "scheduler_flags: %s is listed twice", show(flag))
		case slices.Contains(known, flag):
		case len(known) == 0:
			l.complain(s, p.item(i), "scheduler_flags: scheduler %q has no flags", v.Scheduler)
		default:
			l.complain(s, p.item(i), "scheduler_flags: %s is not %s%s", show(flag), list(known, "or"), meant(flag, known))
		}
	}
}

func (l *loader) verifyQuorum(s scope, p *place, v *Service) {
	if p.refused("quorum") || p.refused("hysteresis") || p.refused("server") {
		return
	}
	servers := len(v.Servers)
	switch {
	case v.Quorum > max(servers, 1):
		l.complain(s, p.near("quorum"), "quorum %d is more than the %d servers there are", v.Quorum, servers)
	case v.Hysteresis > 0 && v.Hysteresis >= v.Quorum:
		l.complain(s, p.near("hysteresis"), "hysteresis %d must be less than quorum %d, or the quorum is never lost", v.Hysteresis, v.Quorum)
	case v.Hysteresis > 0 && v.Quorum+v.Hysteresis > servers:
		l.complain(s, p.near("hysteresis"), "quorum %d with hysteresis %d is reached at %d servers; there are %d", v.Quorum, v.Hysteresis, v.Quorum+v.Hysteresis, servers)
	}
}

func (l *loader) verifyServers(s scope, p *place, v *Service) {
	at := p.at("server")
	seen := make(map[netip.AddrPort]int)
	takes := false
	for i := range v.Servers {
		r, here := &v.Servers[i], at.item(i)
		inner := scope{noun: fmt.Sprintf("%s: server %d", s.noun, i+1)}
		if r.LowerThreshold > r.UpperThreshold && !here.refused("upper_threshold") && !here.refused("lower_threshold") {
			l.complain(inner, here.near("lower_threshold"), "lower_threshold %d is above upper_threshold %d", r.LowerThreshold, r.UpperThreshold)
		}
		l.verifyServerMode(inner, here, v, r)
		takes = takes || r.Enabled && !r.Drain && r.Weight > 0
		if here.good("address") {
			l.verifyReachable(inner, here.at("address"), "", r, v, p)
			l.verifyPort(inner, here, "", r, v)
			if first, twice := seen[r.Address]; twice {
				l.complain(inner, here.at("address"), "%s is server %d already", r.Address, first+1)
			} else {
				seen[r.Address] = i
			}
		}
		if c := here.at("check"); c != nil && r.Check != nil {
			l.verifyCheck(scope{noun: inner.noun, sub: "check"}, c, r.Check)
		}
	}
	if p.good("sorry_server") {
		l.verifyReachable(s, p.at("sorry_server"), "sorry_server ", &Server{Address: v.SorryServer}, v, p)
		l.verifyPort(s, p.at("sorry_server"), "sorry_server ", &Server{Address: v.SorryServer}, v)
		if i, twice := seen[v.SorryServer]; twice {
			l.complain(s, p.at("sorry_server"), "sorry_server %s is server %d already", v.SorryServer, i+1)
		}
	}
	switch {
	case len(v.Servers) == 0:
		l.warn(p, "%sthere is no server", s.prefix())
	case !takes && !at.bad:
		l.warn(p, "%sno server takes new sessions: each is disabled, draining or of weight 0", s.prefix())
	}
}

// verifyReachable says why packets of the service cannot get to a server.
func (l *loader) verifyReachable(s scope, p *place, what string, r *Server, v *Service, service *place) {
	a, mode := r.Address.Addr(), v.Forwarding(r).Mode
	if why := odd(a); why != "" {
		l.complain(s, p, "%s%s %s", what, a, why)
		return
	}
	if service.good("vip") && a.Is4() != v.VIP.Addr().Is4() && mode != "tun" && !service.refused("mode") {
		l.complain(s, p, "%s%s is %s, and mode %q keeps to the vip's family, %s", what, a, family(a), mode, family(v.VIP.Addr()))
	}
	if why := l.ours(a); why != "" {
		l.complain(s, p, "%s%s %s: packets to it would come back here", what, a, why)
	}
	if slices.Contains(l.host.Addresses, a) {
		l.warn(p, "%s%s%s is this host itself, which the dataplane does not reach", s.prefix(), what, a)
	}
}
