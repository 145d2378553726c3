package packet

import "encoding/binary"

const icmpLen = 8

// ICMP types (RFC 792) and ICMPv6 types (RFC 4443, RFC 4861) that Parse knows.
const (
	icmpEchoReply    = 0
	icmpUnreachable  = 3
	icmpEcho         = 8
	icmpTimeExceeded = 11
	icmpParameter    = 12

	icmp6Unreachable   = 1
	icmp6PacketTooBig  = 2
	icmp6TimeExceeded  = 3
	icmp6Parameter     = 4
	icmp6Echo          = 128
	icmp6EchoReply     = 129
	icmp6Solicitation  = 135
	icmp6Advertisement = 136
)

// ICMPHeader is the first eight bytes of an ICMP or ICMPv6 message, viewed in
// place. What the last four say depends on the type.
type ICMPHeader [icmpLen]byte

func (h *ICMPHeader) Type() uint8 { return h[0] }
func (h *ICMPHeader) Code() uint8 { return h[1] }

func (h *ICMPHeader) checksum() uint16     { return binary.BigEndian.Uint16(h[2:4]) }
func (h *ICMPHeader) setChecksum(c uint16) { binary.BigEndian.PutUint16(h[2:4], c) }

func (p *Packet) parseICMP(b []byte) Fault {
	if len(b) < icmpLen {
		return TooShort
	}
	p.Payload = p.L4 + icmpLen
	switch (*ICMPHeader)(b).Type() {
	case icmpUnreachable, icmpTimeExceeded, icmpParameter:
		p.Kind = Error
		return p.parseQuote()
	case icmpEcho:
		p.Kind = Echo
	default:
		p.Kind = Other
	}
	return None
}

func (p *Packet) parseICMPv6(b []byte) Fault {
	if len(b) < icmpLen {
		return TooShort
	}
	p.Payload = p.L4 + icmpLen
	p.check = p.L4 + 2
	switch (*ICMPHeader)(b).Type() {
	case icmp6Unreachable, icmp6PacketTooBig, icmp6TimeExceeded, icmp6Parameter:
		p.Kind = Error
		return p.parseQuote()
	case icmp6Echo:
		p.Kind = Echo
	case icmp6Solicitation, icmp6Advertisement:
		p.Kind = Neighbor
		return p.checkNeighbor()
	default:
		p.Kind = Other
	}
	return None
}
