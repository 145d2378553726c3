package packettest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
)

var errShort = errors.New("too short")

func decode(frame []byte) (*message, error) {
	if len(frame) < 14 {
		return nil, errShort
	}
	m := &message{cut: -1}
	copy(m.ethDst[:], frame)
	copy(m.ethSrc[:], frame[6:])
	var err error
	switch t := be.Uint16(frame[12:]); t {
	case 0x0800:
		err = m.decodeIPv4(frame[14:], false)
	case 0x86dd:
		err = m.decodeIPv6(frame[14:], false)
	case 0x0806:
		err = m.decodeARP(frame[14:])
	default:
		err = fmt.Errorf("EtherType %04x", t)
	}
	return m, err
}

// decodeIPv4 reads a packet, which in a quote may be cut off.
func (m *message) decodeIPv4(b []byte, quote bool) error {
	if len(b) < 20 || len(b) < int(b[0]&15)*4 || b[0] < 0x45 || b[0] > 0x4f {
		return errShort
	}
	n, total := int(b[0]&15)*4, int(be.Uint16(b[2:]))
	if total < n || total > len(b) && !quote {
		return fmt.Errorf("IPv4 length %d", total)
	}
	m.tos, m.id, m.ttl, m.protocol = int(b[1]), int(be.Uint16(b[4:])), int(b[8]), int(b[9])
	f := be.Uint16(b[6:])
	m.df, m.more, m.off = f&0x4000 != 0, f&0x2000 != 0, int(f&0x1fff)*8
	m.src, m.dst = address(b[12:16]), address(b[16:20])
	m.ipOptions = b[20:n]
	m.badIPSum = sum(b[:n]) != 0xffff
	return m.decodeL4(b[n:min(total, len(b))], total-n)
}

func (m *message) decodeIPv6(b []byte, quote bool) error {
	if len(b) < 40 || b[0]>>4 != 6 {
		return errShort
	}
	n := int(be.Uint16(b[4:]))
	if n > len(b)-40 && !quote {
		return fmt.Errorf("IPv6 length %d", n)
	}
	m.tos, m.ttl = int(be.Uint32(b)>>20&0xff), int(b[7])
	m.protocol = int(b[6])
	m.src, m.dst = address(b[8:24]), address(b[24:40])
	b = b[40:min(40+n, len(b))]
	for {
		switch m.protocol {
		case 0, 43, 60, 44:
		default:
			return m.decodeL4(b, n)
		}
		if len(b) < 8 || len(b) < 8+8*int(b[1]) {
			return errShort
		}
		size := 8 + 8*int(b[1])
		later := false
		if m.protocol == 44 {
			size = 8
			f := be.Uint16(b[2:])
			m.off, m.more, m.id = int(f&^7), f&1 != 0, int(be.Uint32(b[4:]))
			later = m.off > 0
		}
		if m.protocol != 44 || m.whole() {
			m.ext = append(m.ext, m.protocol)
		}
		m.protocol = int(b[0])
		b, n = b[size:], n-size
		if later {
			return m.decodeL4(b, n)
		}
	}
}

// whole reports whether the fragment header just read makes no fragment (RFC
// 6946).
func (m *message) whole() bool { return m.off == 0 && !m.more }

// decodeL4 reads b, which should be n bytes.
func (m *message) decodeL4(b []byte, n int) error {
	if len(b) < n {
		m.cut = len(b)
	}
	if m.off > 0 {
		m.word = "frag"
		m.decodePayload(b, 0, n)
		return nil
	}
	icmp := protoICMP
	if m.v6() {
		icmp = protoICMPv6
	}
	switch m.protocol {
	case protoTCP:
		return m.decodeTCP(b, n)
	case protoUDP:
		return m.decodeUDP(b, n)
	case icmp:
		return m.decodeICMP(b, n)
	}
	if m.protocol == protoIPv4 || m.protocol == protoIPv6 {
		if m.decodeWithin(b, m.protocol) {
			m.word, m.cut = "ipip", -1
			return nil
		}
	}
	m.word, m.payload = "ip", b
	if m.more {
		m.word = "frag"
	}
	return nil
}

func (m *message) decodeTCP(b []byte, n int) error {
	m.word = "tcp"
	if len(b) < 8 {
		return errShort
	}
	m.src = netip.AddrPortFrom(m.src.Addr(), be.Uint16(b))
	m.dst = netip.AddrPortFrom(m.dst.Addr(), be.Uint16(b[2:]))
	m.seq = int(be.Uint32(b[4:]))
	if len(b) < 20 {
		m.payload = pattern(0, max(n-20, 0))
		return nil
	}
	m.ack, m.win = int(be.Uint32(b[8:])), int(be.Uint16(b[14:]))
	m.flags = int(b[13])
	size := int(b[12]>>4) * 4
	if size < 20 || size > len(b) {
		return fmt.Errorf("TCP data offset %d", size)
	}
	m.tcpOptions = b[20:size]
	m.decodePayload(b, size, n-size)
	m.judge(b, size, n-size, 16)
	return nil
}

func (m *message) decodeUDP(b []byte, n int) error {
	m.word = "udp"
	if len(b) < 8 {
		return errShort
	}
	m.src = netip.AddrPortFrom(m.src.Addr(), be.Uint16(b))
	m.dst = netip.AddrPortFrom(m.dst.Addr(), be.Uint16(b[2:]))
	total := int(be.Uint16(b[4:])) - 8
	if m.more {
		m.of = total
	} else if total > n-8 || total < 0 {
		return fmt.Errorf("UDP length %d", total+8)
	}
	m.decodePayload(b, 8, min(n-8, total))
	m.judge(b, 8, total, 6)
	if m.dst.Port() == portGUE && len(b) > 12 && !m.more {
		m.decodeGUE(b[8:])
	}
	return nil
}

// decodeGUE reads what stands in a UDP datagram, if it is a packet.
func (m *message) decodeGUE(b []byte) {
	switch {
	case b[0]>>6 == 1 && m.decodeWithin(b, map[byte]int{4: protoIPv4, 6: protoIPv6}[b[0]>>4]):
		m.word, m.cut = "gue1", -1
	case b[0] == 0 && b[2] == 0 && b[3] == 0 && m.decodeWithin(b[4:], int(b[1])):
		m.word, m.cut = "gue0", -1
	}
}

// decodeWithin reads a packet inside m. In a quote it may be cut off, and says so
// itself.
func (m *message) decodeWithin(b []byte, protocol int) bool {
	in := &message{cut: -1}
	err := errors.New("not IP")
	switch protocol {
	case protoIPv4:
		err = in.decodeIPv4(b, true)
	case protoIPv6:
		err = in.decodeIPv6(b, true)
	}
	if err == nil {
		m.inner = in
	}
	return err == nil
}

// decodePayload takes what is there of n bytes after the header, and where it
// is cut off believes the rest to be the pattern.
func (m *message) decodePayload(b []byte, header, n int) {
	b = b[header:]
	m.payload = b[:min(n, len(b))]
	if m.cut >= 0 && n > len(b) {
		m.payload = append(bytes.Clone(b), pattern(m.payloadOffset()+len(b), n-len(b))...)
	}
}

func (m *message) decodeICMP(b []byte, n int) error {
	m.word = "icmp"
	if len(b) < 8 {
		return errShort
	}
	if m.v6() && (b[0] == 135 || b[0] == 136) {
		return m.decodeND(b)
	}
	m.what = icmpWord(b[0], b[1], m.v6())
	switch {
	case b[0] == 8 || b[0] == 0 || b[0] == 128 || b[0] == 129:
		m.ident, m.seq = int(be.Uint16(b[4:])), int(be.Uint16(b[6:]))
		m.decodePayload(b, 8, n-8)
	case m.v6() && b[0] < 128:
		m.mtu = int(be.Uint32(b[4:]))
		m.inner = &message{cut: -1}
		if err := m.inner.decodeIPv6(b[8:], true); err != nil {
			return fmt.Errorf("quote: %w", err)
		}
	case !m.v6() && (b[0] == 3 || b[0] == 11 || b[0] == 12):
		m.mtu = int(be.Uint32(b[4:]))
		m.inner = &message{cut: -1}
		if err := m.inner.decodeIPv4(b[8:], true); err != nil {
			return fmt.Errorf("quote: %w", err)
		}
	default:
		m.decodePayload(b, 8, n-8)
	}
	m.judge(b, 8, n-8, 2)
	return nil
}

func icmpWord(typ, code byte, v6 bool) string {
	for word, w := range icmpWords {
		if v6 && w.v6 == [2]byte{typ, code} || !v6 && w.v4 == [2]byte{typ, code} {
			return word
		}
	}
	return fmt.Sprintf("type%d/%d", typ, code)
}

// judge checks the L4 checksum of b, whose header is followed by n bytes. Those
// that are not here are taken to be the pattern.
func (m *message) judge(b []byte, header, n, field int) {
	whole := append([]byte(nil), b[:min(len(b), header+n)]...)
	if missing := header + n - len(whole); missing > 0 {
		whole = append(whole, pattern(len(whole)-header, missing)...)
	}
	pseudo := m.pseudo(len(whole))
	c := be.Uint16(whole[field:])
	switch {
	case c == 0 && m.protocol == protoUDP:
		m.noSum = true
	case sum(pseudo, whole) == 0xffff:
	case c == sum(pseudo):
		m.partial = true
	default:
		m.badSum = true
	}
}

func address(b []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a, 0)
}

func (m *message) decodeARP(b []byte) error {
	if len(b) < 28 || !bytes.Equal(b[:7], []byte{0, 1, 8, 0, 6, 4, 0}) {
		return errors.New("ARP of another kind")
	}
	m.word, m.ttl = "arp", 255
	m.src, m.dst = address(b[14:18]), address(b[24:28])
	copy(m.mac[:], b[8:])
	m.what = "who-has"
	if b[7] == 2 {
		m.what = "is-at"
	}
	return nil
}

func (m *message) decodeND(b []byte) error {
	if len(b) < 24 {
		return errShort
	}
	m.judge(b, 24, len(b)-24, 2)
	m.word = "nd"
	target := address(b[8:24])
	if b[0] == 135 {
		m.what, m.dst = "who-has", target
		return nil
	}
	m.what = "is-at"
	if m.src != target {
		return fmt.Errorf("%v advertises %v", m.src.Addr(), target.Addr())
	}
	m.solicited, m.override = b[4]&0x40 != 0, b[4]&0x20 != 0
	if len(b) == 32 && b[24] == 2 {
		copy(m.mac[:], b[26:])
	}
	return nil
}
