package packet

import "encoding/binary"

const (
	neighborLen = 24
	ndSourceMAC = 1 // options, RFC 4861 §4.6.1
	ndTargetMAC = 2
)

// NeighborHeader is a neighbour solicitation or advertisement, viewed in place
// (RFC 4861 §4.3, §4.4). Options follow in the frame.
type NeighborHeader [neighborLen]byte

// Solicitation reports whether somebody asks, rather than answers.
func (h *NeighborHeader) Solicitation() bool { return h[0] == icmp6Solicitation }
func (h *NeighborHeader) Target() Addr       { return Addr(h[8:24]) }

// checkNeighbor applies the rules by which every node must judge a neighbour
// message before it believes it (RFC 4861 §7.1). The hop limit is the heart of
// them: 255 cannot have come from beyond the link.
func (p *Packet) checkNeighbor() Fault {
	b := p.Frame[p.L4:]
	if len(b) < neighborLen || p.IPv6().HopLimit() != 255 || p.ICMP().Code() != 0 {
		return BadNeighbor
	}
	h := p.Neighbor()
	target := h.Target()
	if target[0] == 0xff {
		return BadNeighbor
	}
	if !p.Partial && (sumOf(b)+pseudo(&p.Tuple.Src, &p.Tuple.Dst, ICMPv6, len(b))).fold() != 0xffff {
		return BadNeighbor
	}
	unspecified := p.Tuple.Src == Addr{}
	if unspecified && !(h.Solicitation() && solicitedNode(&p.Tuple.Dst)) {
		return BadNeighbor
	}
	for b = b[neighborLen:]; len(b) > 0; {
		if len(b) < 8 || b[1] == 0 || int(b[1])*8 > len(b) {
			return BadNeighbor
		}
		if b[0] == ndSourceMAC && unspecified {
			return BadNeighbor
		}
		b = b[int(b[1])*8:]
	}
	return None
}

// solicitedNode reports whether a is in ff02::1:ff00:0/104.
func solicitedNode(a *Addr) bool {
	return binary.BigEndian.Uint64(a[:8]) == 0xff02<<48 && binary.BigEndian.Uint32(a[8:12]) == 1 && a[12] == 0xff
}
