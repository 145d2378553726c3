package packet

import "encoding/binary"

// Floors of a path MTU that an error may announce. Below them nobody gains but
// who forges such errors to make others send dust: Linux takes 552 for IPv4,
// and no IPv6 link is narrower than 1280 (RFC 8200 §5).
const minPathMTU4 = 552

// RaiseMTU lifts the MTU that an ICMP error announces to the floor of its
// family, and keeps the error's checksum true. Other errors stay as they are.
func (p *Packet) RaiseMTU() {
	h := p.ICMP()
	at, floor := 6, uint16(minPathMTU4)
	switch {
	case p.V6 && h.Type() == icmp6PacketTooBig:
		if binary.BigEndian.Uint16(h[4:6]) != 0 { // beyond 65535 bytes
			return
		}
		floor = minMTU6
	case p.V6 || [2]uint8{h.Type(), h.Code()} != causes[TooBig].v4:
		return
	}
	old := binary.BigEndian.Uint16(h[at:])
	if old >= floor || old == 0 && !p.V6 { // 0: from a router older than RFC 1191
		return
	}
	binary.BigEndian.PutUint16(h[at:], floor)
	if !p.Partial {
		h.setChecksum(update(h.checksum(), swap32(uint32(old), uint32(floor))))
	}
}
