package service

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/schedule"
)

// check returns everything that is wrong with the specs, but for what only the
// scheduler knows.
func check(specs []Spec) error {
	var errs []error
	names := make(map[string]bool)
	var owners claims
	for i := range specs {
		s := &specs[i]
		switch {
		case s.Name == "":
			errs = append(errs, fmt.Errorf("service %d: name is empty", i+1))
		case names[s.Name]:
			errs = append(errs, fmt.Errorf("service %q: name is taken", s.Name))
		default:
			for _, l := range s.Listeners() {
				if err := owners.claim(l, s.Name); err != nil {
					errs = append(errs, fmt.Errorf("service %q: %w", s.Name, err))
				}
			}
		}
		names[s.Name] = true
		for _, err := range s.faults() {
			errs = append(errs, fmt.Errorf("service %q: %w", s.Name, err))
		}
	}
	return errors.Join(errs...)
}

// faults lists what is wrong with one service by itself.
func (s *Spec) faults() (errs []error) {
	say := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !s.Mode.known() {
		say("%v: unknown", s.Mode)
	}
	for _, f := range []Fate{s.DeadServer, s.RemovedServer} {
		if f > Expire {
			say("%v: unknown", f)
		}
	}
	for _, l := range s.Listeners() {
		errs = append(errs, s.listens(l)...)
	}
	if p := s.Persistence; p.Timeout < 0 || p.Prefix4 < 0 || p.Prefix4 > 32 || p.Prefix6 < 0 || p.Prefix6 > 128 {
		say("persistence for %v with prefixes of %d and %d bits: impossible", p.Timeout, p.Prefix4, p.Prefix6)
	}
	for _, d := range s.Timeouts.named() {
		if d.Duration < 0 {
			say("timeout %s: %v is below zero", d.name, d.Duration)
		}
	}
	seen := make(map[netip.AddrPort]bool)
	for _, v := range s.Servers {
		address := unmap(v.Address)
		if v.Weight < 0 || v.Weight > schedule.MaxWeight {
			say("server %v: weight %d is not between 0 and %d", address, v.Weight, schedule.MaxWeight)
		}
		if v.Mode != 0 && !v.Mode.known() {
			say("server %v: %v: unknown", address, v.Mode)
		}
		if v.Lower > v.Upper {
			say("server %v: lower threshold %d is above the upper one, %d", address, v.Lower, v.Upper)
		}
		if err := s.reaches(address, cmp.Or(v.Mode, s.Mode), seen); err != nil {
			say("server %v: %w", address, err)
		}
	}
	if sorry := unmap(s.Sorry); sorry.IsValid() {
		if err := s.reaches(sorry, s.Mode, seen); err != nil {
			say("sorry server %v: %w", sorry, err)
		}
	}
	return errs
}

// listens lists why the service cannot listen there.
func (s *Spec) listens(l Listener) (errs []error) {
	say := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if l.Protocol != packet.TCP && l.Protocol != packet.UDP {
		say("%s: neither tcp nor udp", protocol(l.Protocol))
	}
	if s.OnePacket && l.Protocol != packet.UDP {
		say("%s: only datagrams can be scheduled one by one", protocol(l.Protocol))
	}
	if err := host(l.VIP); err != nil {
		say("vip %v: %w", unmap(l.VIP), err)
	}
	switch {
	case l.Last == 0 && l.VIP.IsValid() && l.VIP.Port() == 0:
		say("vip %v: %w", unmap(l.VIP), errNoPort)
	case l.Last != 0 && l.Last < l.VIP.Port():
		say("vip %v: its ports end at %d", unmap(l.VIP), l.Last)
	}
	return errs
}

// single says whether the service has one port alone.
func (s *Spec) single() bool { return s.Last == 0 && len(s.Beside) == 0 }

// reaches says why packets of the service cannot get to a server in a mode; seen
// are the servers listed before.
func (s *Spec) reaches(server netip.AddrPort, mode Mode, seen map[netip.AddrPort]bool) error {
	if err := host(server); err != nil {
		return err
	}
	if seen[server] {
		return errors.New("listed twice")
	}
	seen[server] = true
	for _, l := range s.Listeners() {
		vip := unmap(l.VIP)
		switch {
		case !vip.IsValid(): // and said so
		case server.Addr() == vip.Addr():
			return errors.New("is the vip itself")
		case server.Addr().Is4() != vip.Addr().Is4() && !mode.crossesFamilies():
			return fmt.Errorf("is not of the vip's address family, which mode %v cannot change", mode)
		case server.Port() == 0 && s.single():
			return errNoPort
		case server.Port() != 0 && (server.Port() != vip.Port() || !s.single()) && !mode.mapsPorts():
			return fmt.Errorf("port differs from the vip's, which mode %v cannot change", mode)
		}
	}
	if s.OnePacket && mode == FULLNAT {
		return errors.New("one packet scheduling: the answers of mode fullnat find their client by a session")
	}
	return nil
}

var errNoPort = errors.New("port 0 is not between 1 and 65535")

// host says why no single host has an address.
func host(a netip.AddrPort) error {
	switch {
	case !a.IsValid(), a.Addr().IsUnspecified():
		return errors.New("not an address")
	case a.Addr().IsMulticast():
		return errors.New("a multicast address")
	case a.Addr().Zone() != "":
		return errors.New("a zone does not travel on the wire")
	}
	return nil
}

// unmap gives an IPv4 address its short form.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func protocol(p uint8) string {
	switch p {
	case packet.TCP:
		return "tcp"
	case packet.UDP:
		return "udp"
	}
	return fmt.Sprintf("protocol %d", p)
}
