package packettest

import (
	"fmt"
	"net/netip"
	"testing"
)

// Protocol numbers.
const (
	protoICMP   = 1
	protoIPv4   = 4
	protoTCP    = 6
	protoUDP    = 17
	protoIPv6   = 41
	protoICMPv6 = 58
)

// portGUE is where generic UDP encapsulation is told from other UDP.
const portGUE = 6080

// message is what a line says. The words are those of the package doc.
type message struct {
	word           string // tcp udp icmp ipip gue0 gue1 frag ip arp nd
	protocol       int
	src, dst       netip.AddrPort // port 0 where the word has none
	ethSrc, ethDst [6]byte

	ttl, tos, id, off, of int
	df, more              bool
	ext                   []int
	ipOptions             []byte

	flags               int // TCP
	seq, ack, win       int
	tcpOptions          []byte
	what                string // ICMP, ARP and ND
	mtu, ident          int
	mac                 [6]byte // is-at
	solicited, override bool

	payload []byte
	cut     int // -1: whole

	badIPSum, badSum, noSum, partial bool

	inner *message
}

var (
	stationA  = [6]byte{2, 0, 0, 0, 0, 1}
	stationB  = [6]byte{2, 0, 0, 0, 0, 2}
	broadcast = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

// Build returns the Ethernet frame that line describes. It goes from station
// 02:00:00:00:00:01 to 02:00:00:00:00:02 if the line says nothing else.
func Build(line string) ([]byte, error) {
	m, err := parse(line)
	if err != nil {
		return nil, fmt.Errorf("packet %q: %w", line, err)
	}
	return m.encode(), nil
}

// Frame is Build for lines that are right.
func Frame(tb testing.TB, line string) []byte {
	tb.Helper()
	frame, err := Build(line)
	if err != nil {
		tb.Fatal(err)
	}
	return frame
}

// Print returns the line that describes frame. What it cannot read it prints as
// "raw" and the bytes.
func Print(frame []byte) string {
	m, err := decode(frame)
	if err != nil {
		return fmt.Sprintf("raw %x (%v)", frame, err)
	}
	return m.String()
}

// pattern returns n bytes of payload as they stand from offset off: no two
// words of it are alike for a while, so a swap shows.
func pattern(off, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		j := off + i
		b[i] = byte(j + j>>8)
	}
	return b
}

// headerLen is that of the L4 header, where later fragments' payload starts to
// be counted.
func headerLen(protocol int) int {
	if protocol == protoTCP {
		return 20
	}
	return 8
}
