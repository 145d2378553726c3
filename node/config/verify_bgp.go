package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (l *loader) verifyBGP(p *place) {
	b := l.cfg.BGP
	if b == nil || p == nil {
		return
	}
	s := scope{sub: "bgp"}
	l.verifyASN(s, p, b.ASN)
	if p.good("router_id") && (!b.RouterID.Is4() || b.RouterID.IsUnspecified() || b.RouterID.IsMulticast()) {
		l.complain(s, p.at("router_id"), "router_id %s is not the IPv4 address of a host", b.RouterID)
	}
	seen := make(map[netip.Addr]bool)
	for i := range b.Neighbors {
		n, at := &b.Neighbors[i], p.at("neighbor").item(i)
		name := strconv.Itoa(i + 1)
		if at.good("address") {
			name = n.Address.String()
		}
		here := scope{noun: "bgp: neighbor " + name}
		if at.good("address") && seen[n.Address] {
			l.complain(here, at.at("address"), "is listed twice")
		}
		seen[n.Address] = true
		l.verifyNeighbor(here, at, n)
	}
	switch {
	case p.at("neighbor") == nil:
		l.warn(p, "bgp: no neighbor, so nothing is announced")
	case !p.refused("neighbor"):
		l.verifyCarried(s, p)
	}
}

func (l *loader) verifyASN(s scope, p *place, asn uint32) {
	// RFC 6793 §9, RFC 7300
	if p.good("asn") && (asn == 23456 || asn == 65535 || asn == 4294967295) {
		l.complain(s, p.at("asn"), "asn %d is reserved", asn)
	}
}

func (l *loader) verifyNeighbor(s scope, p *place, n *Neighbor) {
	if p.good("address") {
		switch a := n.Address; {
		case a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast():
			l.complain(s, p.at("address"), "is not the address of a router")
		case slices.Contains(l.host.Addresses, a) && !a.IsLoopback():
			l.complain(s, p.at("address"), "is this host itself")
		case l.ours(a) != "":
			l.complain(s, p.at("address"), "%s: packets to it would come back here", l.ours(a))
		}
	}
	l.verifyASN(s, p, n.ASN)
	for _, t := range []struct {
		key string
		d   time.Duration
	}{{"hold_time", n.HoldTime}, {"connect_retry", n.ConnectRetry}} {
		if p.good(t.key) && t.d%time.Second != 0 {
			l.complain(s, p.at(t.key), "%s %s is not in whole seconds", t.key, durationText(t.d))
		}
	}
	inside := l.places.at("bgp").good("asn") && p.good("asn") && n.ASN == l.cfg.BGP.ASN
	switch {
	case p.good("multihop") && n.Multihop > 0 && p.good("ttl_security") && n.TTLSecurity > 0:
		l.complain(s, p.at("ttl_security"), "ttl_security and multihop exclude each other; ttl_security = %d also reaches over routers", n.Multihop)
	case p.good("multihop") && n.Multihop > 0 && inside:
		l.complain(s, p.at("multihop"), "multihop is for a neighbor of another asn")
	}
	if p.good("prepend") && n.Prepend > 0 && inside {
		l.complain(s, p.at("prepend"), "prepend is for a neighbor of another asn: inside one, a path with its own asn is a loop")
	}
	if p.good("bfd_interval") && n.BFDInterval%time.Millisecond != 0 {
		l.complain(s, p.at("bfd_interval"), "bfd_interval %s is not in whole milliseconds", durationText(n.BFDInterval))
	}
	l.verifyEnds(s, p, n)
	l.verifyCommunities(s, p, n)
	l.readPassword(s, p.at("password_file"), n)
}

// verifyEnds checks the addresses on our side of the session.
func (l *loader) verifyEnds(s scope, p *place, n *Neighbor) {
	if a := n.LocalAddress; p.good("local_address") {
		switch {
		case p.good("address") && a.Is4() != n.Address.Is4():
			l.complain(s, p.at("local_address"), "local_address %s is not %s, as the neighbor is", a, family(n.Address))
		case l.host.Addresses != nil && !slices.Contains(l.host.Addresses, a):
			l.warn(p.at("local_address"), "bgp: neighbor %s: this host does not have local_address %s", n.Address, a)
		}
	}
	for _, hop := range []struct {
		key string
		a   netip.Addr
		v4  bool
	}{{"next_hop4", n.NextHop4, true}, {"next_hop6", n.NextHop6, false}} {
		if !p.good(hop.key) {
			continue
		}
		if hop.a.Is4() != hop.v4 {
			l.complain(s, p.at(hop.key), "%s %s is %s", hop.key, hop.a, family(hop.a))
		} else if hop.a.IsUnspecified() || hop.a.IsMulticast() || hop.a.IsLoopback() {
			l.complain(s, p.at(hop.key), "%s %s %s", hop.key, hop.a, odd(hop.a))
		}
	}
}

// wellKnown are the names operators write for communities (RFC 1997, RFC 3765,
// RFC 7999, RFC 8326).
var wellKnown = []string{"no-export", "no-advertise", "no-export-subconfed", "no-peer", "blackhole", "graceful-shutdown"}

func (l *loader) verifyCommunities(s scope, p *place, n *Neighbor) {
	for _, set := range []struct {
		key, form   string
		words       []string
		parts, bits int
	}{
		{"communities", `"65001:100", with both numbers up to 65535`, n.Communities, 2, 16},
		{"large_communities", `"65001:1:2", with numbers up to 4294967295`, n.LargeCommunities, 3, 32},
	} {
		if !p.good(set.key) {
			continue
		}
		at := p.at(set.key)
		for i, w := range set.words {
			named := set.parts == 2 && slices.Contains(wellKnown, w)
			switch {
			case slices.Contains(set.words[:min(i, 1000)], w):
				l.complain(s, at.item(i), "%s: %s is listed twice", set.key, show(w))
			case !named && !numbers(w, set.parts, set.bits):
				hint := ""
				if set.parts == 2 {
					hint = meant(w, wellKnown)
				}
				l.complain(s, at.item(i), "%s: %s is not of the form %s%s", set.key, show(w), set.form, hint)
			}
		}
	}
}

func numbers(s string, parts, bits int) bool {
	fields := strings.Split(s, ":")
	if len(fields) != parts {
		return false
	}
	for _, f := range fields {
		if _, err := strconv.ParseUint(f, 10, bits); err != nil {
			return false
		}
	}
	return true
}

// verifyCarried asks that some neighbor can be told of each family there is:
// over a session of the other family a route needs a next hop of its own.
func (l *loader) verifyCarried(s scope, p *place) {
	needs := make(map[bool]bool) // by Is4
	for i := range l.cfg.Services {
		if a := l.cfg.Services[i].VIP.Addr(); a.IsValid() {
			needs[a.Is4()] = true
		}
	}
	for _, block := range l.cfg.Fullnat.LocalAddresses {
		if block.IsValid() {
			needs[block.Addr().Is4()] = true
		}
	}
	for _, n := range l.cfg.BGP.Neighbors {
		if !n.Address.IsValid() {
			return // refused
		}
		delete(needs, n.Address.Is4())
		if n.NextHop4.IsValid() {
			delete(needs, true)
		}
		if n.NextHop6.IsValid() {
			delete(needs, false)
		}
	}
	if needs[true] {
		l.complain(s, p, "no neighbor can be told of IPv4 addresses; give one a next_hop4, or list an IPv4 neighbor")
	}
	if needs[false] {
		l.complain(s, p, "no neighbor can be told of IPv6 addresses; give one a next_hop6, or list an IPv6 neighbor")
	}
}
