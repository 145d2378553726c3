package packettest

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const flagLetters = "FSRPAUEC" // by bit

// order in which flags are printed: SYN before ACK, as people say it
const flagOrder = "SFRPAUEC"

// tokens is a line being read.
type tokens struct {
	rest string
	err  error
}

func (t *tokens) next() string {
	t.rest = strings.TrimLeft(t.rest, " ")
	if q, err := strconv.QuotedPrefix(t.rest); err == nil {
		t.rest = t.rest[len(q):]
		return q
	}
	i := strings.IndexByte(t.rest, ' ')
	if i < 0 {
		i = len(t.rest)
	}
	word := t.rest[:i]
	t.rest = t.rest[i:]
	return word
}

func (t *tokens) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *tokens) expect(word string) {
	if got := t.next(); got != word {
		t.fail(fmt.Errorf("%q where %q belongs", got, word))
	}
}

func (t *tokens) number() int {
	n, err := strconv.ParseUint(t.next(), 0, 32)
	if err != nil {
		t.fail(err)
	}
	return int(n)
}

func (t *tokens) hex() []byte {
	b, err := hex.DecodeString(t.next())
	if err != nil {
		t.fail(err)
	}
	return b
}

func (t *tokens) mac() (m [6]byte) {
	b, err := net.ParseMAC(t.next())
	if err != nil {
		t.fail(err)
	}
	copy(m[:], b)
	return m
}

func (t *tokens) addr() netip.AddrPort {
	a, err := netip.ParseAddr(t.next())
	if err != nil {
		t.fail(err)
	}
	return netip.AddrPortFrom(a, 0)
}

func (t *tokens) addrPort() netip.AddrPort {
	a, err := netip.ParseAddrPort(t.next())
	if err != nil {
		t.fail(err)
	}
	return a
}

func parse(line string) (*message, error) {
	t := &tokens{rest: line}
	m := t.message()
	if t.err == nil && strings.TrimSpace(t.rest) != "" {
		t.fail(fmt.Errorf("%q left over", t.rest))
	}
	return m, t.err
}

func (t *tokens) message() *message {
	m := &message{word: t.next(), ethSrc: stationA, ethDst: stationB, ttl: 64, cut: -1}
	switch m.word {
	case "tcp", "udp", "gue0", "gue1":
		m.src = t.addrPort()
		t.expect(">")
		m.dst = t.addrPort()
		m.protocol = protoUDP
		if m.word == "tcp" {
			m.protocol = protoTCP
			m.flags = t.flags()
		}
	case "icmp", "frag", "ip", "ipip":
		m.src = t.addr()
		t.expect(">")
		m.dst = t.addr()
		m.protocol = protoUDP
		if m.word == "icmp" {
			m.protocol = protoICMP
			if m.src.Addr().Is6() {
				m.protocol = protoICMPv6
			}
			m.what = t.next()
		}
	case "arp", "nd":
		t.neighbor(m)
	default:
		t.fail(fmt.Errorf("%q is no kind of packet", m.word))
		return m
	}
	if m.word != "arp" && m.src.Addr().Is4() != m.dst.Addr().Is4() {
		t.fail(errors.New("addresses of two families"))
	}
	for t.err == nil {
		word := t.next()
		if word == "" || word == ")" {
			break
		}
		t.field(m, word)
	}
	return m
}

// neighbor reads "who-has T tell S" or "T is-at MAC tell S".
func (t *tokens) neighbor(m *message) {
	m.ttl = 255
	if word := t.next(); word == "who-has" {
		m.what, m.dst = word, t.addr()
		m.ethDst = broadcast
	} else {
		a, err := netip.ParseAddr(word)
		if err != nil {
			t.fail(err)
		}
		m.src = netip.AddrPortFrom(a, 0)
		m.what = t.next()
		m.mac = t.mac()
	}
	t.expect("tell")
	if m.what == "who-has" {
		m.src = t.addr()
	} else {
		m.dst = t.addr()
	}
}

func (t *tokens) flags() (f int) {
	word := t.next()
	if word == "-" {
		return 0
	}
	for _, c := range word {
		i := strings.IndexRune(flagLetters, c)
		if i < 0 {
			t.fail(fmt.Errorf("%q is no TCP flag", c))
			return 0
		}
		f |= 1 << i
	}
	return f
}

func (t *tokens) field(m *message, word string) {
	numbers := map[string]*int{"ttl": &m.ttl, "tos": &m.tos, "id": &m.id, "off": &m.off, "of": &m.of, "seq": &m.seq,
		"ack": &m.ack, "win": &m.win, "mtu": &m.mtu, "ident": &m.ident, "cut": &m.cut}
	marks := map[string]*bool{"df": &m.df, "more": &m.more, "bad-ip-sum": &m.badIPSum, "bad-sum": &m.badSum,
		"no-sum": &m.noSum, "partial": &m.partial, "solicited": &m.solicited, "override": &m.override}
	if n := numbers[word]; n != nil {
		*n = t.number()
		return
	}
	if b := marks[word]; b != nil {
		*b = true
		return
	}
	option := func(b ...byte) { m.tcpOptions = append(m.tcpOptions, b...) }
	switch word {
	case "len":
		m.payload = pattern(0, t.number())
	case "data":
		s, err := strconv.Unquote(t.next())
		if err != nil {
			t.fail(err)
		}
		m.payload = []byte(s)
	case "ext":
		m.ext = append(m.ext, t.number())
	case "ipopt":
		m.ipOptions = t.hex()
	case "proto":
		m.protocol = t.number()
	case "eth":
		m.ethSrc = t.mac()
		t.expect(">")
		m.ethDst = t.mac()
	case "nop":
		option(1)
	case "mss":
		option(binary.BigEndian.AppendUint16([]byte{2, 4}, uint16(t.number()))...)
	case "ws":
		option(3, 3, byte(t.number()))
	case "sackok":
		option(4, 2)
	case "ts":
		var value, echo uint32
		if _, err := fmt.Sscanf(t.next(), "%d/%d", &value, &echo); err != nil {
			t.fail(err)
		}
		option(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte{8, 10}, value), echo)...)
	case "opt":
		kind, data, _ := strings.Cut(t.next(), "/")
		k, err1 := strconv.ParseUint(kind, 0, 8)
		b, err2 := hex.DecodeString(data)
		if err := errors.Join(err1, err2); err != nil {
			t.fail(err)
		}
		option(append([]byte{byte(k), byte(2 + len(b))}, b...)...)
	case "(":
		m.inner = t.message()
		if m.word == "ipip" {
			m.protocol = m.inner.within()
		}
	default:
		t.fail(fmt.Errorf("%q means nothing", word))
	}
}
