package packet

import "encoding/binary"

// minQuote is how much of the offending packet's L4 header an ICMP error shows
// at least (RFC 792): the ports, and for TCP the sequence number.
const minQuote = 8

// parseQuote4 reads the packet that an ICMP error quotes. Its length is not
// checked, for it is cut off, nor its checksum, for its TTL may have been
// changed by a router that did not care.
func (p *Packet) parseQuote4() Fault {
	p.Inner = Inner{L3: p.Payload}
	in := &p.Inner
	b := p.Frame[in.L3:]
	if len(b) < ipv4Len {
		return BadQuote
	}
	h := (*IPv4Header)(b)
	if h.version() != 4 || h.len() < ipv4Len {
		return BadQuote
	}
	in.Tuple = Tuple{Src: h.Src(), Dst: h.Dst(), Protocol: h.Protocol()}
	in.L4 = in.L3 + h.len()
	in.Fragment = h.fragment()&0x1fff != 0
	return p.parseQuotedL4()
}

func (p *Packet) parseQuote6() Fault {
	p.Inner = Inner{L3: p.Payload}
	in := &p.Inner
	b := p.Frame[in.L3:]
	if len(b) < ipv6Len {
		return BadQuote
	}
	h := (*IPv6Header)(b)
	if h.version() != 6 {
		return BadQuote
	}
	b = b[ipv6Len:]
	c, fault := extensions(b, h.NextHeader())
	if fault != None {
		return BadQuote
	}
	in.Tuple = Tuple{Src: h.Src(), Dst: h.Dst(), Protocol: c.protocol}
	in.L4 = in.L3 + ipv6Len + c.len
	in.Fragment = c.frag >= 0 && fragmentOffset((*[minExtension]byte)(b[c.frag:])) > 0
	return p.parseQuotedL4()
}

func (p *Packet) parseQuotedL4() Fault {
	in := &p.Inner
	if len(p.Frame)-in.L4 < minQuote {
		return BadQuote
	}
	if in.Fragment {
		return None
	}
	b := (*[minQuote]byte)(p.Frame[in.L4:])
	switch in.Tuple.Protocol {
	case TCP:
		in.check = in.L4 + 16
	case UDP:
		in.check = in.L4 + 6
	case ICMPv6:
		if p.V6 {
			in.check = in.L4 + 2
		}
		fallthrough
	default:
		return None
	}
	if in.check+2 > len(p.Frame) {
		in.check = 0
	}
	in.ports = true
	in.Tuple.SrcPort = binary.BigEndian.Uint16(b[0:2])
	in.Tuple.DstPort = binary.BigEndian.Uint16(b[2:4])
	return None
}
