package packet

import "encoding/binary"

// Rewrite gives the packet new endpoints of its own family and carries every
// checksum along: the IPv4 header's and that of TCP, UDP or ICMPv6. Ports are
// ignored where the packet has none, as in a later fragment. p.Tuple follows.
func (p *Packet) Rewrite(src, dst Addr, srcPort, dstPort uint16) {
	d := p.setAddrs(&src, &dst)
	if p.ports {
		ports := setPorts(p.Frame[p.L4:], srcPort, dstPort)
		if !p.Partial { // a partial sum does not cover them yet
			d += ports
		}
		p.Tuple.SrcPort, p.Tuple.DstPort = srcPort, dstPort
	}
	if p.check != 0 {
		p.updateL4(d)
	}
}

// RewriteOuter gives an ICMP error, or any packet, new addresses alone.
func (p *Packet) RewriteOuter(src, dst Addr) {
	if d := p.setAddrs(&src, &dst); p.check != 0 {
		p.updateL4(d)
	}
}

func (p *Packet) setAddrs(src, dst *Addr) (d sum) {
	if p.V6 {
		d = p.IPv6().setAddrs(src, dst)
	} else {
		d = p.IPv4().setAddrs(src, dst)
	}
	p.Tuple.Src, p.Tuple.Dst = *src, *dst
	return d
}

// updateL4 tells the L4 checksum that what it covers gained d.
func (p *Packet) updateL4(d sum) {
	b := (*[2]byte)(p.Frame[p.check:])
	c := binary.BigEndian.Uint16(b[:])
	switch {
	case p.Partial:
		c = updatePartial(c, d)
	case p.Tuple.Protocol == UDP:
		c = updateUDP(c, d)
	default:
		c = update(c, d)
	}
	binary.BigEndian.PutUint16(b[:], c)
}

// setPorts replaces the ports at the front of an L4 header and returns what a
// sum over them gains.
func setPorts(l4 []byte, src, dst uint16) sum {
	b := (*[4]byte)(l4)
	old, new := binary.BigEndian.Uint32(b[:]), uint32(src)<<16|uint32(dst)
	binary.BigEndian.PutUint32(b[:], new)
	return swap32(old, new)
}

// RewriteInner gives the packet that an ICMP error quotes new endpoints. It
// carries along the quoted IPv4 header checksum, the quoted L4 checksum where
// the quote reaches that far, and the error's own checksum, which covers them
// all. The error's own addresses are for [Packet.RewriteOuter].
func (p *Packet) RewriteInner(src, dst Addr, srcPort, dstPort uint16) {
	d, header := p.setInnerAddrs(&src, &dst)
	if p.Inner.ports {
		d += setPorts(p.Frame[p.Inner.L4:], srcPort, dstPort)
		p.Inner.Tuple.SrcPort, p.Inner.Tuple.DstPort = srcPort, dstPort
	}
	d += header + p.updateInnerL4(d)
	if !p.Partial { // a partial sum does not cover the quote yet
		h := p.ICMP()
		h.setChecksum(update(h.checksum(), d))
	}
}

// setInnerAddrs returns what sums over the quoted addresses and over the quoted
// header checksum gain.
func (p *Packet) setInnerAddrs(src, dst *Addr) (d, header sum) {
	in := &p.Inner
	in.Tuple.Src, in.Tuple.Dst = *src, *dst
	if p.V6 {
		return (*IPv6Header)(p.Frame[in.L3:]).setAddrs(src, dst), 0
	}
	h := (*IPv4Header)(p.Frame[in.L3:])
	old := h.checksum()
	d = h.setAddrs(src, dst)
	return d, swap32(uint32(old), uint32(h.checksum()))
}

// updateInnerL4 tells the quoted L4 checksum that what it covers gained d, and
// returns what a sum over that checksum gains by it.
func (p *Packet) updateInnerL4(d sum) sum {
	if p.Inner.check == 0 {
		return 0
	}
	b := (*[2]byte)(p.Frame[p.Inner.check:])
	old := binary.BigEndian.Uint16(b[:])
	new := update(old, d)
	if p.Inner.Tuple.Protocol == UDP {
		new = updateUDP(old, d)
	}
	binary.BigEndian.PutUint16(b[:], new)
	return swap32(uint32(old), uint32(new))
}
