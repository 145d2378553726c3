package packet

import "encoding/binary"

// minQuote is how much of a TCP or UDP header an ICMP error shows at least
// (RFC 792): the ports, and for TCP the sequence number.
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
	if in.L4 > len(p.Frame) {
		return BadQuote
	}
	if in.Fragment {
		return None
	}
	switch in.Tuple.Protocol {
	case TCP:
		return p.parseQuotedPorts(16)
	case UDP:
		return p.parseQuotedPorts(6)
	case ICMPv6:
		if p.V6 {
			p.coverQuoted(2)
		}
	}
	return None // no flow of ours: less may be shown of it
}

func (p *Packet) parseQuotedPorts(checksum int) Fault {
	in := &p.Inner
	if len(p.Frame)-in.L4 < minQuote {
		return BadQuote
	}
	b := (*[minQuote]byte)(p.Frame[in.L4:])
	in.ports = true
	in.Tuple.SrcPort = binary.BigEndian.Uint16(b[0:2])
	in.Tuple.DstPort = binary.BigEndian.Uint16(b[2:4])
	p.coverQuoted(checksum)
	return None
}

// coverQuoted notes where the quoted L4 checksum stands, if the quote reaches
// so far.
func (p *Packet) coverQuoted(checksum int) {
	if at := p.Inner.L4 + checksum; at+2 <= len(p.Frame) {
		p.Inner.check = at
	}
}
