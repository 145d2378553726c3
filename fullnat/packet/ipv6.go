package packet

import "encoding/binary"

const ipv6Len = 40

// IPv6Header is the fixed IPv6 header, viewed in place (RFC 8200 §3).
// Extension headers follow in the frame and are left alone.
type IPv6Header [ipv6Len]byte

func (h *IPv6Header) NextHeader() uint8 { return h[6] }
func (h *IPv6Header) HopLimit() uint8   { return h[7] }
func (h *IPv6Header) Src() Addr         { return Addr(h[8:24]) }
func (h *IPv6Header) Dst() Addr         { return Addr(h[24:40]) }

// TrafficClass is what TOS is in IPv4.
func (h *IPv6Header) TrafficClass() uint8 { return h[0]<<4 | h[1]>>4 }

func (h *IPv6Header) version() uint8  { return h[0] >> 4 }
func (h *IPv6Header) payloadLen() int { return int(binary.BigEndian.Uint16(h[4:6])) }

func (h *IPv6Header) setHopLimit(n uint8) { h[7] = n }

// setAddrs replaces both addresses and returns what a sum over them gains.
func (h *IPv6Header) setAddrs(src, dst *Addr) sum {
	d := swap128((*[16]byte)(h[8:24]), (*[16]byte)(src)) +
		swap128((*[16]byte)(h[24:40]), (*[16]byte)(dst))
	copy(h[8:24], src[:])
	copy(h[24:40], dst[:])
	return d
}
