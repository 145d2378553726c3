package link

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"fleetlb/fullnat/internal/nettest"
)

// BenchmarkForward carries 60-byte frames over the box of a wire, all on one
// thread: box-ns/frame is the time from Recv to the end of Send, in which the
// kernel also takes the frame to its receiver.
func BenchmarkForward(b *testing.B) {
	b.Run("batched", func(b *testing.B) {
		w := newWire(b, newSteering(1))
		q := w.ports.Queues()[0]
		var frames [64]*Frame
		w.flood(b, func() int {
			n := q.Recv(frames[:])
			for _, f := range frames[:n] {
				f.Port ^= 1
			}
			q.Free(frames[q.Send(frames[:n]):n])
			return n
		})
	})
	b.Run("frame by frame", func(b *testing.B) {
		w := newWire(b, newSteering(1))
		if err := w.ports.Steer(Ours{}); err != nil {
			b.Fatal(err)
		}
		in, out := rawConn(b, w.box, "in"), rawConn(b, w.box, "out")
		to := &packet.Addr{HardwareAddr: w.b.MAC("eth0")}
		buf := make([]byte, 2048)
		w.flood(b, func() int {
			n, _, err := in.ReadFrom(buf)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := out.WriteTo(buf[:n], to); err != nil {
				b.Fatal(err)
			}
			return 1
		})
	})
}

func rawConn(b *testing.B, n *nettest.Namespace, name string) *packet.Conn {
	var c *packet.Conn
	n.Do(func() {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			b.Error(err)
			return
		}
		if c, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, nil); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() { c.Close() })
	return c
}

// flood sends b.N frames from a, 64 at a time, and lets carry take them on.
func (w *wire) flood(b *testing.B, carry func() int) {
	source := w.source(b)
	var spent time.Duration
	for b.Loop() {
		if w.burst(b, source, 64) != 64 {
			b.FailNow()
		}
		start := time.Now()
		for n := 0; n < 64; {
			n += carry()
		}
		spent += time.Since(start)
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/64, "box-ns/frame")
}

// BenchmarkStream sends a TCP stream from a to b, as super-packets and as
// packets of the MTU's size.
func BenchmarkStream(b *testing.B) {
	for _, offloads := range []bool{true, false} {
		b.Run(fmt.Sprintf("offloads=%v", offloads), func(b *testing.B) {
			w := newWire(b, newSteering(1))
			w.a.Offloads("eth0", offloads)
			w.b.Offloads("eth0", offloads)
			w.box.Offloads("in", offloads)
			w.box.Offloads("out", offloads)
			w.forward(b)
			var l net.Listener
			var c net.Conn
			w.b.Do(func() { l, _ = net.Listen("tcp", "10.0.0.2:7") })
			defer l.Close()
			w.a.Do(func() { c, _ = net.Dial("tcp", "10.0.0.2:7") })
			defer c.Close()
			sink, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			var reader sync.WaitGroup
			reader.Go(func() { io.Copy(io.Discard, sink) })
			chunk := make([]byte, 1<<20)
			b.SetBytes(int64(len(chunk)))
			for b.Loop() {
				if _, err := c.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			c.Close()
			reader.Wait()
			sink.Close()
		})
	}
}

// TestNoAllocations carries frames over the box and counts what that allocates.
func TestNoAllocations(t *testing.T) { eitherWay(t, testNoAllocations) }

func testNoAllocations(t *testing.T, w *wire) {
	q := w.ports.Queues()[0]
	var frames [64]*Frame
	n := testing.AllocsPerRun(1000, func() {
		q.Alloc(frames[:])
		for i, f := range frames {
			f.Resize(60)
			f.Port = uint8(i & 1)
		}
		q.Free(frames[q.Send(frames[:]):])
		q.Free(frames[:q.Recv(frames[:])])
		q.Wake()
		q.Wait(time.Millisecond)
		q.Wait(0)
	})
	if n != 0 {
		t.Errorf("a batch allocates %v times, want 0", n)
	}
}
