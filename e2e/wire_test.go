package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"fleetlb/e2e/lab"
)

// One site for the stories of packets that are cut, and of links that make it
// necessary.
func TestWire(t *testing.T) {
	s := open(t, lab.Options{Servers: 1}, service{name: "web", vip: "203.0.113.10", port: lab.HTTPPort})
	s.pin(t)
	t.Run("fragments inbound", func(t *testing.T) { fragmentsInbound(t, s) })
	t.Run("fragments outbound", func(t *testing.T) { fragmentsOutbound(t, s) })
	t.Run("fragments of nothing", func(t *testing.T) { fragmentsOfNothing(t, s) })
	t.Run("big datagrams", func(t *testing.T) { bigDatagrams(t, s) })
	t.Run("a narrow client", func(t *testing.T) { narrowClient(t, s) })
	t.Run("a narrow server", func(t *testing.T) { narrowServer(t, s) })
}

func noise(t *testing.T, n int64) []byte {
	t.Helper()
	b, err := io.ReadAll(lab.Noise(uint64(n), n))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Fragments in every order reach the server as one datagram.
func fragmentsInbound(t *testing.T, s *site) {
	s.use(t, service{name: "echo", vip: s.VIP4, port: lab.EchoPort, protocol: "udp"},
		service{name: "echo6", vip: s.VIP6, port: lab.EchoPort, protocol: "udp"})
	port := s.client.Port("clients")
	e := ends{port.MAC, s.Gateway.Port("clients").MAC}
	payload := noise(t, 3000)
	for family, vip := range s.families() {
		dst := netip.AddrPortFrom(netip.MustParseAddr(vip), lab.EchoPort)
		for i, order := range permutations(3) {
			c, err := s.client.ListenPacket("udp", at(port.Addr(dst.Addr().Is6()).String(), 0))
			if err != nil {
				t.Fatal(err)
			}
			src := c.LocalAddr().(*net.UDPAddr).AddrPort()
			pieces := fragment(frame(t, e, src, dst, &layers.UDP{}, payload), uint32(1000+i), 1024)
			for _, n := range order {
				if err := port.Inject(pieces[n]); err != nil {
					t.Fatal(err)
				}
			}
			if err := receive(c, payload); err != nil {
				t.Errorf("%s, order %v: %v", family, order, err)
			}
			c.Close()
		}
	}
}

// receive reads one datagram, which is to be the wanted one.
func receive(c net.PacketConn, want []byte) error {
	buf := make([]byte, 64<<10)
	c.SetReadDeadline(time.Now().Add(3 * time.Second))
	n, _, err := c.ReadFrom(buf)
	if err != nil {
		return err
	}
	if !bytes.Equal(buf[:n], want) {
		return fmt.Errorf("received %d bytes, not the %d that were sent", n, len(want))
	}
	return nil
}

// And so do those of the answer reach the client.
func fragmentsOutbound(t *testing.T, s *site) {
	const port = 7009
	s.use(t, service{name: "odd", vip: s.VIP4, port: port, protocol: "udp"},
		service{name: "odd6", vip: s.VIP6, port: port, protocol: "udp"})
	server := s.Servers[0]
	listener, err := server.ListenPacket("udp", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	back := server.Port("back")
	e := ends{back.MAC, s.lb.Host.Port("back").MAC}
	payload := noise(t, 3000)
	for family, vip := range s.families() {
		v6 := strings.Contains(vip, ":")
		src := netip.AddrPortFrom(back.Addr(v6), port)
		c, err := s.client.Dial(t.Context(), "udp", at(vip, port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i, order := range permutations(3) {
			fmt.Fprint(c, "a question")
			listener.SetReadDeadline(time.Now().Add(3 * time.Second))
			n, from, err := listener.ReadFrom(make([]byte, 100))
			if err != nil || n != len("a question") {
				t.Fatalf("%s: the server received %d bytes: %v", family, n, err)
			}
			asker := from.(*net.UDPAddr).AddrPort()
			asker = netip.AddrPortFrom(asker.Addr().Unmap(), asker.Port())
			if !local(asker.Addr().String(), s.lb.Locals) {
				t.Fatalf("%s: asked by %v", family, asker)
			}
			pieces := fragment(frame(t, e, src, asker, &layers.UDP{}, payload), uint32(2000+i), 1024)
			for _, n := range order {
				if err := back.Inject(pieces[n]); err != nil {
					t.Fatal(err)
				}
			}
			if err := receive(c.(net.PacketConn), payload); err != nil {
				t.Errorf("%s, order %v: %v", family, order, err)
			}
		}
	}
}

// Later fragments without a first one take no memory for long and harm nobody.
func fragmentsOfNothing(t *testing.T, s *site) {
	const flood = 5000
	s.use(t, service{name: "echo", vip: s.VIP4, port: lab.EchoPort, protocol: "udp"})
	port := s.client.Port("clients")
	e := ends{port.MAC, s.Gateway.Port("clients").MAC}
	src := netip.MustParseAddrPort("198.51.100.66:4711")
	dst := netip.AddrPortFrom(netip.MustParseAddr(s.VIP4), lab.EchoPort)
	whole := frame(t, e, src, dst, &layers.UDP{}, noise(t, 2000))
	var later [][]byte
	for id := range uint32(flood) {
		later = append(later, fragment(whole, id, 1024)[1])
	}
	before, _ := s.lb.Drops()
	if err := port.Inject(later...); err != nil {
		t.Fatal(err)
	}
	c, err := s.client.Dial(t.Context(), "udp", dst.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(noise(t, 3000))
	if err := receive(c.(net.PacketConn), noise(t, 3000)); err != nil {
		t.Errorf("a good datagram in the flood: %v", err)
	}
	// A socket buffer may overflow before the director sees them all.
	err = lab.Await(10*time.Second, "the flood to be counted", func() error {
		now, err := s.lb.Drops()
		n := now["fragment_lost"] + now["fragment_limit"] - before["fragment_lost"] - before["fragment_limit"]
		if err == nil && n < flood/2 {
			err = fmt.Errorf("%d of %d are: %v", n, flood, now)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// The largest datagrams, cut by the kernels at both ends.
func bigDatagrams(t *testing.T, s *site) {
	s.use(t, service{name: "echo", vip: s.VIP4, port: lab.EchoPort, protocol: "udp"},
		service{name: "echo6", vip: s.VIP6, port: lab.EchoPort, protocol: "udp"})
	for _, offloads := range []bool{false, true} {
		if err := s.SetOffloads(offloads); err != nil {
			t.Fatal(err)
		}
		for family, vip := range s.families() {
			c, err := s.client.Dial(t.Context(), "udp", at(vip, lab.EchoPort))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, size := range []int64{1, 1472, 1473, 9000, 65000} {
				payload := noise(t, size)
				c.Write(payload)
				if err := receive(c.(net.PacketConn), payload); err != nil {
					t.Errorf("%s, offloads %s, %d bytes: %v", family, onOff(offloads), size, err)
				}
			}
		}
	}
}

// The way to the client is narrower than the server knows: the router's complaint
// about a packet from the VIP must reach the server, as one about its own packet.
func narrowClient(t *testing.T, s *site) {
	s.use(t, service{name: "web", vip: s.VIP4, port: lab.HTTPPort}, service{name: "web6", vip: s.VIP6, port: lab.HTTPPort})
	port := s.Gateway.Port("clients")
	if err := port.SetMTU(1400); err != nil {
		t.Fatal(err)
	}
	defer port.SetMTU(1500)
	complaints, err := s.Servers[0].Port("back").Capture(lab.Everything)
	if err != nil {
		t.Fatal(err)
	}
	for family, vip := range s.families() {
		const size = 1 << 20
		res, err := s.client.HTTP(10 * time.Second).Get(fmt.Sprintf("%snoise?bytes=%d&seed=3", url(vip, lab.HTTPPort), size))
		if err != nil {
			t.Errorf("%s: %v", family, err)
			continue
		}
		got, err := lab.Hash(res.Body)
		res.Body.Close()
		if want, _ := lab.Hash(lab.Noise(3, size)); err != nil || got != want {
			t.Errorf("%s: hash %s, want %s: %v", family, got, want, err)
		}
	}
	if err := complaints.Stop(); err != nil {
		t.Error(err)
	}
	told := make(map[string]int)
	for _, c := range complaints.Select(tooBig) {
		if !c.Outgoing {
			told[c.Protocol]++
		}
	}
	if told["icmp"] == 0 || told["icmp6"] == 0 {
		t.Errorf("the server was told %v times that its packets are too big", told)
	}
}

// tooBig picks "fragmentation needed" and "packet too big".
func tooBig(p lab.Seen) bool {
	return p.Protocol == "icmp" && p.Type == 3 && p.Code == 4 || p.Protocol == "icmp6" && p.Type == 2
}

// The way to the server is narrower than the client knows: the director itself
// must say so, or cut what may be cut.
func narrowServer(t *testing.T, s *site) {
	s.use(t, service{name: "echo", vip: s.VIP4, port: lab.EchoPort, protocol: "udp"},
		service{name: "echo6", vip: s.VIP6, port: lab.EchoPort, protocol: "udp"})
	for _, h := range []*lab.Host{s.lb.Host, s.Servers[0]} {
		port := h.Port("back")
		if err := port.SetMTU(1400); err != nil {
			t.Fatal(err)
		}
		defer port.SetMTU(1500)
	}
	if err := lab.Await(5*time.Second, "the director to see the new MTU", func() error {
		c, err := s.client.Dial(t.Context(), "udp", at(s.VIP4, lab.EchoPort))
		if err != nil {
			return err
		}
		defer c.Close()
		return narrowed(c.(*net.UDPConn), false)
	}); err != nil {
		t.Error("IPv4:", err)
	}
	c, err := s.client.Dial(t.Context(), "udp", at(s.VIP6, lab.EchoPort))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := narrowed(c.(*net.UDPConn), true); err != nil {
		t.Error("IPv6:", err)
	}
	// Having been told, the client cuts its datagrams itself.
	c6, err := s.client.Dial(t.Context(), "udp", at(s.VIP6, lab.EchoPort))
	if err != nil {
		t.Fatal(err)
	}
	defer c6.Close()
	payload := noise(t, 1452)
	c6.Write(payload)
	if err := receive(c6.(net.PacketConn), payload); err != nil {
		t.Error("IPv6, cut by the client:", err)
	}
	// One who allows it gets his packets cut on the way.
	c4, err := s.client.Dial(t.Context(), "udp", at(s.VIP4, lab.EchoPort))
	if err != nil {
		t.Fatal(err)
	}
	defer c4.Close()
	if err := setOption(c4.(*net.UDPConn), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT); err != nil {
		t.Fatal(err)
	}
	payload = noise(t, 1472)
	c4.Write(payload)
	if err := receive(c4.(net.PacketConn), payload); err != nil {
		t.Error("IPv4, cut by the director:", err)
	}
}

// narrowed sends a datagram that fills 1500 bytes and must not be cut, and wants
// to be told of 1400.
func narrowed(c *net.UDPConn, v6 bool) error {
	level, discover, get, do, size := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_MTU, unix.IP_PMTUDISC_DO, 1472
	if v6 {
		level, discover, get, do, size = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_MTU, unix.IPV6_PMTUDISC_DO, 1452
	}
	if err := setOption(c, level, discover, do); err != nil {
		return err
	}
	if _, err := c.Write(make([]byte, size)); err != nil && !strings.Contains(err.Error(), syscall.EMSGSIZE.Error()) {
		return err
	}
	return lab.Await(time.Second, "word of the path's MTU", func() (err error) {
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		var mtu int
		raw.Control(func(fd uintptr) { mtu, err = unix.GetsockoptInt(int(fd), level, get) })
		if err == nil && mtu != 1400 {
			err = fmt.Errorf("the client believes in %d", mtu)
		}
		return err
	})
}

func setOption(c *net.UDPConn, level, option, value int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), level, option, value) }); err != nil {
		return err
	}
	return failed
}

// With routed servers the narrow place lies beyond the next router: its
// complaint is about a packet from a local address, and must reach the client.
func TestNarrowBeyond(t *testing.T) {
	s := open(t, lab.Options{Shape: lab.Routed, Router: "frr", Servers: 1},
		service{name: "web", vip: "203.0.113.10", port: lab.HTTPPort},
		service{name: "web6", vip: "2001:db8:f::10", port: lab.HTTPPort})
	if err := s.Gateway.Port("back").SetMTU(1400); err != nil {
		t.Fatal(err)
	}
	complaints, err := s.client.Port("clients").Capture(lab.Everything)
	if err != nil {
		t.Fatal(err)
	}
	file := s.client.File("noise")
	want := writeNoise(t, file, 4, 1<<20)
	for family, vip := range s.families() {
		out, err := s.client.Run(t.Context(), "curl", "-sSf", "-m", "10", "-T", file, url(vip, lab.HTTPPort)+"hash")
		if got := strings.TrimSpace(out); err != nil || got != want {
			t.Errorf("%s: hash %s, want %s: %v", family, got, want, err)
		}
	}
	if err := complaints.Stop(); err != nil {
		t.Error(err)
	}
	told := make(map[string]int)
	for _, c := range complaints.Select(tooBig) {
		told[c.Protocol]++
	}
	if told["icmp"] == 0 || told["icmp6"] == 0 {
		t.Errorf("the client was told %v times that its packets are too big", told)
	}
}
