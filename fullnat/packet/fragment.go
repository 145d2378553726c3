package packet

// parseFragment reads a packet that is part of one. The first part must show
// its whole L4 header, and no later one may reach into it (RFC 1858 §3, RFC 7112):
// else a filter decides on less than the receiver will see.
func (p *Packet) parseFragment() Fault {
	p.Kind, p.Payload = Fragment, p.L4
	n := len(p.Frame) - p.L4
	if n == 0 || p.Frag.More && n%8 != 0 || int(p.Frag.Offset)+n > 0xffff {
		return BadFragment
	}
	if p.Frag.Offset > 0 {
		if p.Tuple.Protocol == TCP && p.Frag.Offset < tcpLen {
			return BadFragment
		}
		return None
	}
	b := p.Frame[p.L4:]
	fault := None
	switch {
	case p.Tuple.Protocol == TCP:
		fault = p.parseTCP(b)
	case p.Tuple.Protocol == UDP:
		fault = p.parseUDP(b)
	case p.Tuple.Protocol == ICMPv6 && p.V6:
		p.check = p.L4 + 2 // eight bytes at least are here
	}
	if fault == TooShort {
		return BadFragment
	}
	return fault
}
