package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"fleetlb/e2e/lab"
)

// The mark of a hostile frame is its sequence number, which survives FULLNAT.
const mark = 0xbadc0ffe

// A wrong is one way to spoil a good SYN (IPv4, or IPv6 if it says so) or, for
// UDP, a good datagram. What it returns is put on the wire as it is.
type wrong struct {
	name string
	kind string // tcp4, udp4, tcp6
	do   func(f []byte) []byte
}

// ip4 changes the IPv4 header and makes its checksum right again, so that the
// change alone is what is wrong.
func ip4(change func(ip []byte)) func([]byte) []byte {
	return func(f []byte) []byte {
		change(f[ethernet:])
		sumHeader(f[ethernet:])
		return f
	}
}

func ip6(change func(ip []byte)) func([]byte) []byte {
	return func(f []byte) []byte {
		change(f[ethernet:])
		return f
	}
}

// extended puts extension headers, each given whole but for its next-header
// byte, between the IPv6 header and what follows.
func extended(first byte, headers ...[]byte) func([]byte) []byte {
	return func(f []byte) []byte {
		ip, rest := bytes.Clone(f[:ethernet+headerV6]), f[ethernet+headerV6:]
		last := ip[ethernet+6]
		ip[ethernet+6] = first
		for i, h := range headers {
			h = bytes.Clone(h)
			if i == len(headers)-1 {
				h[0] = last
			}
			ip = append(ip, h...)
		}
		out := append(ip, rest...)
		binary.BigEndian.PutUint16(out[ethernet+4:], uint16(len(out)-ethernet-headerV6))
		return out
	}
}

func cut(n int) func([]byte) []byte { return func(f []byte) []byte { return f[:n] } }

var (
	destination = []byte{60, 0, 1, 4, 0, 0, 0, 0} // followed by another of its kind
	routing0    = append([]byte{0, 2, 0, 1, 0, 0, 0, 0}, make([]byte, 16)...)
)

var wrongs = []wrong{
	{"ends in the TCP header", "tcp4", cut(ethernet + headerV4 + 10)},
	{"ends before the IPv4 length says", "tcp4", ip4(func(ip []byte) { binary.BigEndian.PutUint16(ip[2:], 1400) })},
	{"IPv4 length below its header", "tcp4", ip4(func(ip []byte) { binary.BigEndian.PutUint16(ip[2:], 19) })},
	{"IPv4 length within the TCP header", "tcp4", ip4(func(ip []byte) { binary.BigEndian.PutUint16(ip[2:], 30) })},
	{"version 5", "tcp4", ip4(func(ip []byte) { ip[0] = 0x55 })},
	{"version 6 in an IPv4 frame", "tcp4", ip4(func(ip []byte) { ip[0] = 0x65 })},
	{"IHL 4", "tcp4", ip4(func(ip []byte) { ip[0] = 0x44 })},
	{"IHL 15 and no options", "tcp4", ip4(func(ip []byte) { ip[0] = 0x4f })},
	{"IPv4 header checksum", "tcp4", func(f []byte) []byte { f[ethernet+10] ^= 0x40; return f }},
	{"TCP offset 4", "tcp4", func(f []byte) []byte { f[ethernet+headerV4+12] = 0x40; return f }},
	{"TCP offset 15", "tcp4", func(f []byte) []byte { f[ethernet+headerV4+12] = 0xf0; return f }},
	{"UDP length 7", "udp4", func(f []byte) []byte { binary.BigEndian.PutUint16(f[ethernet+headerV4+4:], 7); return f }},
	{"UDP length beyond the packet", "udp4", func(f []byte) []byte { binary.BigEndian.PutUint16(f[ethernet+headerV4+4:], 999); return f }},
	{"from multicast", "tcp4", ip4(func(ip []byte) { copy(ip[12:], []byte{224, 0, 0, 9}) })},
	{"from broadcast", "tcp4", ip4(func(ip []byte) { copy(ip[12:], []byte{255, 255, 255, 255}) })},
	{"from loopback", "tcp4", ip4(func(ip []byte) { copy(ip[12:], []byte{127, 0, 0, 1}) })},
	{"from nowhere", "tcp4", ip4(func(ip []byte) { copy(ip[12:], []byte{0, 0, 0, 0}) })},
	{"from the VIP to itself", "tcp4", ip4(func(ip []byte) { copy(ip[12:16], ip[16:20]) })},
	{"from another VIP", "tcp4", ip4(func(ip []byte) { copy(ip[12:16], []byte{203, 0, 113, 11}) })},
	{"TTL 0", "tcp4", ip4(func(ip []byte) { ip[8] = 0 })},
	{"first fragment that ends in the TCP header", "tcp4", func(f []byte) []byte {
		f = f[:ethernet+headerV4+8]
		return ip4(func(ip []byte) {
			binary.BigEndian.PutUint16(ip[2:], 28)
			binary.BigEndian.PutUint16(ip[6:], 0x2000)
		})(f)
	}},
	{"fragment beyond 64 KB", "tcp4", ip4(func(ip []byte) { binary.BigEndian.PutUint16(ip[6:], 0x1fff) })},

	{"ends before the IPv6 length says", "tcp6", ip6(func(ip []byte) { binary.BigEndian.PutUint16(ip[4:], 1400) })},
	{"IPv6 length within the TCP header", "tcp6", ip6(func(ip []byte) { binary.BigEndian.PutUint16(ip[4:], 12) })},
	{"version 4 in an IPv6 frame", "tcp6", ip6(func(ip []byte) { ip[0] = 0x40 })},
	{"hop limit 0", "tcp6", ip6(func(ip []byte) { ip[7] = 0 })},
	{"from IPv6 multicast", "tcp6", ip6(func(ip []byte) { ip[8] = 0xff })},
	{"from IPv6 nowhere", "tcp6", ip6(func(ip []byte) { copy(ip[8:24], make([]byte, 16)) })},
	{"from IPv6 loopback", "tcp6", ip6(func(ip []byte) { copy(ip[8:24], append(make([]byte, 15), 1)) })},
	{"from the IPv6 VIP to itself", "tcp6", ip6(func(ip []byte) { copy(ip[8:24], ip[24:40]) })},
	{"thirty extension headers", "tcp6", extended(60, slices.Repeat([][]byte{destination}, 30)...)},
	{"routing header type 0", "tcp6", extended(43, routing0)},
	{"extension header beyond the packet", "tcp6", extended(60, []byte{6, 200, 1, 4, 0, 0, 0, 0})},
	{"extension headers and nothing else", "tcp6", func(f []byte) []byte {
		return extended(60, destination)(f)[:ethernet+headerV6+8]
	}},
}

func TestHostileFrames(t *testing.T) {
	s := open(t, lab.Options{Router: "bird", Servers: 1},
		service{name: "web", vip: "203.0.113.10", port: lab.HTTPPort},
		service{name: "web6", vip: "2001:db8:f::10", port: lab.HTTPPort},
		service{name: "other", vip: "203.0.113.11", port: lab.HTTPPort},
		service{name: "echo", vip: "203.0.113.10", port: lab.EchoPort, protocol: "udp"})
	pid := s.lb.Process.Pid

	from := s.Gateway.Port("front")
	e := ends{from.MAC, s.lb.Host.Port("front").MAC}
	base := map[string][]byte{
		"tcp4": frame(t, e, netip.MustParseAddrPort("198.51.100.66:4711"), netip.MustParseAddrPort(at(s.VIP4, lab.HTTPPort)),
			&layers.TCP{SYN: true, Seq: mark, Window: 1000}, nil),
		"tcp6": frame(t, e, netip.MustParseAddrPort("[2001:db8:c::66]:4711"), netip.MustParseAddrPort(at(s.VIP6, lab.HTTPPort)),
			&layers.TCP{SYN: true, Seq: mark, Window: 1000}, nil),
		"udp4": frame(t, e, netip.MustParseAddrPort("198.51.100.66:4711"), netip.MustParseAddrPort(at(s.VIP4, lab.EchoPort)),
			&layers.UDP{}, []byte("mark")),
	}
	out, err := s.lb.Host.Port("back").Capture(lab.Everything)
	if err != nil {
		t.Fatal(err)
	}
	// These are cut before their destination is whole: they are for nobody, and
	// nobody counts them.
	if err := from.Inject(base["tcp4"][:ethernet], base["tcp4"][:ethernet+headerV4-1], base["tcp6"][:ethernet+headerV6-1]); err != nil {
		t.Fatal(err)
	}
	for _, w := range wrongs {
		f := w.do(bytes.Clone(base[w.kind]))
		before := total(t, s)
		if err := from.Inject(f, f, f); err != nil {
			t.Fatal(err)
		}
		err := lab.Await(2*time.Second, "three more drops", func() error {
			if n := total(t, s) - before; n < 3 {
				return fmt.Errorf("there are %d", n)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", w.name, err)
		}
	}
	if err := out.Stop(); err != nil {
		t.Error(err)
	}
	for _, p := range out.Select(func(p lab.Seen) bool { return p.Outgoing && p.Seq == mark }) {
		t.Errorf("a malformed frame was passed on to a server: %v", p)
	}
	if drops, err := s.lb.Drops(); err == nil {
		t.Logf("drops: %v", drops)
	}

	t.Run("a bad checksum stays bad", func(t *testing.T) { badChecksum(t, s, from, base) })

	if s.lb.Process.Pid != pid || !s.lb.Process.Running() {
		t.Error("the director did not live through it")
	}
	for family, vip := range s.families() {
		if _, err := s.client.AskMany(t.Context(), url(vip, lab.HTTPPort), 10); err != nil {
			t.Errorf("afterwards, %s: %v", family, err)
		}
	}
}

// total is how many frames were dropped for any reason that is known.
func total(t *testing.T, s *site) (n uint64) {
	t.Helper()
	drops, err := s.lb.Drops()
	if err != nil {
		t.Fatal(err)
	}
	for _, packets := range drops {
		n += packets
	}
	return n
}

// A TCP or UDP checksum is changed by what the rewrite changes, and never made
// anew: the receiver must still see that the data was damaged.
func badChecksum(t *testing.T, s *site, from *lab.Port, base map[string][]byte) {
	checksumAt := map[string]int{
		"tcp4": ethernet + headerV4 + 16, "tcp6": ethernet + headerV6 + 16, "udp4": ethernet + headerV4 + 6,
	}
	out, err := s.lb.Host.Port("back").Capture(lab.Everything)
	if err != nil {
		t.Fatal(err)
	}
	for kind, f := range base {
		f = bytes.Clone(f)
		f[checksumAt[kind]] ^= 0x10
		if err := from.Inject(f); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond) // for all to pass, or not
	if err := out.Stop(); err != nil {
		t.Error(err)
	}
	passed := 0
	for _, f := range out.Frames() {
		p := f.Decode()
		ours := p.Outgoing && (p.Seq == mark || p.Protocol == "udp" && bytes.Contains(f.Bytes, []byte("mark")))
		if !ours {
			continue
		}
		passed++
		if soundChecksum(f.Bytes) {
			t.Errorf("a damaged packet was passed on as a sound one: %v", p)
		}
	}
	t.Logf("%d of 3 were passed on, damaged as they were", passed)
}
