package packet

import "encoding/binary"

const (
	arpLen     = 28
	arpRequest = 1
	arpReply   = 2
)

// ARPHeader is an ARP message for IPv4 over Ethernet, viewed in place
// (RFC 826).
type ARPHeader [arpLen]byte

// Request reports whether somebody asks, rather than answers or announces.
func (h *ARPHeader) Request() bool      { return h.operation() == arpRequest }
func (h *ARPHeader) SenderMAC() [6]byte { return [6]byte(h[8:14]) }
func (h *ARPHeader) Sender() Addr       { return mapped(binary.BigEndian.Uint32(h[14:18])) }
func (h *ARPHeader) Target() Addr       { return mapped(binary.BigEndian.Uint32(h[24:28])) }

func (h *ARPHeader) operation() uint16 { return binary.BigEndian.Uint16(h[6:8]) }

// arpStart is hardware Ethernet, protocol IPv4, and the lengths of both
// addresses: the only ARP there is.
var arpStart = [6]byte{0, 1, 8, 0, 6, 4}

func (p *Packet) parseARP() Fault {
	b := p.Frame[ethernetLen:]
	if len(b) < arpLen {
		return TooShort
	}
	h := (*ARPHeader)(b)
	if op := h.operation(); [6]byte(h[:6]) != arpStart || op != arpRequest && op != arpReply {
		return BadARP
	}
	p.Frame = p.Frame[:ethernetLen+arpLen]
	p.Kind = ARP
	p.L4, p.Payload = len(p.Frame), len(p.Frame)
	p.Tuple.Src, p.Tuple.Dst = h.Sender(), h.Target()
	return None
}
