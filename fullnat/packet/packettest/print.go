package packettest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
)

func (m *message) String() string {
	var w strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&w, " "+format, args...) }
	number := func(word string, n, silent int) {
		if n != silent {
			say("%s %d", word, n)
		}
	}
	mark := func(word string, on bool) {
		if on {
			say("%s", word)
		}
	}

	w.WriteString(m.word)
	switch m.word {
	case "tcp":
		say("%v > %v %s", m.src, m.dst, flagString(m.flags))
	case "udp", "gue0", "gue1":
		say("%v > %v", m.src, m.dst)
	case "icmp":
		say("%v > %v %s", m.src.Addr(), m.dst.Addr(), m.what)
	case "frag", "ip", "ipip":
		say("%v > %v", m.src.Addr(), m.dst.Addr())
	case "arp", "nd":
		if m.what == "who-has" {
			say("who-has %v tell %v", m.dst.Addr(), m.src.Addr())
		} else {
			say("%v is-at %v tell %v", m.src.Addr(), net.HardwareAddr(m.mac[:]), m.dst.Addr())
		}
	}
	if m.word == "arp" || m.word == "nd" {
		number("ttl", m.ttl, 255)
	} else {
		number("ttl", m.ttl, -1)
	}
	if m.word == "ip" || m.word == "frag" && m.protocol != protoUDP {
		say("proto %d", m.protocol)
	}
	number("tos", m.tos, 0)
	number("id", m.id, 0)
	mark("df", m.df)
	number("off", m.off, 0)
	number("of", m.of, 0)
	mark("more", m.more && m.of == 0)
	for _, n := range m.ext {
		say("ext %d", n)
	}
	if len(m.ipOptions) > 0 {
		say("ipopt %x", m.ipOptions)
	}
	number("ident", m.ident, 0)
	number("seq", m.seq, 0)
	number("ack", m.ack, 0)
	number("win", m.win, 0)
	number("mtu", m.mtu, 0)
	w.WriteString(optionString(m.tcpOptions))
	mark("solicited", m.solicited)
	mark("override", m.override)
	switch off := m.payloadOffset(); {
	case len(m.payload) == 0, m.inner != nil:
	case bytes.Equal(m.payload, pattern(off, len(m.payload))):
		say("len %d", len(m.payload))
	default:
		say("data %q", m.payload)
	}
	number("cut", m.cut, -1)
	mark("bad-ip-sum", m.badIPSum)
	mark("bad-sum", m.badSum)
	mark("no-sum", m.noSum)
	mark("partial", m.partial)
	if m.inner != nil {
		say("( %s )", m.inner)
	}
	return w.String()
}

func flagString(flags int) (s string) {
	for _, c := range flagOrder {
		if flags&(1<<strings.IndexRune(flagLetters, c)) != 0 {
			s += string(c)
		}
	}
	if s == "" {
		return "-"
	}
	return s
}

func optionString(b []byte) (s string) {
	for len(b) > 0 && b[0] != 0 {
		if b[0] == 1 {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return s + fmt.Sprintf(" opt-broken %x", b)
		}
		data := b[2:b[1]]
		switch {
		case b[0] == 2 && len(data) == 2:
			s += fmt.Sprintf(" mss %d", binary.BigEndian.Uint16(data))
		case b[0] == 3 && len(data) == 1:
			s += fmt.Sprintf(" ws %d", data[0])
		case b[0] == 4 && len(data) == 0:
			s += " sackok"
		case b[0] == 8 && len(data) == 8:
			s += fmt.Sprintf(" ts %d/%d", binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:]))
		default:
			s += fmt.Sprintf(" opt %d/%x", b[0], data)
		}
		b = b[b[1]:]
	}
	return s
}
