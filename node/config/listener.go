package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// A Listener is what one service listens at: an address, a port or several that
// follow each other, and a protocol.
type Listener struct {
	Addr        netip.Addr
	First, Last uint16 // 0 to 65535: any port
	Protocol    string // "" as written: the service's
}

// Any says whether it listens at every port that no other service has.
func (l Listener) Any() bool { return l.First == 0 }

// IsRange says whether it listens at several ports, though not at all.
func (l Listener) IsRange() bool { return l.First != 0 && l.First < l.Last }

// AddrPort is its address and port; port 0 stands for several.
func (l Listener) AddrPort() netip.AddrPort {
	if l.First != l.Last {
		return netip.AddrPortFrom(l.Addr, 0)
	}
	return netip.AddrPortFrom(l.Addr, l.First)
}

func (l Listener) String() string {
	text := l.AddrPort().String()
	if l.IsRange() {
		text = fmt.Sprintf("%s%d-%d", strings.TrimSuffix(text, "0"), l.First, l.Last)
	}
	if l.Protocol != "" {
		text += "/" + l.Protocol
	}
	return text
}

// Listener is what the service listens at first, by which it is known.
func (s *Service) Listener() Listener {
	l := Listener{s.VIP.Addr(), s.VIP.Port(), s.VIP.Port(), s.Protocol}
	switch {
	case s.VIP.Port() != 0:
	case s.Ports.IsValid():
		l.First, l.Last = s.Ports.First, s.Ports.Last
	default:
		l.Last = 65535
	}
	return l
}

// Listeners is all that the service listens at, each with its protocol.
func (s *Service) Listeners() []Listener {
	all := []Listener{s.Listener()}
	for _, l := range s.VIPs {
		l.Protocol = cmp.Or(l.Protocol, s.Protocol)
		all = append(all, l)
	}
	return all
}

// HasVIP says whether the service listens at the address.
func (s *Service) HasVIP(a netip.Addr) bool {
	return slices.ContainsFunc(s.Listeners(), func(l Listener) bool { return l.Addr == a })
}

func readListener(raw any) (Listener, string) {
	s, ok := raw.(string)
	if !ok {
		return Listener{}, wrongType
	}
	at, protocol, said := strings.Cut(s, "/")
	if said && protocol != "tcp" && protocol != "udp" {
		return Listener{}, show(s) + `: protocol ` + show(protocol) + ` is not tcp or udp`
	}
	ports := PortRange{}
	if i := strings.LastIndexByte(at, ':'); i >= 0 && strings.Contains(at[i:], "-") {
		r, complaint := readPortRange(at[i+1:])
		if complaint != "" {
			return Listener{}, leaves[reflect.TypeFor[PortRange]()].says(complaint, at[i+1:], "")
		}
		ports, at = r, at[:i]+":0"
	}
	a, complaint := readAddrPort(at)
	switch {
	case complaint == noPort:
		return Listener{}, leaves[reflect.TypeFor[netip.AddrPort]()].says(complaint, at, "")
	case complaint != "":
		return Listener{}, complaint
	case ports.IsValid():
		return Listener{a.Addr(), ports.First, ports.Last, protocol}, ""
	case a.Port() == 0:
		return Listener{a.Addr(), 0, 65535, protocol}, ""
	}
	return Listener{a.Addr(), a.Port(), a.Port(), protocol}, ""
}
