package link

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"fleetlb/fullnat/internal/nettest"
)

// TestExpress asks the program which way frames go.
func TestExpress(t *testing.T) {
	w := newWireWith(t, newSteering(1), sendRings)
	const pass, redirect = 2, 4
	e := w.ports.express
	var mac [6]byte // a test run's frames come in by the loopback interface
	if err := e.program.Sites.Put(uint32(1), expressSite{Mac: mac, Longest: 1514}); err != nil {
		t.Fatal(err)
	}
	ours := testOurs
	ours.Hosts = []netip.Addr{netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("2001:db8:1::9")}
	if err := w.ports.Steer(ours); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		frame
		want uint32
	}{
		{"to a VIP", sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}.frame(), redirect},
		{"to a VIP, IPv6", sketch{src: "2001:db8:9::7", dst: "2001:db8:1::80", protocol: 17}.frame(), redirect},
		{"to a local address", sketch{src: "10.0.0.11", dst: "10.9.0.1", protocol: 17}.frame(), redirect},
		{"a server's answer to a client", sketch{src: "10.0.0.21", srcPort: 8080, dst: "198.51.100.7", protocol: 6}.frame(), redirect},
		{"from another of its ports", sketch{src: "10.0.0.21", srcPort: 8081, dst: "198.51.100.7", protocol: 6}.frame(), pass},
		{"of a server all of whose ports are gated", sketch{src: "10.0.0.22", srcPort: 1, dst: "198.51.100.7", protocol: 17}.frame(), redirect},
		{"between others", sketch{src: "198.51.100.7", dst: "198.51.100.8", protocol: 6}.frame(), pass},
		{"to the host's own address among VIPs", sketch{src: "198.51.100.7", dst: "203.0.113.9", protocol: 6}.frame(), pass},
		{"to the host's own address among VIPs, IPv6", sketch{src: "2001:db8:9::7", dst: "2001:db8:1::9", protocol: 6}.frame(), pass},
		{"to another station", sketch{dstMAC: 1, src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}.frame(), pass},
		{"a fragment", sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 17, fragment: 0x2000}.frame(), pass},
		{"a fragment, IPv6", sketch{src: "2001:db8:9::7", dst: "2001:db8:1::80", protocol: 17, fragment: 1}.frame(), pass},
		{"with extension headers", sketch{src: "2001:db8:9::7", dst: "2001:db8:1::80", protocol: 17, extensions: 1}.frame(), pass},
		{"ICMP", sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 1}.frame(), pass},
		{"with IP options", with(sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}.frame(), 14, 0x46), pass},
		{"ARP", with(sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}.frame(), 13, 0x06), pass},
		{"as long as it may be", lengthened(sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}.frame(), 1514), redirect},
		{"longer", lengthened(sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}.frame(), 1515), pass},
		{"cut off", sketch{src: "198.51.100.7", dst: "203.0.113.80", protocol: 6}.frame()[:36], pass},
	}
	for _, tt := range tests {
		got, err := e.program.Express.Run(&ebpf.RunOptions{Data: tt.frame, DataOut: make([]byte, 2000)})
		if err != nil || got != tt.want {
			t.Errorf("%s: verdict %d, want %d: %v", tt.name, got, tt.want, err)
		}
	}
}

type frame []byte

func with(b []byte, at int, value byte) frame {
	b[at] = value
	return b
}

func lengthened(b []byte, n int) frame { return append(b, make([]byte, n-len(b))...) }

// TestRingsCarry checks that plain frames do go by the rings, both ways, and come
// out as they went in.
func TestRingsCarry(t *testing.T) {
	w := newWireWith(t, newSteering(1), bothRings)
	w.forward(t)
	w.datagrams(t, "10.0.0.2:7", 1000)
	w.stop()
	q := w.ports.queues[0]
	for port := range q.taps {
		x := q.taps[port].rings[0]
		if x.rx.own < 900 || x.tx.own < 900 { // the others are fragments, or went together with them
			t.Errorf("port %d: %d frames came and %d went by the rings, want nearly 1000", port, x.rx.own, x.tx.own)
		}
	}
}

// TestRingLoses lets a worker be late: what the rings cannot hold is counted.
func TestRingLoses(t *testing.T) {
	w := newWireWith(t, newSteering(1), bothRings)
	sent := w.burst(t, w.source(t), 2*rxChunks)
	q := w.ports.Queues()[0]
	var frames [64]*Frame
	got := 0
	for n := q.Recv(frames[:]); n > 0; n = q.Recv(frames[:]) {
		got += n
		q.Free(frames[:n])
	}
	if s := w.ports.Stats()[0]; got < rxChunks || int(s.RxFull) > sent-got || int(s.RxFull) < (sent-got)*9/10 {
		t.Errorf("sent %d, received %d, want %d: %+v", sent, got, rxChunks, s)
	}
}

// TestNoRings says why there are none.
func TestNoRings(t *testing.T) {
	n, peer := nettest.New(t), nettest.New(t)
	nettest.Veth(n, "eth0", peer, "eth0")
	if err := n.LinkSetMTU(n.Link("eth0"), 9000); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		rings   bool
		workers int
		mtu     int
		want    string
	}{
		{false, 1, 1500, "packet sockets: as configured"},
		{true, 1, 9000, "packet sockets on eth0, where AF_XDP is no use: its MTU is more than a ring's frame holds"},
		{true, 2, 1500, "packet sockets on eth0, where AF_XDP is no use: it has fewer queues than there are workers"},
		{true, 1, 1500, "AF_XDP rings, beside packet sockets for what is large or unusual"},
	} {
		if err := n.LinkSetMTU(n.Link("eth0"), tt.mtu); err != nil {
			t.Fatal(err)
		}
		n.Do(func() {
			p, err := Open([]string{"eth0"}, tt.workers, tt.rings)
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			if how := p.Driver(); how != tt.want {
				t.Errorf("%+v: %q", tt, how)
			}
		})
	}
}

// TestRingAwaits: what the kernel has not sent at once it sends later, unasked.
func TestRingAwaits(t *testing.T) {
	w := newWireWith(t, newSteering(1), sendRings)
	q := w.ports.queues[0]
	q.Recv(make([]*Frame, 1))
	x := q.taps[1].rings[0]
	f := take(t, q.pool)
	f.Resize(60)
	x.room()
	x.put(0, f)
	x.tx.produce(1) // and nobody told the kernel
	for start := time.Now(); x.tx.pending() > 0; q.Wait(time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatal("it was never sent")
		}
	}
	if os.Getpagesize()%x.chunk != 0 {
		t.Errorf("chunks of %d bytes straddle pages", x.chunk)
	}
	q.pool.give(f)
}
