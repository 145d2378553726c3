package packettest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

var be = binary.BigEndian

// icmpWords names type and code of what both families can say.
var icmpWords = map[string]struct{ v4, v6 [2]byte }{
	"echo":              {[2]byte{8, 0}, [2]byte{128, 0}},
	"echo-reply":        {[2]byte{0, 0}, [2]byte{129, 0}},
	"no-route":          {[2]byte{3, 0}, [2]byte{1, 0}},
	"no-host":           {[2]byte{3, 1}, [2]byte{1, 3}},
	"no-port":           {[2]byte{3, 3}, [2]byte{1, 4}},
	"prohibited":        {[2]byte{3, 13}, [2]byte{1, 1}},
	"too-big":           {[2]byte{3, 4}, [2]byte{2, 0}},
	"ttl-exceeded":      {[2]byte{11, 0}, [2]byte{3, 0}},
	"fragments-expired": {[2]byte{11, 1}, [2]byte{3, 1}},
	"parameter":         {[2]byte{12, 0}, [2]byte{4, 0}},
}

// icmpType returns type and code for a word, which may also be "type3/9".
func (m *message) icmpType() (t [2]byte) {
	if w, ok := icmpWords[m.what]; ok {
		if m.v6() {
			return w.v6
		}
		return w.v4
	}
	fmt.Sscanf(m.what, "type%d/%d", &t[0], &t[1])
	return t
}

// within is the protocol number of m inside another packet.
func (m *message) within() int {
	if m.v6() {
		return protoIPv6
	}
	return protoIPv4
}

func (m *message) v6() bool { return m.src.Addr().Is6() }

// payloadOffset is where the payload begins in the pattern.
func (m *message) payloadOffset() int {
	if m.word == "frag" {
		return m.off - headerLen(m.protocol)
	}
	return 0
}

func (m *message) encode() []byte {
	etherType := uint16(0x0800)
	var body []byte
	switch {
	case m.word == "arp":
		etherType, body = 0x0806, m.encodeARP()
	case m.word == "nd":
		etherType, body = 0x86dd, m.encodeND()
	default:
		if m.v6() {
			etherType = 0x86dd
		}
		body = m.encodeIP()
	}
	b := append(m.ethDst[:6:6], m.ethSrc[:]...)
	return append(be.AppendUint16(b, etherType), body...)
}

func (m *message) encodeIP() []byte {
	l4 := m.encodeL4()
	claimed := len(l4)
	if m.of > 0 {
		l4 = l4[:len(l4)-m.of+len(m.payload)]
		claimed = len(l4)
	}
	if m.cut >= 0 {
		l4 = l4[:min(m.cut, len(l4))]
	}
	if m.v6() {
		return append(m.encodeIPv6(claimed), l4...)
	}
	return append(m.encodeIPv4(claimed), l4...)
}

func (m *message) encodeIPv4(n int) []byte {
	for len(m.ipOptions)%4 != 0 {
		m.ipOptions = append(m.ipOptions, 0)
	}
	b := append(make([]byte, 20), m.ipOptions...)
	b[0] = 0x40 | byte(len(b)/4)
	b[1] = byte(m.tos)
	be.PutUint16(b[2:], uint16(len(b)+n))
	be.PutUint16(b[4:], uint16(m.id))
	f := uint16(m.off / 8)
	if m.df {
		f |= 0x4000
	}
	if m.more || m.of > 0 {
		f |= 0x2000
	}
	be.PutUint16(b[6:], f)
	b[8], b[9] = byte(m.ttl), byte(m.protocol)
	copy(b[12:], m.src.Addr().AsSlice())
	copy(b[16:], m.dst.Addr().AsSlice())
	c := ^sum(b)
	if m.badIPSum {
		c = spoil(c)
	}
	be.PutUint16(b[10:], c)
	return b
}

func (m *message) encodeIPv6(n int) []byte {
	var chain []byte
	kinds := m.ext
	if m.off > 0 || m.more || m.of > 0 {
		kinds = append(kinds[:len(kinds):len(kinds)], 44)
	}
	for i := range kinds {
		next := m.protocol
		if i+1 < len(kinds) {
			next = kinds[i+1]
		}
		h := []byte{byte(next), 0, 1, 4, 0, 0, 0, 0} // options: one PadN
		if kinds[i] == 43 {
			h[2], h[3] = 0, 0 // nowhere left to go
		}
		if kinds[i] == 44 {
			f := uint16(m.off)
			if m.more || m.of > 0 {
				f |= 1
			}
			be.PutUint16(h[2:], f)
			be.PutUint32(h[4:], uint32(m.id))
		}
		chain = append(chain, h...)
	}
	b := make([]byte, 40)
	be.PutUint32(b, 6<<28|uint32(m.tos)<<20)
	be.PutUint16(b[4:], uint16(len(chain)+n))
	b[6], b[7] = byte(m.protocol), byte(m.ttl)
	if len(kinds) > 0 {
		b[6] = byte(kinds[0])
	}
	copy(b[8:], m.src.Addr().AsSlice())
	copy(b[24:], m.dst.Addr().AsSlice())
	return append(b, chain...)
}

// encodeL4 returns the whole L4 packet, of which a fragment takes its part.
func (m *message) encodeL4() []byte {
	payload := m.payload
	if m.of > 0 {
		payload = pattern(0, m.of)
	}
	var b []byte
	field := 0 // offset of the checksum
	switch m.word {
	case "tcp":
		for len(m.tcpOptions)%4 != 0 {
			m.tcpOptions = append(m.tcpOptions, 1)
		}
		b = append(make([]byte, 20), m.tcpOptions...)
		be.PutUint16(b, m.src.Port())
		be.PutUint16(b[2:], m.dst.Port())
		be.PutUint32(b[4:], uint32(m.seq))
		be.PutUint32(b[8:], uint32(m.ack))
		b[12], b[13] = byte(len(b)/4)<<4, byte(m.flags)
		be.PutUint16(b[14:], uint16(m.win))
		field = 16
	case "udp":
		b = make([]byte, 8)
		be.PutUint16(b, m.src.Port())
		be.PutUint16(b[2:], m.dst.Port())
		be.PutUint16(b[4:], uint16(8+len(payload)))
		field = 6
	case "ipip":
		return m.inner.encodeIP()
	case "gue0", "gue1":
		b = make([]byte, 8)
		be.PutUint16(b, m.src.Port())
		be.PutUint16(b[2:], m.dst.Port())
		payload = m.inner.encodeIP()
		if m.word == "gue0" {
			payload = append([]byte{0, byte(m.inner.within()), 0, 0}, payload...)
		}
		be.PutUint16(b[4:], uint16(8+len(payload)))
		field = 6
	case "icmp":
		b = make([]byte, 8)
		t := m.icmpType()
		b[0], b[1] = t[0], t[1]
		if m.inner != nil {
			payload = m.inner.encodeIP()
			be.PutUint32(b[4:], uint32(m.mtu))
		} else {
			be.PutUint16(b[4:], uint16(m.ident))
			be.PutUint16(b[6:], uint16(m.seq))
		}
		field = 2
	default:
		if m.word == "frag" && m.off > 0 {
			return pattern(m.payloadOffset(), len(payload))
		}
		return payload
	}
	b = append(b, payload...)
	be.PutUint16(b[field:], m.checksumFor(b))
	return b
}

// checksumFor returns the checksum of b, whose own field is zero, as the marks
// want it.
func (m *message) checksumFor(b []byte) uint16 {
	pseudo := m.pseudo(len(b))
	if m.partial {
		return sum(pseudo)
	}
	c := ^sum(pseudo, b)
	if m.badSum {
		c = spoil(c)
	}
	if m.protocol == protoUDP && c == 0 {
		c = 0xffff
	}
	if m.noSum {
		c = 0
	}
	return c
}

// pseudo returns the pseudo-header for n bytes of L4; ICMP over IPv4 has none.
func (m *message) pseudo(n int) []byte {
	if m.protocol == protoICMP {
		return nil
	}
	b := append(m.src.Addr().AsSlice(), m.dst.Addr().AsSlice()...)
	if m.v6() {
		return append(be.AppendUint32(b, uint32(n)), 0, 0, 0, byte(m.protocol))
	}
	return be.AppendUint16(append(b, 0, byte(m.protocol)), uint16(n))
}

// sum is RFC 1071, word by word; all parts but the last are of even length.
func sum(parts ...[]byte) uint16 {
	var s uint32
	for _, b := range parts {
		for i := range b {
			if i&1 == 0 {
				s += uint32(b[i]) << 8
			} else {
				s += uint32(b[i])
			}
			s = s&0xffff + s>>16
		}
	}
	return uint16(s)
}

// spoil returns a checksum that is wrong by 0x1234.
func spoil(c uint16) uint16 {
	s := uint32(c) + 0x1234
	return uint16(s&0xffff + s>>16)
}

func (m *message) encodeARP() []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	sender, target := m.ethSrc, [6]byte{}
	if m.what == "is-at" {
		b[7] = 2
		sender, target = m.mac, m.ethDst
	}
	b = append(append(b, sender[:]...), m.src.Addr().AsSlice()...)
	return append(append(b, target[:]...), m.dst.Addr().AsSlice()...)
}

func (m *message) encodeND() []byte {
	b := make([]byte, 24)
	ip := *m
	ip.protocol, ip.word = protoICMPv6, "icmp"
	if m.what == "who-has" {
		b[0] = 135
		copy(b[8:], m.dst.Addr().AsSlice())
		if !m.src.Addr().IsUnspecified() {
			b = append(append(b, 1, 1), m.ethSrc[:]...)
		}
		ip.dst = netip.AddrPortFrom(solicitedNode(m.dst.Addr()), 0)
	} else {
		b[0] = 136
		if m.solicited {
			b[4] |= 0x40
		}
		if m.override {
			b[4] |= 0x20
		}
		copy(b[8:], m.src.Addr().AsSlice())
		b = append(append(b, 2, 1), m.mac[:]...)
	}
	be.PutUint16(b[2:], ip.checksumFor(b))
	return append(ip.encodeIPv6(len(b)), b...)
}

// solicitedNode returns the group that a's owner listens to (RFC 4291 §2.7.1).
func solicitedNode(a netip.Addr) netip.Addr {
	b := a.As16()
	copy(b[:], []byte{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff})
	return netip.AddrFrom16(b)
}
