package packet

import "encoding/binary"

// minQuote is how much of a TCP or UDP header an ICMP error shows at least
// (RFC 792): the ports, and for TCP the sequence number.
const minQuote = 8

// parseQuote reads the packet that an ICMP error quotes. Its length is not
// checked, for it is cut off, nor its checksum, for its TTL may have been
// changed by a router that did not care.
func (p *Packet) parseQuote() Fault {
	p.Inner = Inner{L3: p.Payload}
	if p.V6 {
		return p.Inner.parse6(p.Frame)
	}
	return p.Inner.parse4(p.Frame)
}

// parse4 reads the IPv4 packet at in.L3 of a frame.
func (in *Inner) parse4(frame []byte) Fault {
	b := frame[in.L3:]
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
	return in.parseL4(frame)
}

// parse6 reads the IPv6 packet at in.L3 of a frame.
func (in *Inner) parse6(frame []byte) Fault {
	b := frame[in.L3:]
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
	return in.parseL4(frame)
}

func (in *Inner) parseL4(frame []byte) Fault {
	if in.L4 > len(frame) {
		return BadQuote
	}
	if in.Fragment {
		return None
	}
	switch in.Tuple.Protocol {
	case TCP:
		return in.parsePorts(frame, 16)
	case UDP:
		return in.parsePorts(frame, 6)
	case ICMPv6:
		if !in.Tuple.Src.Is4() {
			in.cover(frame, 2)
		}
	}
	return None // no flow of ours: less may be shown of it
}

func (in *Inner) parsePorts(frame []byte, checksum int) Fault {
	if len(frame)-in.L4 < minQuote {
		return BadQuote
	}
	b := (*[minQuote]byte)(frame[in.L4:])
	in.ports = true
	in.Tuple.SrcPort = binary.BigEndian.Uint16(b[0:2])
	in.Tuple.DstPort = binary.BigEndian.Uint16(b[2:4])
	in.cover(frame, checksum)
	return None
}

// cover notes where the quoted L4 checksum stands, if the quote reaches so far.
func (in *Inner) cover(frame []byte, checksum int) {
	if at := in.L4 + checksum; at+2 <= len(frame) {
		in.check = at
	}
}
