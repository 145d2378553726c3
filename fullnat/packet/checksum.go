package packet

import (
	"encoding/binary"
	"math/bits"
)

// A sum is a one's complement sum of 16-bit words, kept unfolded in 64 bits.
// Adding a 32-bit word adds its two halves, for 2^16 is 1 modulo 2^16-1; there
// is room for 2^32 such words.
type sum uint64

// fold adds the carries back until 16 bits are left. Only a sum of zeros folds
// to zero.
func (s sum) fold() uint16 {
	// Adding the halves crosswise leaves the carried sum in the upper half.
	w := uint32((s + sum(bits.RotateLeft64(uint64(s), 32))) >> 32)
	return uint16((w + bits.RotateLeft32(w, 16)) >> 16)
}

// checksum is the sum as the wire wants it.
func (s sum) checksum() uint16 { return ^s.fold() }

// sumOf adds up b as RFC 1071 does; an odd last byte is padded with zero.
func sumOf(b []byte) (s sum) {
	for len(b) >= 16 {
		s += sum(binary.BigEndian.Uint32(b)) + sum(binary.BigEndian.Uint32(b[4:])) +
			sum(binary.BigEndian.Uint32(b[8:])) + sum(binary.BigEndian.Uint32(b[12:]))
		b = b[16:]
	}
	for len(b) >= 2 {
		s += sum(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		s += sum(b[0]) << 8
	}
	return s
}

// pseudo is the sum of the pseudo-header. That of IPv4 (RFC 9293 §3.1) and of
// IPv6 (RFC 8200 §8.1) differ in layout but not in sum, and the mapped prefix
// adds 0xffff, which is nothing.
func pseudo(src, dst *Addr, protocol uint8, length int) sum {
	return sumOf(src[:]) + sumOf(dst[:]) + sum(protocol) + sum(length)
}

// swap32 is what a sum gains when a word it covers changes from old to new.
func swap32(old, new uint32) sum { return sum(^old) + sum(new) }

// swap128 is the same for a whole address.
func swap128(old, new *[16]byte) sum {
	s, c := bits.Add64(^binary.BigEndian.Uint64(old[:]), ^binary.BigEndian.Uint64(old[8:]), 0)
	s, c = bits.Add64(s, binary.BigEndian.Uint64(new[:]), c)
	s, c = bits.Add64(s, binary.BigEndian.Uint64(new[8:]), c)
	s, c = bits.Add64(s, 0, c)
	s += c
	return sum(s>>32) + sum(s&0xffffffff) // room for the next to be added
}

// update returns checksum c after what it covers gained d. This is equation 3
// of RFC 1624; the older equation of RFC 1141 yields 0xffff where the right
// answer is 0x0000.
func update(c uint16, d sum) uint16 { return (sum(^c) + d).checksum() }

// updatePartial returns the uncomplemented partial sum c after the
// pseudo-header gained d.
func updatePartial(c uint16, d sum) uint16 { return (sum(c) + d).fold() }

// updateUDP is update for UDP, whose zero says that there is no checksum: none
// stays none, and a zero that was computed is sent as its twin (RFC 768).
func updateUDP(c uint16, d sum) uint16 {
	if c == 0 {
		return 0
	}
	if c = update(c, d); c == 0 {
		return 0xffff
	}
	return c
}
