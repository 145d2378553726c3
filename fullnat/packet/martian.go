package packet

import "encoding/binary"

// Addresses no packet on a wire can have: a source that is not one host
// (RFC 1122 §3.2.1.3, RFC 4291 §2.7), and either end loopback, or unspecified,
// or an IPv4 address in IPv6's clothes (which would be taken for another Addr).

func martian4(src, dst uint32) bool {
	s, d := src>>24, dst>>24
	return s == 0 || s == 127 || s >= 224 || d == 0 || d == 127
}

func martian6(src, dst *Addr) bool {
	return src[0] == 0xff || special6(src) || special6(dst)
}

// special6 covers ::/96 (unspecified, loopback, deprecated forms) and
// ::ffff:0:0/96.
func special6(a *Addr) bool {
	if binary.BigEndian.Uint64(a[:8]) != 0 {
		return false
	}
	w := binary.BigEndian.Uint32(a[8:12])
	return w == 0 || w == 0xffff
}
