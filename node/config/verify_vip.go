package config

import (
	"net/netip"
	"slices"
)

// claims are what services listen at, by address and protocol.
type claims map[claimed][]claim

type claimed struct {
	addr     netip.Addr
	protocol string
}

// A claim is one of them, and where its service says so.
type claim struct {
	Listener
	service string
	at      *place
}

// disputes says whether both would take the same packets. One port goes before a
// range, and a range before any port, so those may lie within each other.
func (l Listener) disputes(o Listener) bool {
	return l.Any() == o.Any() && l.IsRange() == o.IsRange() && l.First <= o.Last && o.First <= l.Last
}

// claim notes what a service listens at, unless somebody has it.
func (l *loader) claim(s scope, at *place, what string, w Listener, v *Service, all claims) {
	key := claimed{w.Addr, w.Protocol}
	for _, o := range all[key] {
		if !w.disputes(o.Listener) {
			continue
		}
		if w == o.Listener {
			l.complain(s, at, "%s %s belongs to service %q%s", what, w, o.service, o.at.mention())
		} else {
			l.complain(s, at, "%s %s overlaps %s of service %q%s", what, w, o.Listener, o.service, o.at.mention())
		}
		return
	}
	all[key] = append(all[key], claim{w, v.Name, at})
}

func (l *loader) verifyVIP(s scope, p *place, v *Service, owners claims) {
	if p.good("ports") && p.good("vip") && v.VIP.Port() != 0 {
		l.complain(s, p.at("ports"), "ports %s go with port 0 of the vip; write vip = \"%s\"", v.Ports, netip.AddrPortFrom(v.VIP.Addr(), 0))
		return
	}
	for i, w := range v.Listeners() {
		at, what := p.at("vip"), "vip"
		switch {
		case i > 0:
			at, what = p.at("vips").item(i-1), "vips:"
			if !w.Addr.IsValid() {
				continue // refused
			}
		case !p.good("vip"):
			continue
		}
		if !l.verifyListener(s, at, what, w, v) || p.refused("protocol") || i == 0 && p.refused("ports") {
			continue
		}
		l.claim(s, at, what, w, v, owners)
	}
}

// verifyListener looks at the address, and says whether it could be one.
func (l *loader) verifyListener(s scope, at *place, what string, w Listener, v *Service) bool {
	a := w.Addr
	if why := odd(a); why != "" {
		l.complain(s, at, "%s %s %s", what, a, why)
		return false
	}
	if what == "vips:" && v.VIP.IsValid() && a.Is4() != v.VIP.Addr().Is4() {
		l.complain(s, at, "%s %s is %s, and the servers are of the vip's family, %s", what, a, family(a), family(v.VIP.Addr()))
	}
	if slices.Contains(l.host.Addresses, a) {
		l.complain(s, at, "%s %s is an address of this host: its kernel would answer for it", what, a)
	}
	if block, ok := l.cfg.Fullnat.local(a); ok {
		l.complain(s, at, "%s %s lies in the local addresses %s", what, a, block)
	}
	return true
}

// verifyTag keeps the tags apart: a command that is given one means one service.
func (l *loader) verifyTag(s scope, p *place, v *Service, tags map[uint32]string) {
	if !p.good("tag") || v.Tag == 0 {
		return
	}
	if owner, taken := tags[v.Tag]; taken {
		l.complain(s, p.at("tag"), "tag %d belongs to service %q", v.Tag, owner)
		return
	}
	tags[v.Tag] = v.Name
}

// verifyPort says what is wrong with a server's port, r being a server or, with
// an address alone, a sorry server.
func (l *loader) verifyPort(s scope, p *place, what string, r *Server, v *Service) {
	first := v.Listener()
	single := len(v.VIPs) == 0 && first.First == first.Last
	mode := v.Forwarding(r).Mode
	keeps := mode == "dr" || mode == "tun"
	switch port := r.Address.Port(); {
	case port == 0 && single:
		l.complain(s, p.near("address"), "%sport 0 is for services with several ports, which it keeps; write \"%s\"", what, netip.AddrPortFrom(r.Address.Addr(), first.First))
	case port == 0 && what == "":
		c := &v.Check
		if r.Check != nil {
			c = r.Check
		}
		if c.Port == 0 && slices.Contains([]string{"tcp", "http", "https", "udp", "dns"}, c.Type) {
			l.complain(s, p.near("address"), "port 0 keeps the client's, and the check must know one; set check.port")
		}
	case keeps && single && port != first.First && v.VIP.IsValid():
		l.complain(s, p.near("address"), "%sport %d is not the vip's, %d, and mode %q changes no port", what, port, first.First, mode)
	case keeps && port != 0 && !single:
		l.complain(s, p.near("address"), "%sport %d cannot take the place of the client's in mode %q; write \"%s\"", what, port, mode, netip.AddrPortFrom(r.Address.Addr(), 0))
	}
}
