package fullnat

import (
	"net/netip"
	"slices"

	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
)

// A Snapshot is all that the control plane tells the workers. It is never
// changed once published: a new one takes its place, and a worker keeps the one
// it pinned until its batch is done.
type Snapshot struct {
	Services *service.Table
	Hops     *nexthop.Table
	Locals   []netip.Prefix // this director's own local-address block
	Ports    [2]uint16      // local ports from Ports[0] to Ports[1], both included
	Ping     bool           // answer ICMP echo requests to VIPs and local addresses

	locals []localRange
	beyond beyond
}

// Same says whether the workers would do the same with o.
func (s *Snapshot) Same(o *Snapshot) bool {
	return s.Services == o.Services && s.Hops == o.Hops && s.Ping == o.Ping && s.sameLocals(o)
}

// sameLocals says whether new sessions take the same addresses and ports.
func (s *Snapshot) sameLocals(o *Snapshot) bool {
	return s.Ports == o.Ports && slices.Equal(s.Locals, o.Locals)
}

// A localRange is one prefix of local addresses in the form the workers compare.
type localRange struct{ first, last packet.Addr }

// prepared returns a copy with what the workers read derived from the rest.
func (s *Snapshot) prepared() *Snapshot {
	own := *s
	own.locals = make([]localRange, len(s.Locals))
	for i, p := range s.Locals {
		own.locals[i] = rangeOf(p)
	}
	own.beyond = beyondOf(s.Services)
	return &own
}

// rangeOf returns the first and last address of a prefix.
func rangeOf(p netip.Prefix) localRange {
	first := packet.AddrFrom(p.Masked().Addr())
	last := first
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	for i := bits; i < 128; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	return localRange{first, last}
}

// local says whether a is one of this director's local addresses.
func (s *Snapshot) local(a packet.Addr) bool {
	for i := range s.locals {
		r := &s.locals[i]
		if string(a[:]) >= string(r.first[:]) && string(a[:]) <= string(r.last[:]) {
			return true
		}
	}
	return false
}

// owns says whether the director answers for a: a VIP or a local address.
func (s *Snapshot) owns(a packet.Addr) bool {
	return s.local(a) || s.Services.HasVIP(a)
}

// onLink says whether stations on the link of a port look for a, an address of
// ours, by themselves.
func (s *Snapshot) onLink(port uint8, a packet.Addr) bool {
	return s.Hops.OnLink(port, a) && !s.Hops.HostAddress(a)
}

// maxLocals bounds how many addresses of the block sessions of one family are
// spread over. 256 addresses give each server address and port 16 million local
// ports.
const maxLocals = 256

// localAddresses lists the addresses new sessions may take.
func (s *Snapshot) localAddresses() (all []packet.Addr) {
	left := [2]int{maxLocals, maxLocals}
	for _, p := range s.Locals {
		n := &left[0]
		if p.Addr().Is6() {
			n = &left[1]
		}
		for a := p.Masked().Addr(); p.Contains(a) && *n > 0; a = a.Next() {
			all = append(all, packet.AddrFrom(a))
			*n--
		}
	}
	return all
}
