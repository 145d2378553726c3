package packet

import "encoding/binary"

// What a segmentation super-packet is cut into when no card will do it: what
// the kernel's own segmentation makes, one packet at a time.

// PutSegment writes into buf the packet of a super-packet p whose payload begins
// at offset from of p's: size bytes of it, or what is left. It returns the
// frame's length and where the next one begins, 0 after the last. The L4 checksum
// is partial; the field is where [Packet.ChecksumAt] says of p. p is TCP or UDP
// and no fragment.
func PutSegment(buf []byte, p *Packet, from, size int) (n, next int) {
	data := p.Frame[p.Payload:]
	to := min(from+size, len(data))
	n = copy(buf, p.Frame[:p.Payload])
	n += copy(buf[n:], data[from:to])
	if to < len(data) {
		next = to
	}

	length := n - p.L4
	if p.V6 {
		binary.BigEndian.PutUint16(buf[p.L3+4:], uint16(n-p.L3-ipv6Len))
	} else {
		h := (*IPv4Header)(buf[p.L3:])
		binary.BigEndian.PutUint16(h[2:4], uint16(n-p.L3))
		binary.BigEndian.PutUint16(h[4:6], h.ID()+uint16(from/size))
		h.setChecksum(0)
		h.setChecksum(sumOf(buf[p.L3:p.L4]).checksum())
	}
	if p.Tuple.Protocol == UDP {
		binary.BigEndian.PutUint16(buf[p.L4+4:], uint16(length))
	} else {
		(*TCPHeader)(buf[p.L4:]).beSegment(uint32(from), from == 0, next == 0)
	}
	owed := pseudo(&p.Tuple.Src, &p.Tuple.Dst, p.Tuple.Protocol, length)
	binary.BigEndian.PutUint16(buf[p.check:], owed.fold())
	return n, next
}

// Segments says whether PutSegment can cut p.
func (p *Packet) Segments() bool { return p.Kind == Flow && p.check != 0 }

// ChecksumAt is the offset of the L4 checksum in the frame.
func (p *Packet) ChecksumAt() int { return p.check }

// beSegment makes a super-packet's TCP header that of one of its segments: FIN
// and PSH are the last one's (RFC 9293), CWR is the first one's (RFC 3168 §6.1.2).
func (h *TCPHeader) beSegment(offset uint32, first, last bool) {
	binary.BigEndian.PutUint32(h[4:8], h.Seq()+offset)
	if !last {
		h[13] &^= FlagFIN | FlagPSH
	}
	if !first {
		h[13] &^= FlagCWR
	}
}
