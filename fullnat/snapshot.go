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
}

// Same says whether the workers would do the same with o.
func (s *Snapshot) Same(o *Snapshot) bool {
	return s.Services == o.Services && s.Hops == o.Hops && s.Ports == o.Ports &&
		s.Ping == o.Ping && slices.Equal(s.Locals, o.Locals)
}

// A localRange is one prefix of local addresses in the form the workers compare.
type localRange struct{ first, last packet.Addr }

// prepare derives what the workers read; Publish calls it once.
func (s *Snapshot) prepare() {
	s.locals = s.locals[:0:0]
	for _, p := range s.Locals {
		s.locals = append(s.locals, rangeOf(p))
	}
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

// maxLocals bounds how many addresses of the block sessions are spread over.
// 256 addresses give each server address and port 16 million local ports.
const maxLocals = 256

// localAddresses lists the addresses new sessions may take, at most maxLocals.
func (s *Snapshot) localAddresses() []packet.Addr {
	var all []packet.Addr
	for _, p := range s.Locals {
		for a := p.Masked().Addr(); p.Contains(a) && len(all) < maxLocals; a = a.Next() {
			all = append(all, packet.AddrFrom(a))
		}
	}
	return all
}
