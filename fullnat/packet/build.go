package packet

import "encoding/binary"

// The Put functions write a whole frame into a buffer that holds MaxBuilt bytes
// and return its length, or 0 if the standards want silence. Checksums are
// complete. The Ethernet addresses of what must first be routed are left zero,
// for the next hop to fill in.

// MaxBuilt is the length of the longest frame that a Put function writes: an
// ICMPv6 error of the minimum MTU.
const MaxBuilt = ethernetLen + minMTU6

const (
	minMTU6    = 1280 // RFC 8200 §5
	maxError4  = 576  // what every IPv4 host takes, RFC 1812 §4.3.2.3
	originTTL  = 64   // RFC 1700
	controlTOS = 0xc0 // precedence of errors, RFC 1812 §4.3.2.5
)

// putEthernet starts a frame without addresses.
func putEthernet(buf []byte, etherType uint16) *EthernetHeader {
	h := (*EthernetHeader)(buf)
	*h = EthernetHeader{}
	h.setType(etherType)
	return h
}

// putIP starts a frame of src's family that shall carry n bytes, and returns
// where those begin. DF with ID 0 says that it will not be cut (RFC 6864 §4.1).
func putIP(buf []byte, src, dst *Addr, protocol, tos uint8, n int) int {
	if src.Is4() {
		putEthernet(buf, EtherTypeIPv4)
		h := (*IPv4Header)(buf[ethernetLen:])
		*h = IPv4Header{0: 0x45, 1: tos, 6: 0x40, 8: originTTL, 9: protocol}
		binary.BigEndian.PutUint16(h[2:4], uint16(ipv4Len+n))
		copy(h[12:16], src[12:])
		copy(h[16:20], dst[12:])
		h.setChecksum(h.sum().checksum())
		return ethernetLen + ipv4Len
	}
	putEthernet(buf, EtherTypeIPv6)
	h := (*IPv6Header)(buf[ethernetLen:])
	*h = IPv6Header{0: 0x60 | tos>>4, 1: tos << 4, 6: protocol, 7: originTTL}
	binary.BigEndian.PutUint16(h[4:6], uint16(n))
	copy(h[8:24], src[:])
	copy(h[24:40], dst[:])
	return ethernetLen + ipv6Len
}
