package packet

import "encoding/binary"

// Parse fills p with a view of frame, which it neither changes nor keeps beyond
// p. partial says that the L4 checksum is CHECKSUM_PARTIAL. If there is a fault,
// p says nothing.
//
// The steps below stand in the order in which a packet meets them.
func Parse(frame []byte, partial bool, p *Packet) Fault {
	if len(frame) < ethernetLen {
		return TooShort
	}
	p.reset(frame, partial)
	switch (*EthernetHeader)(frame).Type() {
	case EtherTypeIPv4:
		return p.parseIPv4()
	case EtherTypeIPv6:
		return p.parseIPv6()
	case EtherTypeARP:
		return p.parseARP()
	}
	return NotIP
}

// reset empties p but for Inner, which is most of it and seldom used.
func (p *Packet) reset(frame []byte, partial bool) {
	p.Frame, p.Partial, p.V6, p.Kind, p.Flags = frame, partial, false, Flow, 0
	p.Tuple.SrcPort, p.Tuple.DstPort, p.Tuple.Protocol = 0, 0, 0
	p.Frag.ID, p.Frag.Offset, p.Frag.More = 0, 0, false
	p.L3, p.ports, p.check = ethernetLen, false, 0
}

func (p *Packet) parseIPv4() Fault {
	b := p.Frame[ethernetLen:]
	if len(b) < ipv4Len {
		return TooShort
	}
	h := (*IPv4Header)(b)
	headerLen, totalLen := h.len(), h.totalLen()
	if h.version() != 4 {
		return BadVersion
	}
	if headerLen < ipv4Len {
		return BadIHL
	}
	if totalLen < headerLen || totalLen > len(b) {
		return BadLength
	}
	s := h.sum()
	if headerLen > ipv4Len {
		s += sumOf(b[ipv4Len:headerLen])
	}
	if s.fold() != 0xffff {
		return BadChecksum
	}
	if headerLen > ipv4Len {
		if fault := checkOptions(b[ipv4Len:headerLen]); fault != None {
			return fault
		}
	}
	src, dst := h.src(), h.dst()
	if martian4(src, dst) {
		return Martian
	}
	if src == dst {
		return Land
	}
	p.Frame = p.Frame[:ethernetLen+totalLen]
	p.L4 = ethernetLen + headerLen
	p.Tuple.Src.set4(src)
	p.Tuple.Dst.set4(dst)
	p.Tuple.Protocol = h.Protocol()
	if f := h.fragment(); f&0x3fff != 0 { // more to come, or not the first
		p.Frag.ID, p.Frag.Offset, p.Frag.More = uint32(h.ID()), f<<3, f&0x2000 != 0
		return p.parseFragment()
	}
	return p.parseL4()
}

func (p *Packet) parseIPv6() Fault {
	b := p.Frame[ethernetLen:]
	if len(b) < ipv6Len {
		return TooShort
	}
	h := (*IPv6Header)(b)
	if h.version() != 6 {
		return BadVersion
	}
	payloadLen := h.payloadLen()
	if payloadLen == 0 && h.NextHeader() == hopByHop { // RFC 2675 §2
		return Jumbogram
	}
	if payloadLen > len(b)-ipv6Len {
		return BadLength
	}
	p.V6 = true
	p.Frame = p.Frame[:ethernetLen+ipv6Len+payloadLen]
	p.L4 = ethernetLen + ipv6Len
	p.Tuple.Src, p.Tuple.Dst = h.Src(), h.Dst()
	p.Tuple.Protocol = h.NextHeader()
	if martian6(&p.Tuple.Src, &p.Tuple.Dst) && !p.mayAskForAddress() {
		return Martian
	}
	if p.Tuple.Src == p.Tuple.Dst {
		return Land
	}
	if isExtension(p.Tuple.Protocol) {
		return p.parseExtensions()
	}
	return p.parseL4()
}

// mayAskForAddress reports whether a packet from :: may be that of a host which
// asks whether the address it wants is taken (RFC 4862 §5.4.2). That is the
// one packet from :: that concerns us.
func (p *Packet) mayAskForAddress() bool {
	return p.Tuple.Src == Addr{} && p.Tuple.Dst[0] == 0xff && p.Tuple.Protocol == ICMPv6 &&
		len(p.Frame) > p.L4 && p.Frame[p.L4] == icmp6Solicitation
}

func (p *Packet) parseExtensions() Fault {
	b := p.Frame[p.L4:]
	c, fault := extensions(b, p.Tuple.Protocol)
	if fault != None {
		return fault
	}
	p.L4 += c.len
	p.Tuple.Protocol = c.protocol
	if c.frag >= 0 {
		f := (*[minExtension]byte)(b[c.frag:])
		p.Frag.ID = binary.BigEndian.Uint32(f[4:8])
		p.Frag.Offset, p.Frag.More = fragmentOffset(f), f[3]&1 != 0
		if p.Frag.Offset > 0 || p.Frag.More { // else it is whole (RFC 6946)
			return p.parseFragment()
		}
	}
	return p.parseL4()
}

// parseL4 reads what a whole packet carries.
func (p *Packet) parseL4() Fault {
	b := p.Frame[p.L4:]
	switch {
	case p.Tuple.Protocol == TCP:
		return p.parseTCP(b)
	case p.Tuple.Protocol == UDP:
		return p.parseUDP(b)
	case p.Tuple.Protocol == ICMP && !p.V6:
		return p.parseICMP(b)
	case p.Tuple.Protocol == ICMPv6 && p.V6:
		return p.parseICMPv6(b)
	}
	p.Kind, p.Payload = Other, p.L4
	return None
}

func (p *Packet) parseTCP(b []byte) Fault {
	if len(b) < tcpLen {
		return TooShort
	}
	h := (*TCPHeader)(b)
	n := h.len()
	if n < tcpLen || n > len(b) {
		return BadTCPOffset
	}
	p.Tuple.SrcPort, p.Tuple.DstPort = h.SrcPort(), h.DstPort()
	p.Flags = h.Flags()
	p.Payload = p.L4 + n
	p.check, p.ports = p.L4+16, true
	return None
}

func (p *Packet) parseUDP(b []byte) Fault {
	if len(b) < udpLen {
		return TooShort
	}
	h := (*UDPHeader)(b)
	// Bytes after the datagram's end are allowed (RFC 9868). Those of later
	// fragments are not here yet.
	if n := h.len(); n < udpLen || n > len(b) && p.Kind != Fragment {
		return BadUDPLength
	}
	p.Tuple.SrcPort, p.Tuple.DstPort = h.SrcPort(), h.DstPort()
	p.Payload = p.L4 + udpLen
	p.check, p.ports = p.L4+6, true
	return None
}
