package link

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// eitherWay runs a test with packet sockets alone, and with rings.
func eitherWay(t *testing.T, test func(*testing.T, *wire)) {
	for name, rings := range map[string]rings{"packet": noRings, "rings": bothRings} {
		t.Run(name, func(t *testing.T) { test(t, newWireWith(t, newSteering(1), rings)) })
	}
}

// TestSendRefuses sends a batch in which some frames cannot go.
func TestSendRefuses(t *testing.T) { eitherWay(t, testSendRefuses) }

func testSendRefuses(t *testing.T, w *wire) {
	q := w.ports.Queues()[0]
	good := sketch{src: "10.0.0.1", dst: "192.0.2.1", protocol: 17}.frame()
	frames := make([]*Frame, 100)
	if n := q.Alloc(frames); n != len(frames) {
		t.Fatalf("Alloc: %d of %d frames", n, len(frames))
	}
	for _, f := range frames {
		f.Resize(len(good))
		copy(f.Bytes(), good)
	}
	frames[0].Resize(4000)                                                           // beyond the MTU
	frames[7].Offload = Offload{Flags: flagNeedsChecksum, ChecksumStart: 9000}       // beyond the frame
	frames[8].Offload = Offload{GSOType: 99, GSOSize: 100, Flags: flagNeedsChecksum} // no such kind
	frames[70].Port = 7                                                              // no such port
	frames[99].Port = 1
	refused := map[*Frame]bool{frames[0]: true, frames[7]: true, frames[8]: true, frames[70]: true}

	n := q.Send(frames)
	if n != 96 {
		t.Errorf("Send: %d frames, want 96", n)
	}
	for _, f := range frames[n:] {
		if !refused[f] {
			t.Errorf("a good frame was refused: port %d, %d bytes", f.Port, len(f.Bytes()))
		}
	}
	q.Free(frames[n:])
	in, out := w.ports.Stats()[0], w.ports.Stats()[1]
	if in.TxFrames != 95 || in.TxTooBig != 1 || in.TxRefused != 2 || out.TxFrames != 1 {
		t.Errorf("counts: %+v, %+v", in, out)
	}
	if free := w.ports.queues[0].pool.Len(); free != poolFrames {
		t.Errorf("%d frames in the pool, want %d", free, poolFrames)
	}
}

// TestOverload sends more than a worker that does not receive can hold.
func TestOverload(t *testing.T) { eitherWay(t, testOverload) }

func testOverload(t *testing.T, w *wire) {
	source := w.source(t)
	sent := w.burst(t, source, 60000)
	q := w.ports.Queues()[0]
	var frames [64]*Frame
	got := 0
	for n := q.Recv(frames[:]); n > 0; n = q.Recv(frames[:]) {
		got += n
		q.Free(frames[:n])
	}
	s := w.ports.Stats()[0]
	// The kernel loses a few on the way, uncounted, when other tests fill the
	// queues that all namespaces share.
	if told := got + int(s.RxFull); s.RxFull == 0 || int(s.RxFrames) != got || told > sent || told < sent*9/10 {
		t.Errorf("sent %d, received %d: %+v", sent, got, s)
	}
	if w.ports.Stats()[0] != s {
		t.Errorf("counts change by themselves: %+v, %+v", s, w.ports.Stats()[0])
	}
}

// TestStarved holds all frames: Recv returns nothing, Wait does not spin.
func TestStarved(t *testing.T) { eitherWay(t, testStarved) }

func testStarved(t *testing.T, w *wire) {
	source := w.source(t)
	w.burst(t, source, 2*poolFrames)
	q := w.ports.Queues()[0]
	frames := make([]*Frame, 2*poolFrames)
	held := 0
	for n := q.Recv(frames); n > 0; n = q.Recv(frames[held:]) {
		held += n
	}
	if held != poolFrames {
		t.Errorf("held %d frames, want %d", held, poolFrames)
	}
	start := time.Now()
	for range 10 {
		if err := q.Wait(time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 5*time.Millisecond || took > time.Second {
		t.Errorf("10 waits without a frame to receive into took %v", took)
	}
	q.Free(frames[:held])
	if n := q.Recv(frames); n == 0 {
		t.Error("frames are free again, and nothing is received")
	}
}

func TestWait(t *testing.T) { eitherWay(t, testWait) }

func testWait(t *testing.T, w *wire) {
	source := w.source(t)
	q := w.ports.Queues()[0]
	// A signal of the runtime's may end a wait early, though not ever again.
	timed := func(what string, atLeast, atMost, timeout time.Duration) {
		t.Helper()
		start := time.Now()
		for range 10 {
			if err := q.Wait(timeout); err != nil {
				t.Fatal(err)
			}
			if time.Since(start) >= atLeast {
				break
			}
		}
		if took := time.Since(start); took < atLeast || took > atMost {
			t.Errorf("%s: waited %v, want %v to %v", what, took, atLeast, atMost)
		}
	}
	q.Recv(make([]*Frame, 1))
	timed("nothing happens", 20*time.Millisecond, time.Second, 20*time.Millisecond)
	q.Wake()
	timed("woken before", 0, 100*time.Millisecond, time.Second)
	timed("woken only once", 20*time.Millisecond, time.Second, 20*time.Millisecond)
	time.AfterFunc(20*time.Millisecond, q.Wake)
	timed("woken meanwhile", 10*time.Millisecond, time.Second, 5*time.Second)
	time.AfterFunc(20*time.Millisecond, q.Wake)
	timed("for ever", 10*time.Millisecond, time.Second, -1)
	var sender sync.WaitGroup
	sender.Go(func() {
		time.Sleep(20 * time.Millisecond)
		w.burst(t, source, 1)
	})
	timed("a frame comes", 10*time.Millisecond, time.Second, 5*time.Second)
	sender.Wait()
	timed("a frame is there", 0, 100*time.Millisecond, 5*time.Second)

	w.ports.Close()
	q.Wake()
	if err := q.Wait(time.Second); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if n := q.Recv(make([]*Frame, 1)); n != 0 {
		t.Errorf("closed: received %d", n)
	}
}

// source opens a's interface.
func (w *wire) source(t testing.TB) Queue {
	t.Helper()
	var p *Ports
	w.a.Do(func() {
		var err error
		if p, err = Open([]string{"eth0"}, 1, false); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { p.Close() })
	return p.Queues()[0]
}

// burst sends n frames from a to b and returns how many went.
func (w *wire) burst(t testing.TB, source Queue, n int) int {
	t.Helper()
	frame := sketch{src: "10.0.0.1", dst: "10.0.0.2", protocol: 17, srcPort: 4711, dstPort: 7}.frame()[:60]
	copy(frame, w.box.MAC("in"))
	var frames [64]*Frame
	sent := 0
	for sent < n {
		k := source.Alloc(frames[:min(len(frames), n-sent)])
		for _, f := range frames[:k] {
			f.Resize(len(frame))
			copy(f.Bytes(), frame)
		}
		if went := source.Send(frames[:k]); went != k {
			t.Errorf("source: %d of %d frames went", went, k)
			return sent
		}
		sent += k
	}
	return sent
}

// TestHostTraffic checks that nothing reaches a worker but what Steer names.
func TestHostTraffic(t *testing.T) {
	for name, steering := range map[string]*steering{"ebpf": newSteering(2), "classic": withoutEBPF(2)} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, steering)
			w.box.Address("in", "10.0.0.9/24")
			if err := w.ports.Steer(Ours{VIPs: []netip.Prefix{netip.MustParsePrefix("203.0.113.80/32")}}); err != nil {
				t.Fatal(err)
			}
			w.forwardless(t, "10.0.0.9:7")
			for _, s := range w.ports.Stats() {
				if s.RxFrames > 4 { // ARP
					t.Errorf("the host's own traffic reached a worker: %+v", s)
				}
			}
		})
	}
}

// forwardless sends 100 datagrams from a to the box itself, which answers.
func (w *wire) forwardless(t *testing.T, to string) {
	t.Helper()
	var server net.PacketConn
	var c net.Conn
	w.box.Do(func() { server, _ = net.ListenPacket("udp", to) })
	defer server.Close()
	w.a.Do(func() { c, _ = net.Dial("udp", to) })
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	server.SetDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 100)
	for range 100 {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_, from, err := server.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		server.WriteTo(b[:1], from)
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range w.ports.Queues() {
		var frames [64]*Frame
		q.Free(frames[:q.Recv(frames[:])])
	}
}
