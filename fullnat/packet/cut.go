package packet

import "encoding/binary"

// CompleteChecksum turns a partial L4 checksum into a whole one, for a packet
// that will leave in a form whose checksum no card can complete.
func (p *Packet) CompleteChecksum() {
	if !p.Partial || p.check == 0 {
		return
	}
	p.Partial = false
	// The field holds the pseudo-header's sum, which the sum over all of the
	// segment takes in as it stands.
	c := sumOf(p.Frame[p.L4:]).checksum()
	if c == 0 && p.Tuple.Protocol == UDP {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(p.Frame[p.check:], c)
}

// PutFragment writes into buf the fragment of p, an IPv4 packet without options
// that may be cut (RFC 791 §3.2), whose data begins at offset from of p's own
// data: as much as an mtu allows. It returns the frame's length and where the
// next fragment begins, 0 after the last. p may be a fragment itself. Its
// checksums are complete.
func PutFragment(buf []byte, p *Packet, from, mtu int) (n, next int) {
	data := p.Frame[p.L3+ipv4Len:]
	room := (mtu - ipv4Len) &^ 7 // all but the last come in eighths
	to := min(from+room, len(data))
	n = copy(buf, p.Frame[:p.L3+ipv4Len])
	n += copy(buf[n:], data[from:to])

	h := (*IPv4Header)(buf[p.L3:])
	field := h.fragment() + uint16(from/8)
	if to < len(data) {
		field |= 0x2000
		next = to
	}
	binary.BigEndian.PutUint16(h[2:4], uint16(ipv4Len+to-from))
	binary.BigEndian.PutUint16(h[6:8], field)
	h.setChecksum(0)
	h.setChecksum(h.sum().checksum())
	return n, next
}

// Cuttable reports whether a router may cut the packet up.
func (p *Packet) Cuttable() bool {
	return !p.V6 && !p.IPv4().DontFragment() && p.IPv4().len() == ipv4Len
}
