package packet

import "encoding/binary"

// martian4 reports whether src or dst, in host order, can be on no wire: a
// source that is not one host (RFC 1122 §3.2.1.3), or either end loopback or
// unspecified.
func martian4(src, dst uint32) bool {
	s, d := src>>24, dst>>24
	return s == 0 || s == 127 || s >= 224 || d == 0 || d == 127
}

// martian6 is the same for IPv6 (RFC 4291 §2). An IPv4 address in IPv6's
// clothes is refused with them: it would be taken for another Addr.
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
