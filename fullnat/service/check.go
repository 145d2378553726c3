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
	owners := make(map[identity]string)
	for i := range specs {
		s := &specs[i]
		id := identify(s.Protocol, s.VIP)
		owner, taken := owners[id]
		switch {
		case s.Name == "":
			errs = append(errs, fmt.Errorf("service %d: name is empty", i+1))
		case names[s.Name]:
			errs = append(errs, fmt.Errorf("service %q: name is taken", s.Name))
		case taken:
			errs = append(errs, fmt.Errorf("service %q: vip %v/%s: belongs to service %q", s.Name, unmap(s.VIP), protocol(s.Protocol), owner))
		}
		names[s.Name] = true
		if !taken {
			owners[id] = s.Name
		}
		for _, err := range s.faults() {
			errs = append(errs, fmt.Errorf("service %q: %w", s.Name, err))
		}
	}
	return errors.Join(errs...)
}

// faults lists what is wrong with one service by itself.
func (s *Spec) faults() (errs []error) {
	say := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Protocol != packet.TCP && s.Protocol != packet.UDP {
		say("%s: neither tcp nor udp", protocol(s.Protocol))
	}
	if !s.Mode.known() {
		say("%v: unknown", s.Mode)
	}
	for _, f := range []Fate{s.DeadServer, s.RemovedServer} {
		if f > Expire {
			say("%v: unknown", f)
		}
	}
	if err := host(s.VIP); err != nil {
		say("vip %v: %w", unmap(s.VIP), err)
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
	vip := unmap(s.VIP)
	switch {
	case !vip.IsValid(): // and said so
	case server.Addr() == vip.Addr():
		return errors.New("is the vip itself")
	case server.Addr().Is4() != vip.Addr().Is4() && !mode.crossesFamilies():
		return fmt.Errorf("is not of the vip's address family, which mode %v cannot change", mode)
	case server.Port() != vip.Port() && !mode.mapsPorts():
		return fmt.Errorf("port differs from the vip's, which mode %v cannot change", mode)
	}
	return nil
}

// host says why no single host listens on an address.
func host(a netip.AddrPort) error {
	switch {
	case !a.IsValid(), a.Addr().IsUnspecified():
		return errors.New("not an address")
	case a.Addr().IsMulticast():
		return errors.New("a multicast address")
	case a.Addr().Zone() != "":
		return errors.New("a zone does not travel on the wire")
	case a.Port() == 0:
		return errors.New("port 0 is not between 1 and 65535")
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
