package link

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"fleetlb/fullnat/internal/nettest"
)

//go:generate go tool bpf2go -target bpfel -no-global-types flood flood.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu

// BenchmarkDrivers compares the ways in which a worker can get at its frames: each
// forwards 60-byte frames from one veth to another without a look at them. Worker
// and receiving thread share a core, a flood from the other core comes at rising
// rates. peak is the most that arrived in a second at any of them, flood what
// arrives of all that one core can send, several millions: a driver that does not
// lose itself in what it cannot carry keeps most of its peak.
//
// The drivers take turns within a round: compare within a round, or medians.
func BenchmarkDrivers(b *testing.B) {
	if runtime.NumCPU() < 2 {
		b.Skip("needs two cores")
	}
	const rounds = 2
	for range rounds {
		for _, d := range []struct {
			name  string
			rings rings
			setup func(*testing.B, *wire) (Queue, func())
		}{
			{"packet", noRings, nil},
			{"tpacket2", noRings, func(b *testing.B, w *wire) (Queue, func()) { return newMapped(b, w, unix.TPACKET_V2) }},
			{"tpacket3", noRings, func(b *testing.B, w *wire) (Queue, func()) { return newMapped(b, w, unix.TPACKET_V3) }},
			{"rings to send", sendRings, nil},
			{"rings to receive", bothRings, func(_ *testing.B, w *wire) (Queue, func()) {
				q := w.ports.queues[0]
				q.taps[1].adopt()
				q.taps[1].rings[0].longest = 0 // too short for any frame
				return q, func() {}
			}},
			{"rings", bothRings, nil},
		} {
			b.Run(d.name, func(b *testing.B) {
				w := newWireWith(b, newSteering(1), d.rings)
				var q Queue = w.ports.queues[0]
				if d.setup != nil {
					var end func()
					q, end = d.setup(b, w)
					defer end()
				}
				measure(b, w, q)
			})
		}
	}
}

// step is how long each rate is kept up.
const step = 300 * time.Millisecond

func measure(b *testing.B, w *wire, q Queue) {
	f := newFlood(b, w)
	stop := carryPinned(w, q)
	defer stop()
	peak, flooded := 0.0, 0.0
	for b.Loop() {
		for _, rate := range []int{150_000, 200_000, 250_000, 300_000, 400_000, 500_000, 600_000, 700_000, 800_000, 1_000_000, 0} {
			got := f.at(b, rate)
			peak = max(peak, got)
			if rate == 0 {
				flooded = got
			}
		}
	}
	b.ReportMetric(peak/1000, "peak-kpps")
	b.ReportMetric(flooded/1000, "flood-kpps")
	b.ReportMetric(0, "ns/op")
}

// carryPinned forwards from the first port to the second, on core 1.
func carryPinned(w *wire, q Queue) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		pinned(1, func() {
			Precede()
			var frames [burst]*Frame
			for {
				select {
				case <-done:
					return
				default:
				}
				n := q.Recv(frames[:])
				if n == 0 {
					q.Wait(10 * time.Millisecond)
					continue
				}
				for _, f := range frames[:n] {
					f.Port ^= 1
				}
				q.Free(frames[q.Send(frames[:n]):n])
			}
		})
	}()
	return func() {
		close(done)
		<-ended
	}
}

// pinned calls f on a thread of its own that stays on a core.
func pinned(core int, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // ends with the thread
		affine(0, core)
		f()
	}()
	<-done
}

func affine(thread, core int) {
	var set unix.CPUSet
	set.Set(core)
	unix.SchedSetaffinity(thread, &set)
}

type flood struct {
	floodObjects
	from *nettest.Namespace
}

// newFlood arms both ends of a wire, and has the receiving threads of the box on
// core 1, those of the ends on core 0.
func newFlood(b *testing.B, w *wire) *flood {
	spec, err := loadFlood()
	if err != nil {
		b.Fatal(err)
	}
	if err := spec.Variables[floodVarWayOut].Set(uint32(w.a.Link("eth0").Attrs().Index)); err != nil {
		b.Fatal(err)
	}
	if err := spec.Variables[floodVarBox].Set([6]uint8(w.box.MAC("in"))); err != nil {
		b.Fatal(err)
	}
	f := &flood{from: w.a}
	if err := spec.LoadAndAssign(&f.floodObjects, nil); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	w.box.GRO("in", true) // for veth to take what a program sends
	w.b.Do(func() {
		hook, err := link.AttachXDP(link.XDPOptions{Program: f.Sink, Interface: w.b.Link("eth0").Attrs().Index, Flags: link.XDPDriverMode})
		if err != nil {
			b.Error(err)
			return
		}
		b.Cleanup(func() { hook.Close() })
	})
	before := receivers()
	for _, end := range []struct {
		n    *nettest.Namespace
		name string
		core int
	}{{w.box, "in", 1}, {w.b, "eth0", 0}} {
		threaded(b, end.n, end.name)
		for _, thread := range receivers() {
			if !slices.Contains(before, thread) {
				affine(thread, end.core)
				before = append(before, thread)
			}
		}
	}
	return f
}

// threaded has an interface received for by threads. /sys shows the interfaces of
// whoever mounted it.
func threaded(b *testing.B, n *nettest.Namespace, name string) {
	n.Do(func() {
		for _, err := range []error{
			unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("sysfs", "/sys", "sysfs", 0, ""),
			os.WriteFile("/sys/class/net/"+name+"/threaded", []byte("1"), 0),
		} {
			if err != nil {
				b.Errorf("threaded NAPI: %v", err)
				return
			}
		}
	})
}

func receivers() (threads []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, path := range all {
		if comm, _ := os.ReadFile(path); strings.HasPrefix(string(comm), "napi/") {
			var thread int
			fmt.Sscanf(path, "/proc/%d/", &thread)
			threads = append(threads, thread)
		}
	}
	return threads
}

// at sends at a rate, 0 being all that goes, and returns how many frames arrive in
// a second.
func (f *flood) at(b *testing.B, rate int) (perSecond float64) {
	gap := uint64(0)
	if rate > 0 {
		gap = uint64(time.Second) / uint64(rate)
	}
	if err := f.Gap.Set(gap); err != nil {
		b.Fatal(err)
	}
	f.from.Do(func() {
		affine(0, 0)
		thread := unix.Gettid()
		time.AfterFunc(step, func() { unix.Tgkill(os.Getpid(), thread, unix.SIGURG) }) // which ends the run
		before, start := f.arrivals(b), time.Now()
		for time.Since(start) < step {
			f.run()
		}
		perSecond = float64(f.arrivals(b)-before) / time.Since(start).Seconds()
	})
	return perSecond
}

// run has the kernel send until a signal comes, for which a library would begin
// again.
func (f *flood) run() {
	frame := make([]byte, 60)
	attr := struct {
		program, result, sizeIn, sizeOut uint32
		in, out                          uint64
		repeat, took, contexts, none     uint32
		contextIn, contextOut            uint64
		flags, core, batch               uint32
	}{
		program: uint32(f.Flood.FD()), sizeIn: uint32(len(frame)), in: uint64(uintptr(unsafe.Pointer(&frame[0]))),
		repeat: 1 << 31, flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES,
	}
	unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(frame)
}

func (f *flood) arrivals(b *testing.B) (n uint64) {
	if err := f.Arrived.Get(&n); err != nil {
		b.Error(err)
	}
	return n
}

// mapped receives by a ring of TPACKET_V2 or V3 and sends as the packet driver
// does, past the queueing discipline. As plain frames go, it is the whole of what
// such a driver would do; it exists for the comparison.
type mapped struct {
	*queue
	version, fd int
	ring        []byte
	at          int // the next slot, or block
	next        int // in the block: where the next frame is,
	left        int // and how many there are
}

// The ring's slots, and its blocks, which hold as many as they do.
const (
	slotBytes  = 2048
	blockBytes = 1 << 16
	blocks     = 64
)

func newMapped(b *testing.B, w *wire, version int) (Queue, func()) {
	m := &mapped{queue: w.ports.queues[0], version: version}
	m.taps[0].adopt()
	m.taps[1].adopt()
	unix.SetsockoptInt(m.taps[1].fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	w.box.Do(func() {
		var err error
		if m.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0); err != nil {
			b.Error(err)
			return
		}
		unix.SetsockoptInt(m.fd, unix.SOL_PACKET, unix.PACKET_VERSION, version)
		unix.SetsockoptInt(m.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
		req := unix.TpacketReq3{Block_size: blockBytes, Block_nr: blocks, Frame_size: slotBytes, Frame_nr: blocks * blockBytes / slotBytes, Retire_blk_tov: 1}
		if version == unix.TPACKET_V2 {
			err = unix.SetsockoptTpacketReq(m.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, (*unix.TpacketReq)(unsafe.Pointer(&req)))
		} else {
			err = unix.SetsockoptTpacketReq3(m.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req)
		}
		if err == nil {
			m.ring, err = unix.Mmap(m.fd, 0, blocks*blockBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		}
		if err == nil {
			err = unix.SetsockoptInt(m.fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, w.ports.steering.program.Filter.FD())
		}
		if err == nil {
			err = unix.Bind(m.fd, &unix.SockaddrLinklayer{Protocol: unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8, Ifindex: w.box.Link("in").Attrs().Index})
		}
		if err != nil {
			b.Error(err)
		}
		shut(m.taps[0].fd) // nobody else is to receive
		m.taps[0].fd = -1
	})
	if b.Failed() {
		b.FailNow()
	}
	return m, func() {
		unix.Munmap(m.ring)
		unix.Close(m.fd)
	}
}

func (m *mapped) status(at int) *uint32 { return (*uint32)(unsafe.Pointer(&m.ring[at])) }

func (m *mapped) Recv(into []*Frame) int {
	n := m.pool.Take(into)
	got := 0
	for got < n && m.frame(into[got]) {
		got++
	}
	m.pool.Give(into[got:n])
	return got
}

// frame copies the next frame out of the ring.
func (m *mapped) frame(f *Frame) bool {
	if m.version == unix.TPACKET_V2 {
		at := m.at % (blocks * blockBytes / slotBytes) * slotBytes
		if atomic.LoadUint32(m.status(at))&unix.TP_STATUS_USER == 0 {
			return false
		}
		h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&m.ring[at]))
		m.fill(f, at+int(h.Mac), int(h.Snaplen))
		atomic.StoreUint32(m.status(at), unix.TP_STATUS_KERNEL)
		m.at++
		return true
	}
	block := m.at % blocks * blockBytes
	d := (*unix.TpacketBlockDesc)(unsafe.Pointer(&m.ring[block]))
	h := (*unix.TpacketHdrV1)(unsafe.Pointer(&d.Hdr))
	if m.left == 0 {
		if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
			return false
		}
		m.left, m.next = int(h.Num_pkts), block+int(h.Offset_to_first_pkt)
	}
	if m.left > 0 {
		p := (*unix.Tpacket3Hdr)(unsafe.Pointer(&m.ring[m.next]))
		m.fill(f, m.next+int(p.Mac), int(p.Snaplen))
		m.next += int(p.Next_offset)
		m.left--
	}
	if m.left == 0 {
		atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
		m.at++
	}
	return true
}

func (m *mapped) fill(f *Frame, at, n int) {
	f.Resize(n)
	copy(f.Bytes(), m.ring[at:at+n])
	f.Port = 0
}

func (m *mapped) Wait(timeout time.Duration) error {
	until := unix.NsecToTimespec(int64(timeout))
	unix.Ppoll([]unix.PollFd{{Fd: int32(m.fd), Events: unix.POLLIN}}, &until, nil)
	return nil
}
