package link

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"fleetlb/fullnat/internal/nettest"
)

// A wire is two hosts, a and b, joined by a box whose only forwarding is ours:
//
//	a eth0 ── in  box  out ── eth0 b
//
// Each host takes the box's MAC address for the other's.
type wire struct {
	a, b, box *nettest.Namespace
	ports     *Ports
	done      chan struct{}
	workers   sync.WaitGroup
}

func newWire(t testing.TB, steering *steering) *wire {
	t.Helper()
	return newWireWith(t, steering, noRings)
}

// What a wire's box makes of AF_XDP.
type rings int

const (
	noRings   rings = iota
	sendRings       // packet sockets receive, for nobody runs the program
	bothRings
)

func newWireWith(t testing.TB, steering *steering, rings rings) *wire {
	t.Helper()
	w := &wire{a: nettest.New(t), b: nettest.New(t), box: nettest.New(t)}
	nettest.Veth(w.a, "eth0", w.box, "in")
	nettest.Veth(w.b, "eth0", w.box, "out")
	w.a.Address("eth0", "10.0.0.1/24", "2001:db8::1/64")
	w.b.Address("eth0", "10.0.0.2/24", "2001:db8::2/64")
	w.acquaint()
	w.box.Do(func() {
		var err error
		if w.ports, err = open([]string{"in", "out"}, steering, rings != noRings); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { w.ports.Close() })
	if t.Failed() {
		t.FailNow()
	}
	if rings == bothRings {
		w.express(t, "in", "out")
	}
	both := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("2001:db8::/64")}
	if err := w.ports.Steer(Ours{VIPs: both}); err != nil {
		t.Fatal(err)
	}
	return w
}

// express has the box's interfaces run the program that feeds the rings.
func (w *wire) express(t testing.TB, names ...string) {
	t.Helper()
	if w.ports.Express() < 0 {
		t.Fatal(w.ports.Driver())
	}
	program := w.ports.express.program.Express
	w.box.Do(func() {
		for _, name := range names {
			hook, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: w.box.Link(name).Attrs().Index, Flags: link.XDPDriverMode})
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { hook.Close() })
		}
	})
}

// acquaint tells each host the MAC address that leads to the other.
func (w *wire) acquaint() {
	w.a.Neighbor("eth0", "10.0.0.2", w.box.MAC("in"))
	w.a.Neighbor("eth0", "2001:db8::2", w.box.MAC("in"))
	w.b.Neighbor("eth0", "10.0.0.1", w.box.MAC("out"))
	w.b.Neighbor("eth0", "2001:db8::1", w.box.MAC("out"))
}

// forward starts a worker for each queue; the function it returns stops them.
func (w *wire) forward(t testing.TB) {
	w.done = make(chan struct{})
	for _, q := range w.ports.Queues() {
		w.workers.Go(func() { w.carry(t, q) })
	}
	t.Cleanup(w.stop)
}

func (w *wire) stop() {
	select {
	case <-w.done:
		return
	default:
	}
	close(w.done)
	for _, q := range w.ports.Queues() {
		q.Wake()
	}
	w.workers.Wait()
}

// carry is a worker's life: every frame leaves by the other port.
func (w *wire) carry(t testing.TB, q Queue) {
	src := [2][]byte{w.box.MAC("in"), w.box.MAC("out")}
	dst := [2][]byte{w.a.MAC("eth0"), w.b.MAC("eth0")}
	var frames [64]*Frame
	for {
		select {
		case <-w.done:
			return
		default:
		}
		n := q.Recv(frames[:])
		if n == 0 {
			if err := q.Wait(time.Second); err != nil {
				t.Error(err)
				return
			}
			continue
		}
		for _, f := range frames[:n] {
			f.Port ^= 1
			copy(f.Bytes(), dst[f.Port])
			copy(f.Bytes()[6:], src[f.Port])
		}
		q.Free(frames[q.Send(frames[:n]):n])
	}
}

// withoutEBPF is how an unprivileged director steers.
func withoutEBPF(workers int) *steering {
	return &steering{workers: workers, reason: errors.New("operation not permitted")}
}

func TestForward(t *testing.T) {
	for _, offloads := range []bool{true, false} {
		for _, tt := range []struct {
			name     string
			steering *steering
			rings    rings
		}{
			{"one worker", newSteering(1), noRings},
			{"ebpf", newSteering(2), noRings},
			{"classic", withoutEBPF(2), noRings},
			{"rings to send", newSteering(1), sendRings},
			{"rings", newSteering(1), bothRings},
		} {
			t.Run(fmt.Sprintf("offloads %v/%s", offloads, tt.name), func(t *testing.T) {
				w := newWireWith(t, tt.steering, min(tt.rings, sendRings))
				for _, n := range []*nettest.Namespace{w.a, w.b} {
					n.Offloads("eth0", offloads)
				}
				w.box.Offloads("in", offloads)
				w.box.Offloads("out", offloads)
				if tt.rings == bothRings { // which ends the hosts' segmentation offload
					w.express(t, "in", "out")
				}
				w.forward(t)
				defer func() {
					for _, s := range w.ports.Stats() {
						t.Logf("%+v", s)
					}
				}()
				for _, to := range []string{"10.0.0.2:7", "[2001:db8::2]:7"} {
					w.exchange(t, to, 16<<20)
					w.datagrams(t, to, 10000)
					w.segments(t, to)
				}
			})
		}
	}
}

// exchange sends random bytes from a to b over TCP, which b sends back.
func (w *wire) exchange(t *testing.T, to string, size int) {
	t.Helper()
	var l net.Listener
	w.b.Do(func() {
		var err error
		if l, err = net.Listen("tcp", to); err != nil {
			t.Error(err)
		}
	})
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(c, c)
	}()
	var c net.Conn
	w.a.Do(func() {
		var err error
		if c, err = net.DialTimeout("tcp", to, 5*time.Second); err != nil {
			t.Error(err)
		}
	})
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))

	var seed [32]byte
	sent := sha256.New()
	go func() {
		io.Copy(c, io.TeeReader(io.LimitReader(rand.NewChaCha8(seed), int64(size)), sent))
		c.(*net.TCPConn).CloseWrite()
	}()
	echoed := sha256.New()
	n, err := io.Copy(echoed, c)
	if err != nil || n != int64(size) {
		t.Fatalf("tcp %s: %d of %d bytes came back: %v", to, n, size, err)
	}
	if !bytes.Equal(echoed.Sum(nil), sent.Sum(nil)) {
		t.Errorf("tcp %s: bytes changed on the way", to)
	}
}

// datagrams sends n datagrams of all sizes from a to b, each of which comes back.
func (w *wire) datagrams(t *testing.T, to string, n int) {
	t.Helper()
	var server net.PacketConn
	w.b.Do(func() {
		var err error
		if server, err = net.ListenPacket("udp", to); err != nil {
			t.Error(err)
		}
	})
	defer server.Close()
	go func() {
		b := make([]byte, 10000)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			server.WriteTo(b[:n], from)
		}
	}()
	var c net.Conn
	w.a.Do(func() {
		var err error
		if c, err = net.Dial("udp", to); err != nil {
			t.Error(err)
		}
	})
	defer c.Close()
	// A window of 32 is on its way at a time, so that nothing need be lost. What
	// is lost all the same, because other tests fill the kernel's queues that all
	// namespaces share, is bounded.
	window := make(chan struct{}, 32)
	var sender sync.WaitGroup
	sender.Go(func() {
		for i := range n {
			window <- struct{}{}
			if _, err := c.Write(payload(i)); err != nil {
				t.Error(err)
			}
		}
	})
	// Fragments may take another worker, and time, than whole datagrams.
	b := make([]byte, 10000)
	seen := make([]bool, 1<<16)
	lost := 0
	for range n {
		c.SetReadDeadline(time.Now().Add(time.Second))
		if k, err := c.Read(b); err != nil {
			lost++
		} else if i := int(b[0]) | int(b[1])<<8; seen[i] || !bytes.Equal(b[:k], payload(i)) {
			t.Errorf("udp %s: datagram %d came twice or changed", to, i)
		} else {
			seen[i] = true
		}
		<-window
	}
	sender.Wait()
	if lost > 1+n/1000 {
		t.Errorf("udp %s: lost %d of %d datagrams", to, lost, n)
	}
}

// payload returns the bytes of datagram i. Some need fragments.
func payload(i int) []byte {
	b := bytes.Repeat([]byte{byte(i), byte(i >> 8), 0x5a}, 1+i%484)
	if i%50 == 0 {
		b = bytes.Repeat(b, 1+5000/len(b))
	}
	return b
}

// segments sends 20 datagrams from a to b in one call (UDP_SEGMENT), as QUIC
// servers do.
func (w *wire) segments(t *testing.T, to string) {
	t.Helper()
	var server net.PacketConn
	var c net.Conn
	w.b.Do(func() { server, _ = net.ListenPacket("udp", to) })
	defer server.Close()
	w.a.Do(func() { c, _ = net.Dial("udp", to) })
	defer c.Close()
	raw, _ := c.(*net.UDPConn).SyscallConn()
	raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, 1000); err != nil {
			t.Error(err)
		}
	})
	sent := make([]byte, 20000)
	rand.NewChaCha8([32]byte{}).Read(sent)
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	server.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 2000)
	for i := 0; i < len(sent); i += 1000 {
		n, _, err := server.ReadFrom(b)
		if err != nil {
			t.Fatalf("udp %s: segment %d: %v", to, i/1000, err)
		}
		if !bytes.Equal(b[:n], sent[i:i+1000]) {
			t.Fatalf("udp %s: segment %d changed on the way", to, i/1000)
		}
	}
}

// TestFlap takes the box's interface down and up, and then removes it and makes
// it again: traffic goes on by itself.
func TestFlap(t *testing.T) {
	w := newWire(t, newSteering(2))
	w.forward(t)
	w.datagrams(t, "10.0.0.2:7", 100)

	w.box.Down("out")
	w.a.Do(func() { sendInto(t, "10.0.0.2:7") })
	w.box.Up("out")
	w.b.Neighbor("eth0", "10.0.0.1", w.box.MAC("out"))
	w.eventually(t, "10.0.0.2:7")

	if err := w.box.LinkDel(w.box.Link("out")); err != nil {
		t.Fatal(err)
	}
	w.a.Do(func() { sendInto(t, "10.0.0.2:7") })
	nettest.Veth(w.b, "eth0", w.box, "out")
	w.b.Address("eth0", "10.0.0.2/24")
	w.acquaint()
	w.stop() // for the new interface's MAC address
	w.forward(t)
	w.eventually(t, "10.0.0.2:7")
	if got, want := w.ports.Interfaces()[1].Index, w.box.Link("out").Attrs().Index; got != want {
		t.Errorf("interface out has index %d, want %d", got, want)
	}
}

// sendInto sends a datagram that is not expected to arrive.
func sendInto(t *testing.T, to string) {
	c, err := net.Dial("udp", to)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.Write([]byte("lost"))
}

// eventually fails the test unless a datagram comes back within a few seconds.
func (w *wire) eventually(t *testing.T, to string) {
	t.Helper()
	var server net.PacketConn
	w.b.Do(func() { server, _ = net.ListenPacket("udp", to) })
	defer server.Close()
	go func() {
		b := make([]byte, 100)
		for {
			_, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			server.WriteTo(b[:1], from)
		}
	}()
	var c net.Conn
	w.a.Do(func() { c, _ = net.Dial("udp", to) })
	defer c.Close()
	start := time.Now()
	for b := make([]byte, 1); time.Since(start) < 5*time.Second; {
		c.Write([]byte("?"))
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := c.Read(b); err == nil {
			t.Logf("back after %v", time.Since(start).Round(time.Millisecond))
			return
		}
	}
	t.Errorf("nothing comes back from %s", to)
}

// TestOpenDown opens an interface that is down and comes up later.
func TestOpenDown(t *testing.T) {
	n, peer := nettest.New(t), nettest.New(t)
	nettest.Veth(n, "eth0", peer, "eth0")
	n.Down("eth0")
	var p *Ports
	n.Do(func() {
		var err error
		if p, err = Open([]string{"eth0"}, 2, true); err != nil {
			t.Error(err)
		}
	})
	defer p.Close()
	q := p.Queues()[0]
	var f [1]*Frame
	try := func() int {
		q.Alloc(f[:])
		f[0].Resize(60)
		f[0].Bytes()[12] = 0x08
		n := q.Send(f[:])
		q.Free(f[n:])
		return n
	}
	if try() != 0 || p.Stats()[0].TxDown != 1 {
		t.Errorf("sent by an interface that is down: %+v", p.Stats()[0])
	}
	n.Up("eth0")
	for range 50 {
		if try() == 1 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("an interface that came up is not used: %+v", p.Stats()[0])
}

func TestOpenErrors(t *testing.T) {
	n := nettest.New(t)
	nettest.Veth(n, "eth0", nettest.New(t), "eth0")
	tests := []struct {
		interfaces []string
		workers    int
		want       string
	}{
		{make([]string, 256), 1, "link: 256 interfaces: more than 255"},
		{[]string{"eth0"}, 0, "link: 0 workers: not between 1 and 256"},
		{[]string{"eth0", "eth0"}, 1, "interface eth0: listed twice"},
		{[]string{"eth0", "eth7"}, 1, "interface eth7: route ip+net: no such network interface"},
		{[]string{"lo"}, 1, "interface lo: not an Ethernet interface"},
	}
	n.Do(func() {
		for _, tt := range tests {
			if _, err := Open(tt.interfaces, tt.workers, true); err == nil || err.Error() != tt.want {
				t.Errorf("Open(%q, %d): error %q, want %q", tt.interfaces, tt.workers, err, tt.want)
			}
		}
	})
}

// TestNoInterface: a director may run before it has anything to carry.
func TestNoInterface(t *testing.T) {
	p, err := Open(nil, 2, true)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Steer(Ours{}); err != nil {
		t.Error(err)
	}
	q := p.Queues()[1]
	if n := q.Recv(make([]*Frame, 1)); n != 0 {
		t.Errorf("received %d frames", n)
	}
	q.Wake()
	if err := q.Wait(time.Minute); err != nil {
		t.Error(err)
	}
}

// TestLeaks opens and closes a set of interfaces and counts what is left.
func TestLeaks(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	n, peer := nettest.New(t), nettest.New(t)
	nettest.Veth(n, "eth0", peer, "eth0")
	cycle := func() {
		n.Do(func() {
			p, err := Open([]string{"eth0"}, 2, true)
			if err != nil {
				t.Error(err)
				return
			}
			q := p.Queues()[0]
			q.Recv(make([]*Frame, 1))
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			q.Wake()
		})
	}
	cycle()
	before := descriptors(t)
	cycle()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
