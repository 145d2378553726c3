package packet

import "encoding/binary"

// Cause is why a packet goes no further, in the words of either family.
type Cause uint8

const (
	NoRoute          Cause = iota // no way to the destination's network
	NoHost                        // the destination's link-layer address is unknown
	NoPort                        // nobody listens there
	Prohibited                    // policy forbids it
	TooBig                        // longer than the next link's MTU
	TTLExceeded                   // no hops left
	FragmentsExpired              // not all fragments came in time
	numCauses
)

// causes holds type and code of each cause (RFC 792, RFC 1812 §5.2.7; RFC 4443
// §3).
var causes = [numCauses]struct{ v4, v6 [2]uint8 }{
	NoRoute:          {v4: [2]uint8{icmpUnreachable, 0}, v6: [2]uint8{icmp6Unreachable, 0}},
	NoHost:           {v4: [2]uint8{icmpUnreachable, 1}, v6: [2]uint8{icmp6Unreachable, 3}},
	NoPort:           {v4: [2]uint8{icmpUnreachable, 3}, v6: [2]uint8{icmp6Unreachable, 4}},
	Prohibited:       {v4: [2]uint8{icmpUnreachable, 13}, v6: [2]uint8{icmp6Unreachable, 1}},
	TooBig:           {v4: [2]uint8{icmpUnreachable, 4}, v6: [2]uint8{icmp6PacketTooBig, 0}},
	TTLExceeded:      {v4: [2]uint8{icmpTimeExceeded, 0}, v6: [2]uint8{icmp6TimeExceeded, 0}},
	FragmentsExpired: {v4: [2]uint8{icmpTimeExceeded, 1}, v6: [2]uint8{icmp6TimeExceeded, 1}},
}

// PutError writes an ICMP or ICMPv6 error about p, from an address of ours to
// p's source. It quotes p as it is now, so it comes before any rewrite. mtu is
// told with TooBig only. buf does not overlap p.Frame.
//
// The standards want silence about errors, later fragments and whatever was
// sent to many: there one error would bring forth a storm of them (RFC 1122
// §3.2.2, RFC 4443 §2.4).
func PutError(buf []byte, p *Packet, from Addr, why Cause, mtu int) int {
	if !p.mayComplain() || from.Is4() == p.V6 {
		return 0
	}
	protocol, typ, tos, room := uint8(ICMP), causes[why].v4, uint8(controlTOS), maxError4-ipv4Len-icmpLen
	if p.V6 {
		protocol, typ, tos, room = ICMPv6, causes[why].v6, 0, minMTU6-ipv6Len-icmpLen
	}
	quote := p.Frame[p.L3:]
	quote = quote[:min(len(quote), room)]

	l4 := putIP(buf, &from, &p.Tuple.Src, protocol, tos, icmpLen+len(quote))
	h := (*ICMPHeader)(buf[l4:])
	*h = ICMPHeader{0: typ[0], 1: typ[1]}
	if why == TooBig {
		binary.BigEndian.PutUint32(h[4:8], uint32(mtu)) // RFC 1191 §4 leaves the upper half zero
	}
	n := l4 + icmpLen + copy(buf[l4+icmpLen:], quote)
	s := sumOf(buf[l4:n])
	if p.V6 {
		s += pseudo(&from, &p.Tuple.Src, ICMPv6, n-l4)
	}
	h.setChecksum(s.checksum())
	return n
}

// mayComplain reports whether an error about p may be sent. Of ICMP only an
// echo request is known not to be an error itself.
func (p *Packet) mayComplain() bool {
	if p.Ethernet().Multicast() || multicast(&p.Tuple.Dst) || p.Frag.Offset > 0 {
		return false
	}
	switch p.Kind {
	case ARP, Neighbor, Error:
		return false
	}
	if p.Tuple.Protocol == ICMP || p.Tuple.Protocol == ICMPv6 {
		return p.Kind == Echo
	}
	return true
}

// multicast reports whether a is more than one host, as far as an address
// alone tells.
func multicast(a *Addr) bool { return a[0] == 0xff || a.Is4() && a[12] >= 224 }
