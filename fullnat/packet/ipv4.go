package packet

import "encoding/binary"

const ipv4Len = 20

// IPv4Header is the fixed part of an IPv4 header, viewed in place (RFC 791
// §3.1).
//
// Only [Parse] makes one, after proving that the frame holds all of it, so the
// accessors check nothing: the array type has already moved every bounds check
// to compile time. Options, if any, follow in the frame and are left alone.
type IPv4Header [ipv4Len]byte

func (h *IPv4Header) TOS() uint8         { return h[1] }
func (h *IPv4Header) ID() uint16         { return binary.BigEndian.Uint16(h[4:6]) }
func (h *IPv4Header) DontFragment() bool { return h[6]&0x40 != 0 }
func (h *IPv4Header) TTL() uint8         { return h[8] }
func (h *IPv4Header) Protocol() uint8    { return h[9] }
func (h *IPv4Header) Src() Addr          { return mapped(h.src()) }
func (h *IPv4Header) Dst() Addr          { return mapped(h.dst()) }

func (h *IPv4Header) version() uint8   { return h[0] >> 4 }
func (h *IPv4Header) len() int         { return int(h[0]&0x0f) * 4 }
func (h *IPv4Header) totalLen() int    { return int(binary.BigEndian.Uint16(h[2:4])) }
func (h *IPv4Header) fragment() uint16 { return binary.BigEndian.Uint16(h[6:8]) } // flags and offset
func (h *IPv4Header) checksum() uint16 { return binary.BigEndian.Uint16(h[10:12]) }
func (h *IPv4Header) src() uint32      { return binary.BigEndian.Uint32(h[12:16]) }
func (h *IPv4Header) dst() uint32      { return binary.BigEndian.Uint32(h[16:20]) }

func (h *IPv4Header) setChecksum(c uint16) { binary.BigEndian.PutUint16(h[10:12], c) }

// sum adds up the fixed header, checksum included.
func (h *IPv4Header) sum() sum {
	return sum(binary.BigEndian.Uint32(h[0:4])) + sum(binary.BigEndian.Uint32(h[4:8])) +
		sum(binary.BigEndian.Uint32(h[8:12])) + sum(h.src()) + sum(h.dst())
}

// setAddrs replaces both addresses, keeps the header checksum true, and
// returns what a sum over the addresses gains.
func (h *IPv4Header) setAddrs(src, dst *Addr) sum {
	d := swap32(h.src(), src.v4()) + swap32(h.dst(), dst.v4())
	h.setChecksum(update(h.checksum(), d))
	copy(h[12:16], src[12:])
	copy(h[16:20], dst[12:])
	return d
}

// setTTL keeps the header checksum true. TTL and protocol share a word.
func (h *IPv4Header) setTTL(ttl uint8) {
	d := swap32(uint32(h[8])<<8, uint32(ttl)<<8)
	h.setChecksum(update(h.checksum(), d))
	h[8] = ttl
}

// mayCut lets routers cut a packet that was made not to be cut.
func (h *IPv4Header) mayCut(id uint16) {
	binary.BigEndian.PutUint32(h[4:8], uint32(id)<<16)
	h.setChecksum(0)
	h.setChecksum(h.sum().checksum())
}
