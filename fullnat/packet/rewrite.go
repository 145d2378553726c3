package packet

import "encoding/binary"

// Rewrite gives the packet new endpoints of its own family and carries every
// checksum along: the IPv4 header's and that of TCP, UDP or ICMPv6. Ports are
// ignored where the packet has none, as in a later fragment. p.Tuple follows.
func (p *Packet) Rewrite(src, dst Addr, srcPort, dstPort uint16) {
	d := p.setAddrs(&src, &dst)
	if p.ports {
		b := (*[4]byte)(p.Frame[p.L4:])
		new := uint32(srcPort)<<16 | uint32(dstPort)
		if !p.Partial { // then the sum does not cover the ports yet
			d += swap32(binary.BigEndian.Uint32(b[:]), new)
		}
		binary.BigEndian.PutUint32(b[:], new)
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

// RewriteInner gives the packet that an ICMP error quotes new endpoints. It
// carries along the quoted IPv4 header checksum, the quoted L4 checksum where
// the quote reaches that far, and the error's own checksum, which covers them
// all. The error's own addresses are for [Packet.RewriteOuter].
func (p *Packet) RewriteInner(src, dst Addr, srcPort, dstPort uint16) {
	in := &p.Inner
	var d, own sum // what sums over the pseudo-header and ports, and over the quote, gain
	if p.V6 {
		d = (*IPv6Header)(p.Frame[in.L3:]).setAddrs(&src, &dst)
		own = d
	} else {
		h := (*IPv4Header)(p.Frame[in.L3:])
		c := h.checksum()
		d = h.setAddrs(&src, &dst)
		own = d + swap32(uint32(c), uint32(h.checksum()))
	}
	in.Tuple.Src, in.Tuple.Dst = src, dst
	if in.ports {
		b := (*[4]byte)(p.Frame[in.L4:])
		new := uint32(srcPort)<<16 | uint32(dstPort)
		ports := swap32(binary.BigEndian.Uint32(b[:]), new)
		binary.BigEndian.PutUint32(b[:], new)
		in.Tuple.SrcPort, in.Tuple.DstPort = srcPort, dstPort
		d += ports
		own += ports
	}
	if in.check != 0 {
		b := (*[2]byte)(p.Frame[in.check:])
		old := binary.BigEndian.Uint16(b[:])
		new := update(old, d)
		if in.Tuple.Protocol == UDP {
			new = updateUDP(old, d)
		}
		binary.BigEndian.PutUint16(b[:], new)
		own += swap32(uint32(old), uint32(new))
	}
	if !p.Partial { // then the sum does not cover the quote yet
		h := p.ICMP()
		h.setChecksum(update(h.checksum(), own))
	}
}
