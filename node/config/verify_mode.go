package config

import "slices"

// verifyMode checks what a service says of modes, and of what does not go with
// each: everything that mode dr, which leaves the packet as it is, cannot do, and
// the tunnel's keys where there is none.
func (l *loader) verifyMode(s scope, p *place, v *Service) {
	if p.refused("mode") {
		return
	}
	if v.Forwards("fullnat") && p.good("vip") {
		l.verifyLocals(s, p.near("mode"), v)
	}
	if v.MSS != 0 && p.good("mss") && v.Forwards("dr") {
		l.complain(s, p.at("mss"), "mss %d cannot be had in mode \"dr\", which leaves packets as they are; lower it on the servers: ip route … advmss %d", v.MSS, v.MSS)
	}
	all := v.forwardings()
	tunnel := slices.ContainsFunc(all, func(f Forwarding) bool { return f.Mode == "tun" })
	gue := slices.ContainsFunc(all, func(f Forwarding) bool { return f.Tunnel == "gue" })
	l.verifyTunnel(s, p, v.Mode, tunnel, gue)
}

// verifyServerMode is the same for what a server says of itself.
func (l *loader) verifyServerMode(s scope, p *place, v *Service, r *Server) {
	if p.refused("mode") || p.refused("tunnel") {
		return
	}
	f := v.Forwarding(r)
	l.verifyTunnel(s, p, f.Mode, f.Mode == "tun", f.Tunnel == "gue")
}

// verifyTunnel refuses keys of a tunnel that is not there.
func (l *loader) verifyTunnel(s scope, p *place, mode string, tunnel, gue bool) {
	for _, key := range []string{"tunnel", "tunnel_port", "tunnel_variant"} {
		switch {
		case !p.good(key):
		case !tunnel:
			l.complain(s, p.at(key), "%s is for mode \"tun\", not for %q", key, mode)
		case !gue && key != "tunnel":
			l.complain(s, p.at(key), "%s is for tunnel = \"gue\"; a tunnel \"ipip\" has none", key)
		}
	}
}
