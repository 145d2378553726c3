package link

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/cilium/ebpf"
)

const testWorkers = 3

// loadedSteering returns the programs with 203.0.113.0/24 and 2001:db8:1::/64
// for VIPs, 10.9.0.0/28 and 2001:db8:2::/124 for local addresses.
func loadedSteering(t testing.TB) *steering {
	t.Helper()
	s := newSteering(testWorkers)
	if s.reason == errNotPermitted {
		t.Skipf("needs eBPF: %v", s.reason)
	}
	if s.reason != nil {
		t.Fatal(s.reason)
	}
	t.Cleanup(func() { s.close() })
	if _, err := s.set(testOurs); err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	testVIPs   = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:1::/64")}
	testLocals = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/28"), netip.MustParsePrefix("2001:db8:2::/124")}
	testGated  = []Endpoint{{6, netip.MustParseAddrPort("10.0.0.21:8080")}, {17, netip.MustParseAddrPort("10.0.0.21:53")}, {17, netip.MustParseAddrPort("10.0.0.22:0")}, {6, netip.MustParseAddrPort("[2001:db8:3::21]:8080")}}
	testOurs   = Ours{
		VIPs: testVIPs, Locals: testLocals, Gated: testGated,
		Tunnelled: []netip.Addr{netip.MustParseAddr("10.0.0.31"), netip.MustParseAddr("2001:db8:3::31")},
	}
)

// takes says whether the filter lets a frame in. The kernel's test run cuts off
// an Ethernet header to learn what kind of frame it is, the filter expects one.
func takes(t testing.TB, s *steering, frame []byte) bool {
	t.Helper()
	ret, err := s.program.Filter.Run(&ebpf.RunOptions{Data: append(frame[:14:14], frame...)})
	if err != nil {
		t.Fatal(err)
	}
	return ret != 0
}

// worker returns the worker the fanout program chooses for a frame.
func worker(t testing.TB, s *steering, frame []byte) int {
	t.Helper()
	ret, err := s.program.Fanout.Run(&ebpf.RunOptions{Data: frame})
	if err != nil {
		t.Fatal(err)
	}
	return int(ret)
}

// A sketch is what a test says of a frame.
type sketch struct {
	dstMAC           byte // last byte: 0 is the host's own in a test run
	src, dst         string
	protocol         byte
	srcPort, dstPort uint16
	fragment         uint16 // IPv4: flags and offset; IPv6: a fragment header if not 0
	id               byte
	extensions       int // IPv6: destination options headers
}

func (s sketch) frame() []byte {
	src, dst := netip.MustParseAddr(s.src), netip.MustParseAddr(s.dst)
	b := make([]byte, 14, 200)
	b[5] = s.dstMAC
	ports := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, s.srcPort), s.dstPort)
	if src.Is4() {
		b[12], b[13] = 0x08, 0x00
		ip := make([]byte, 12)
		ip[0], ip[5], ip[8], ip[9] = 0x45, s.id, 64, s.protocol
		binary.BigEndian.PutUint16(ip[6:], s.fragment)
		b = append(append(append(b, ip...), src.AsSlice()...), dst.AsSlice()...)
	} else {
		b[12], b[13] = 0x86, 0xdd
		next := s.protocol
		var chain []byte
		if s.fragment != 0 {
			chain, next = append([]byte{next, 0, 0, 1, 0, 0, 0, s.id}, chain...), 44
		}
		for range s.extensions {
			chain, next = append([]byte{next, 0, 1, 4, 0, 0, 0, 0}, chain...), 60
		}
		b = append(append(append(b, 0x60, 0, 0, 0, 0, 0, next, 64), src.AsSlice()...), dst.AsSlice()...)
		b = append(b, chain...)
	}
	return append(append(b, ports...), make([]byte, 40)...)
}

// slotOf is the slot by the definition, with the reference implementation.
func slotOf(protocol byte, client netip.Addr, port uint16) int {
	a := client.As16()
	return int(xxhash.Sum64(binary.BigEndian.AppendUint16(append([]byte{protocol}, a[:]...), port)) & 255)
}

func TestSteerBySlot(t *testing.T) {
	s := loadedSteering(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		client := netip.AddrFrom4([4]byte{198, 51, byte(r.Uint32()), byte(r.Uint32())})
		vip, local, server := "203.0.113.80", "10.9.0.5", "10.0.0.11"
		if r.IntN(2) == 0 {
			var a [16]byte
			binary.BigEndian.PutUint64(a[8:], r.Uint64())
			a[0], a[1] = 0x20, byte(r.Uint32())
			client = netip.AddrFrom16(a)
			vip, local, server = "2001:db8:1::80", "2001:db8:2::5", "2001:db8:3::11"
		}
		protocol := []byte{6, 17}[r.IntN(2)]
		port, localPort := uint16(r.Uint32()), uint16(r.Uint32())
		extensions := r.IntN(4)

		in := sketch{src: client.String(), dst: vip, protocol: protocol, srcPort: port, dstPort: 443, extensions: extensions}
		if got, want := worker(t, s, in.frame()), slotOf(protocol, client, port)*testWorkers/256; got != want {
			t.Fatalf("%+v: worker %d, want %d", in, got, want)
		}
		out := sketch{src: server, dst: local, protocol: protocol, srcPort: 8443, dstPort: localPort, extensions: extensions}
		if got, want := worker(t, s, out.frame()), int(localPort&255)*testWorkers/256; got != want {
			t.Fatalf("%+v: worker %d, want %d", out, got, want)
		}
		gated := sketch{src: "10.0.0.21", dst: client.String(), protocol: 6, srcPort: 8080, dstPort: port, extensions: extensions}
		if client.Is6() {
			gated.src = "2001:db8:3::21"
		}
		if got, want := worker(t, s, gated.frame()), slotOf(6, client, port)*testWorkers/256; got != want {
			t.Fatalf("%+v: worker %d, want %d", gated, got, want)
		}
	}
}

func TestFragmentsMeet(t *testing.T) {
	s := loadedSteering(t)
	for _, base := range []sketch{
		{src: "198.51.100.7", dst: "203.0.113.80", protocol: 17},
		{src: "2001:db8::7", dst: "2001:db8:1::80", protocol: 17},
		{src: "2001:db8::7", dst: "2001:db8:2::1", protocol: 17, extensions: 2},
		{src: "10.0.0.21", dst: "198.51.100.7", protocol: 17},
		{src: "2001:db8:3::21", dst: "2001:db8::7", protocol: 17},
	} {
		seen := map[int]bool{}
		for id := range byte(50) {
			first, later := base, base
			first.id, first.srcPort, first.dstPort, first.fragment = id, 4711, 443, 0x2000
			later.id, later.srcPort, later.dstPort, later.fragment = id, 0xdead, 0xbeef, 0x00b9
			w := worker(t, s, first.frame())
			if other := worker(t, s, later.frame()); other != w {
				t.Errorf("%+v: fragments of datagram %d go to workers %d and %d", base, id, w, other)
			}
			seen[w] = true
		}
		if len(seen) != testWorkers {
			t.Errorf("%+v: 50 datagrams reach %d workers, want %d", base, len(seen), testWorkers)
		}
	}
}

func TestFilter(t *testing.T) {
	s := loadedSteering(t)
	arp := func(target string) []byte {
		b := make([]byte, 60)
		copy(b, "\xff\xff\xff\xff\xff\xff")
		b[12], b[13] = 0x08, 0x06
		copy(b[38:], netip.MustParseAddr(target).AsSlice())
		return b
	}
	discovery := func(kind byte, target string) []byte {
		b := sketch{src: "fe80::1", dst: "ff02::1:ff00:80", protocol: 58}.frame()
		b[0], b[1] = 0x33, 0x33
		b[54] = kind
		copy(b[62:], netip.MustParseAddr(target).AsSlice())
		return b
	}
	// quoting is an ICMP error about a packet to dst.
	quoting := func(kind byte, src, to, dst string) []byte {
		outer, inner := sketch{src: src, dst: to, protocol: 1}, sketch{src: to, dst: dst, protocol: 4}
		l4 := 14 + 20
		if netip.MustParseAddr(src).Is6() {
			outer.protocol, inner.protocol, l4 = 58, 41, 14+40
		}
		b := outer.frame()[:l4]
		b = append(b, kind, 0, 0, 0, 0, 0, 0, 0)
		return append(b, inner.frame()[14:]...)
	}
	tagged := sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}.frame()
	tagged[12], tagged[13] = 0x81, 0x00

	tests := []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"TCP to a VIP", sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}.frame(), true},
		{"UDP to a local address", sketch{src: "10.0.0.11", dst: "10.9.0.15", protocol: 17}.frame(), true},
		{"next to the local addresses", sketch{src: "10.0.0.11", dst: "10.9.0.16", protocol: 17}.frame(), false},
		{"ping to a VIP", sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 1}.frame(), true},
		{"IPv6 to a VIP", sketch{src: "2001:db8::7", dst: "2001:db8:1::80", protocol: 6}.frame(), true},
		{"IPv6 next to the local addresses", sketch{src: "2001:db8::7", dst: "2001:db8:2::10", protocol: 6}.frame(), false},
		{"the host's own traffic", sketch{src: "198.51.100.7", dst: "192.0.2.1", protocol: 6}.frame(), false},
		{"from a VIP", sketch{src: "203.0.113.80", dst: "192.0.2.1", protocol: 6}.frame(), false},
		{"an IPv6 address that looks like a VIP", sketch{src: "2001:db8::7", dst: "::203.0.113.80", protocol: 6}.frame(), false},
		{"to another host's MAC address", sketch{dstMAC: 2, src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}.frame(), false},
		{"in a VLAN", tagged, false},
		{"ARP for a VIP", arp("203.0.113.80"), true},
		{"ARP for a neighbour", arp("192.0.2.9"), false},
		{"solicitation of a VIP", discovery(135, "2001:db8:1::80"), true},
		{"advertisement of a VIP", discovery(136, "2001:db8:1::80"), true},
		{"solicitation of a neighbour", discovery(135, "2001:db8:5::80"), false},
		{"router advertisement", discovery(134, "2001:db8:1::80"), false},
		{"a gated server's answer", sketch{src: "10.0.0.21", dst: "198.51.100.7", protocol: 6, srcPort: 8080, dstPort: 4711}.frame(), true},
		{"over IPv6", sketch{src: "2001:db8:3::21", dst: "2001:db8::7", protocol: 6, srcPort: 8080, dstPort: 4711, extensions: 1}.frame(), true},
		{"to another host's MAC address", sketch{dstMAC: 2, src: "10.0.0.21", dst: "198.51.100.7", protocol: 6, srcPort: 8080}.frame(), false},
		{"from another port of its own", sketch{src: "10.0.0.21", dst: "198.51.100.7", protocol: 6, srcPort: 4711, dstPort: 8080}.frame(), false},
		{"by another protocol", sketch{src: "10.0.0.21", dst: "198.51.100.7", protocol: 17, srcPort: 8080}.frame(), false},
		{"from one that has all its ports gated", sketch{src: "10.0.0.22", dst: "198.51.100.7", protocol: 17, srcPort: 5}.frame(), true},
		{"from another server", sketch{src: "10.0.0.22", dst: "198.51.100.7", protocol: 6, srcPort: 8080}.frame(), false},
		{"a gated server's fragment", sketch{src: "10.0.0.21", dst: "198.51.100.7", protocol: 17, fragment: 0x00b9}.frame(), true},
		{"another's fragment", sketch{src: "10.0.0.31", dst: "198.51.100.7", protocol: 17, fragment: 0x00b9}.frame(), false},
		{"a gated server's ping", sketch{src: "10.0.0.21", dst: "198.51.100.7", protocol: 1}.frame(), false},
		{"an error about a packet to a gated server", quoting(3, "10.0.0.1", "198.51.100.7", "10.0.0.21"), true},
		{"an error about a packet in a tunnel", quoting(11, "10.0.0.1", "192.0.2.1", "10.0.0.31"), true},
		{"over IPv6", quoting(2, "2001:db8:3::1", "2001:db8:5::1", "2001:db8:3::31"), true},
		{"an error about another packet", quoting(3, "10.0.0.1", "192.0.2.1", "10.0.0.32"), false},
		{"over IPv6", quoting(2, "2001:db8:3::1", "2001:db8:5::1", "2001:db8:3::32"), false},
		{"a ping that looks like one", quoting(8, "10.0.0.1", "192.0.2.1", "10.0.0.31"), false},
		{"cut off in the quote", quoting(3, "10.0.0.1", "192.0.2.1", "10.0.0.31")[:60], false},
		{"cut off in the IP header", sketch{src: "198.51.100.7", dst: "203.0.113.80"}.frame()[:30], false},
	}
	for _, tt := range tests {
		if got := takes(t, s, tt.frame); got != tt.want {
			t.Errorf("%s: let in: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSteeringSet(t *testing.T) {
	s := loadedSteering(t)
	frame := func(dst string) []byte { return sketch{src: "192.0.2.1", dst: dst, protocol: 6}.frame() }
	set := func(vips, locals string) {
		t.Helper()
		if _, err := s.set(Ours{VIPs: []netip.Prefix{netip.MustParsePrefix(vips)}, Locals: []netip.Prefix{netip.MustParsePrefix(locals)}}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(dst string, want bool) {
		t.Helper()
		if got := takes(t, s, frame(dst)); got != want {
			t.Errorf("%s: let in: %v, want %v", dst, got, want)
		}
	}
	gated := sketch{src: "10.0.0.21", dst: "198.51.100.7", protocol: 6, srcPort: 8080}.frame()
	if !takes(t, s, gated) {
		t.Error("a gated server's answer is not let in")
	}
	set("203.0.113.80/32", "10.9.0.0/28")
	if takes(t, s, gated) {
		t.Error("the answer of a server that is gated no longer is let in")
	}
	check("203.0.113.80", true)
	check("203.0.113.81", false)
	check("10.9.0.1", true)
	set("203.0.113.81/32", "10.9.0.0/30")
	check("203.0.113.80", false)
	check("203.0.113.81", true)
	check("10.9.0.1", true)
	check("10.9.0.4", false)
}

func BenchmarkFanout(b *testing.B) {
	s := loadedSteering(b)
	in := sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 6, srcPort: 4711, dstPort: 443}.frame()
	host := sketch{src: "198.51.100.7", dst: "192.0.2.1", protocol: 6, srcPort: 4711, dstPort: 443}.frame()
	for name, frame := range map[string][]byte{"ours": in, "host": host} {
		b.Run(name, func(b *testing.B) {
			_, d, err := s.program.Fanout.Benchmark(frame, b.N, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(d.Nanoseconds()), "kernel-ns/frame")
		})
	}
}
