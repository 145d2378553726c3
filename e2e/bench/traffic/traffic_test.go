package traffic

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"fleetlb/e2e/lab"
)

var first = netip.MustParseAddr("198.18.0.0")

// server answers in the driver, kernel by its kernel, at the same port.
const (
	server = "10.3.0.10:8080"
	kernel = "10.3.0.20:8080"
)

// A street has a crowd at one end and a server at the other, and in the middle a
// router, where everything can be seen.
type street struct {
	*lab.Lab
	client, router, server *lab.Host
}

func newStreet(t *testing.T) street {
	l := lab.ForTest(t, lab.Layout{
		{Name: "client", Plugs: []lab.Plug{{LAN: "front", Addrs: []string{"10.1.0.2/24"}}}, Routes: []string{"default via 10.1.0.1"}},
		{Name: "router", Router: true, Plugs: []lab.Plug{
			{LAN: "front", Addrs: []string{"10.1.0.1/24"}}, {LAN: "back", Addrs: []string{"10.3.0.1/24"}},
		}, Routes: []string{"198.18.0.0/20 via 10.1.0.2"}},
		{Name: "server", Plugs: []lab.Plug{{LAN: "back", Addrs: []string{"10.3.0.10/24"}}}, Routes: []string{"default via 10.3.0.1"}},
		{Name: "kernel", Plugs: []lab.Plug{{LAN: "back", Addrs: []string{"10.3.0.20/24"}}}, Routes: []string{"default via 10.3.0.1"}},
	})
	if err := l.TakeFromDrivers(true); err != nil {
		t.Fatal(err)
	}
	return street{l, l.Host("client"), l.Host("router"), l.Host("server")}
}

func (s street) open(t *testing.T, target string) *Crowd {
	t.Helper()
	c, err := Open(Config{
		Clients: s.client.Do, Server: s.server.Do, ClientPort: "eth0", ServerPort: "eth0",
		Gateway: s.router.Ports[0].MAC, First: first, Target: netip.MustParseAddrPort(target),
		Answers: netip.MustParseAddrPort(server).Addr(), Sessions: 10_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// watch records what passes the router's port to the clients until seen is called.
func (s street) watch(t *testing.T) (seen func() []*message) {
	t.Helper()
	c, err := s.router.Ports[0].Capture(lab.Everything)
	if err != nil {
		t.Fatal(err)
	}
	return func() (all []*message) {
		t.Helper()
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
		for _, f := range c.Frames() {
			if m := parse(t, f); m != nil {
				all = append(all, m)
			}
		}
		return all
	}
}

// A message is a frame of TCP or UDP, as gopacket reads it.
type message struct {
	request  bool // from the clients' side
	size     int
	src, dst netip.AddrPort
	eth      *layers.Ethernet
	ip       *layers.IPv4
	tcp      *layers.TCP
	udp      *layers.UDP
	payload  []byte
}

// parse reads a frame, and sees that gopacket would have written the same: every
// length and checksum is right.
func parse(t *testing.T, f lab.CapturedFrame) *message {
	t.Helper()
	p := gopacket.NewPacket(f.Bytes, layers.LayerTypeEthernet, gopacket.Default)
	m := &message{request: !f.Outgoing, size: len(f.Bytes)}
	m.ip, _ = p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	m.tcp, _ = p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	m.udp, _ = p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if m.ip == nil || m.tcp == nil && m.udp == nil {
		return nil
	}
	m.eth = p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	src, _ := netip.AddrFromSlice(m.ip.SrcIP)
	dst, _ := netip.AddrFromSlice(m.ip.DstIP)
	again := []gopacket.SerializableLayer{m.eth, m.ip}
	if m.tcp != nil {
		m.src, m.dst = netip.AddrPortFrom(src, uint16(m.tcp.SrcPort)), netip.AddrPortFrom(dst, uint16(m.tcp.DstPort))
		m.payload = m.tcp.Payload
		m.tcp.SetNetworkLayerForChecksum(m.ip)
		again = append(again, m.tcp)
	} else {
		m.src, m.dst = netip.AddrPortFrom(src, uint16(m.udp.SrcPort)), netip.AddrPortFrom(dst, uint16(m.udp.DstPort))
		m.payload = m.udp.Payload
		m.udp.SetNetworkLayerForChecksum(m.ip)
		again = append(again, m.udp)
	}
	whole := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(whole, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		append(again, gopacket.Payload(m.payload))...); err != nil {
		t.Fatal(err)
	}
	got := whole.Bytes()
	if m.tcp != nil && f.Bytes[50] == 0xff && f.Bytes[51] == 0xff { // a kernel's way to write 0
		f.Bytes[50], f.Bytes[51] = 0, 0
	}
	if !bytes.Equal(got[:min(len(got), len(f.Bytes))], f.Bytes) {
		t.Fatalf("frame %x\nshould be %x", f.Bytes, got)
	}
	return m
}

func isClient(a netip.AddrPort) bool {
	return netip.PrefixFrom(first, 20).Contains(a.Addr()) && a.Port() >= 32768
}

// Each session is a client of its own, is asked about as often as was said, and
// gets its own request back.
func TestWarm(t *testing.T) {
	s := newStreet(t)
	c := s.open(t, server)
	seen := s.watch(t)
	const sessions, answers = 5000, 3
	if err := c.Warm(context.Background(), sessions, answers); err != nil {
		t.Fatal(err)
	}
	asked, answered := map[netip.AddrPort]int{}, map[netip.AddrPort]int{}
	requests := map[string]*message{}
	for _, m := range seen() {
		if m.size != 64 || m.udp == nil {
			t.Fatalf("a frame of %d bytes: %+v", m.size, m)
		}
		if m.request {
			if !isClient(m.src) || m.dst.String() != server || m.ip.TTL != 64 || m.eth.DstMAC.String() != s.router.Ports[0].MAC.String() {
				t.Fatalf("request %v > %v, TTL %d", m.src, m.dst, m.ip.TTL)
			}
			asked[m.src]++
			requests[m.src.String()+string(m.payload)] = m
			continue
		}
		q := requests[m.dst.String()+string(m.payload)]
		if q == nil || m.src != q.dst || m.ip.TTL != 63 {
			t.Fatalf("answer %v > %v, TTL %d: to no request", m.src, m.dst, m.ip.TTL)
		}
		answered[m.dst]++
	}
	if len(asked) != sessions || len(answered) != sessions {
		t.Errorf("%d clients asked and %d were answered, want %d", len(asked), len(answered), sessions)
	}
	for who, n := range answered {
		if n < answers {
			t.Errorf("%v was answered %d times", who, n)
		}
	}
}

// What is counted is what went by, in frames of the size that was asked for.
func TestRoundTrips(t *testing.T) {
	for _, size := range []int{64, 1400} {
		s := newStreet(t)
		c := s.open(t, server)
		seen := s.watch(t)
		if err := c.keep(context.Background(), control{mode: atRandom, sessions: 300, size: uint32(size)}, nil, func() bool {
			return c.now().answered > 5000
		}); err != nil {
			t.Fatal(err)
		}
		clients, answers := map[netip.AddrPort]bool{}, uint64(0)
		for _, m := range seen() {
			if m.size != size {
				t.Fatalf("a frame of %d bytes, want %d", m.size, size)
			}
			if m.request {
				clients[m.src] = true
			} else {
				answers++
			}
		}
		all := c.now()
		if all.answered != answers || all.wrong+all.late+all.refused != 0 {
			t.Errorf("%d B: %d answers went by; counted %+v", size, answers, all)
		}
		if len(clients) != 300 {
			t.Errorf("%d B: %d clients, want 300", size, len(clients))
		}
	}
}

// The clients' TCP is good enough for a kernel, and the server's for the clients.
func TestConnections(t *testing.T) {
	for _, target := range []string{server, kernel} {
		s := newStreet(t)
		if err := s.SetOffloads(false); err != nil { // so that the kernel's checksums can be seen
			t.Fatal(err)
		}
		if err := s.TakeFromDrivers(true); err != nil {
			t.Fatal(err)
		}
		l, err := s.Host("kernel").Listen("tcp", kernel)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go echo(l)
		c := s.open(t, target)
		seen := s.watch(t)
		var lost uint64
		if err := c.keep(context.Background(), control{mode: connect}, &lost, func() bool { return c.now().answered > 2000 }); err != nil {
			t.Fatal(err)
		}
		began, ended := map[netip.AddrPort]bool{}, 0
		for _, m := range seen() {
			switch {
			case m.tcp == nil:
				t.Fatalf("not TCP: %+v", m)
			case m.tcp.RST:
				t.Fatalf("%s: a reset: %v > %v", target, m.src, m.dst)
			case m.request && m.tcp.SYN:
				if began[m.src] || !isClient(m.src) || m.dst.String() != target {
					t.Fatalf("%s: SYN %v > %v, once more, or from nobody", target, m.src, m.dst)
				}
				began[m.src] = true
			case m.request && m.tcp.FIN:
				ended++
			}
		}
		n := c.now() // a kernel may be slow, but not wrong
		if n.wrong+n.resets+n.refused > 0 || target == server && lost > 0 || uint64(ended) < n.answered || len(began) < ended {
			t.Errorf("%s: %d connections began and %d ended; %d lost, counted %+v", target, len(began), ended, lost, n)
		}
	}
}

// echo answers a request with itself and hangs up.
func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			request := make([]byte, 8)
			if _, err := io.ReadFull(c, request); err == nil {
				c.Write(request)
			}
		}()
	}
}

// A kernel finds nothing wrong with the server, whether it completes its checksums
// or leaves that to the network card, which there is none.
func TestKernelAsClient(t *testing.T) {
	for _, offloads := range []bool{true, false} {
		s := newStreet(t)
		if err := s.SetOffloads(offloads); err != nil {
			t.Fatal(err)
		}
		if err := s.TakeFromDrivers(true); err != nil {
			t.Fatal(err)
		}
		s.open(t, server)
		for _, request := range []string{"x", "a request", string(bytes.Repeat([]byte("0123456789"), 140))} {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			conn, err := s.Host("kernel").Dial(ctx, "tcp", server)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(conn); err != nil || string(got) != request {
				t.Errorf("offloads %v: answer to %d bytes: %d bytes, %v", offloads, len(request), len(got), err)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A rate is kept, and every answer's time is in the histogram.
func TestLatency(t *testing.T) {
	c := newStreet(t).open(t, server)
	const rate, d = 2000, 500 * time.Millisecond
	l, err := c.Latency(context.Background(), 100, 64, rate, d)
	if err != nil {
		t.Fatal(err)
	}
	if most := uint64(rate*d.Seconds()) + 1; l.Sent == 0 || l.Sent > most || l.Lost != 0 {
		t.Errorf("%d sent, want at most %d; %d lost", l.Sent, most, l.Lost)
	}
	var all uint64
	for _, n := range c.times {
		all += n
	}
	if all != l.Done || l.P50 <= 0 || l.P50 > l.P99 || l.P99 > l.P999 {
		t.Errorf("%d times of %d answers: %+v", all, l.Done, l)
	}
}
