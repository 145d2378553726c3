package fullnat

import (
	"bytes"
	"net/netip"
	"slices"

	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/offload"
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
	Fleet    *Fleet         // the other directors; nil: there are none
	LAN      *LAN           // who answers on a link; nil: this director, for everything

	locals  []localRange // ours and the other directors', by address, none in another
	asks    bool         // there is somebody to ask for sessions
	beyond  beyond
	offload *offload.Table // what sessions are lifted into; nil: nothing
}

// Same says whether the workers would do the same with o.
func (s *Snapshot) Same(o *Snapshot) bool {
	return s.Services == o.Services && s.Hops == o.Hops && s.Ping == o.Ping && s.sameLocals(o) && s.Fleet.same(o.Fleet) && s.LAN.same(o.LAN)
}

// sameLocals says whether new sessions take the same addresses and ports.
func (s *Snapshot) sameLocals(o *Snapshot) bool {
	return s.Ports == o.Ports && slices.Equal(s.Locals, o.Locals)
}

// A localRange is one prefix of local addresses in the form the workers compare.
type localRange struct {
	first, last packet.Addr
	own         bool // this director's
}

// prepared returns a copy with what the workers read derived from the rest.
func (s *Snapshot) prepared() *Snapshot {
	own := *s
	own.asks = s.Fleet.others()
	own.locals = nil
	for _, p := range s.Locals {
		own.add(p, true)
	}
	for _, p := range s.Fleet.blocks() {
		own.add(p, false)
	}
	slices.SortFunc(own.locals, func(a, b localRange) int { return bytes.Compare(a.first[:], b.first[:]) })
	own.beyond = beyondOf(s.Services)
	return &own
}

// add takes up a prefix of local addresses, unless it overlaps another: of two
// directors that claim an address the first is believed, and that is we.
func (s *Snapshot) add(p netip.Prefix, own bool) {
	r := rangeOf(p)
	for _, o := range s.locals {
		if bytes.Compare(r.first[:], o.last[:]) <= 0 && bytes.Compare(o.first[:], r.last[:]) <= 0 {
			return
		}
	}
	r.own = own
	s.locals = append(s.locals, r)
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
	return localRange{first: first, last: last}
}

// block returns the local addresses that a is one of, or nil.
func (s *Snapshot) block(a packet.Addr) *localRange {
	lo, hi := 0, len(s.locals)
	for lo < hi {
		mid := (lo + hi) / 2
		switch r := &s.locals[mid]; {
		case bytes.Compare(a[:], r.first[:]) < 0:
			hi = mid
		case bytes.Compare(a[:], r.last[:]) > 0:
			lo = mid + 1
		default:
			return r
		}
	}
	return nil
}

// local says whether a is a local address, of this director or of another: a
// router that has lost the other brings us its packets.
func (s *Snapshot) local(a packet.Addr) bool { return s.block(a) != nil }

// owns says whether the director carries what is sent to a: a VIP or a local
// address.
func (s *Snapshot) owns(a packet.Addr) bool {
	return s.local(a) || s.Services.HasVIP(a)
}

// isAt says whether a is at this director: a VIP or a local address of its own.
func (s *Snapshot) isAt(a packet.Addr) bool {
	r := s.block(a)
	return r != nil && r.own || s.Services.HasVIP(a)
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
func (s *Snapshot) localAddresses() []packet.Addr { return addressesOf(s.Locals) }

// addressesOf lists the first addresses of prefixes, maxLocals of each family.
func addressesOf(prefixes []netip.Prefix) (all []packet.Addr) {
	left := [2]int{maxLocals, maxLocals}
	for _, p := range prefixes {
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
