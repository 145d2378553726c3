package lab

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Capture records the frames that pass a port and match its filter.
type Capture struct {
	fd   int
	once sync.Once
	stop chan struct{}
	done chan struct{}

	mu     sync.Mutex
	frames []CapturedFrame
	missed int
}

// CapturedFrame is one frame as the port's host saw it.
type CapturedFrame struct {
	At       time.Time
	Outgoing bool
	Bytes    []byte
}

// captureLimit bounds a capture; what comes later counts as lost.
const captureLimit = 200_000

// Everything is the filter that lets every frame pass.
var Everything = []bpf.Instruction{bpf.RetConstant{Val: 1 << 18}}

// Resets passes TCP segments with RST set, of both families; IPv6 ones without
// extension headers, which no sender of resets adds.
var Resets = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x86dd, SkipTrue: 6},     // to the IPv6 half
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x0800, SkipTrue: 10}, // to the end
	bpf.LoadAbsolute{Off: 23, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_TCP, SkipTrue: 8},
	bpf.LoadMemShift{Off: 14},
	bpf.LoadIndirect{Off: 14 + 13, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 4, SkipTrue: 4, SkipFalse: 5},
	bpf.LoadAbsolute{Off: 20, Size: 1}, // IPv6
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_TCP, SkipTrue: 3},
	bpf.LoadAbsolute{Off: 54 + 13, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 4, SkipFalse: 1},
	bpf.RetConstant{Val: 1 << 18},
	bpf.RetConstant{Val: 0},
}

// Gossip passes the datagrams to a director's gossip port, over IPv4.
var Gossip = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x0800, SkipTrue: 6},
	bpf.LoadAbsolute{Off: 23, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_UDP, SkipTrue: 4},
	bpf.LoadMemShift{Off: 14},
	bpf.LoadIndirect{Off: 14 + 2, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: GossipPort, SkipFalse: 1},
	bpf.RetConstant{Val: 1 << 18},
	bpf.RetConstant{Val: 0},
}

// Capture starts to record on the port, in both directions.
func (p *Port) Capture(filter []bpf.Instruction) (*Capture, error) {
	index, err := p.Index()
	if err != nil {
		return nil, err
	}
	c := &Capture{stop: make(chan struct{}), done: make(chan struct{})}
	if err := p.host.Do(func() (err error) { c.fd, err = openCapture(index, filter); return err }); err != nil {
		return nil, fmt.Errorf("%s: capture: %w", p, err)
	}
	go c.read()
	if !p.host.lab.OnClose(func() { c.Stop() }) {
		c.Stop()
		return nil, fmt.Errorf("%s: the lab is closed", p)
	}
	return c, nil
}

func openCapture(index int, filter []bpf.Instruction) (fd int, err error) {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return -1, err
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	// Bound to no protocol at first, so that nothing arrives before the filter.
	if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}); err != nil {
		return -1, fmt.Errorf("filter: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
		return -1, fmt.Errorf("receive buffer: %w", err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}); err != nil {
		return -1, err
	}
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}); err != nil {
		return -1, fmt.Errorf("bind: %w", err)
	}
	return fd, nil
}

// read collects until Stop, and then what the socket still holds.
func (c *Capture) read() {
	defer close(c.done)
	defer unix.Close(c.fd)
	buf := make([]byte, 128<<10)
	for {
		n, from, err := unix.Recvfrom(c.fd, buf, 0)
		if err == nil {
			ll, _ := from.(*unix.SockaddrLinklayer)
			c.keep(CapturedFrame{time.Now(), ll != nil && ll.Pkttype == unix.PACKET_OUTGOING, bytes.Clone(buf[:n])})
			continue
		}
		select { // the socket is empty, or its link down
		case <-c.stop:
			if st, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
				c.miss(int(st.Drops))
			}
			return
		default:
		}
	}
}

func (c *Capture) keep(f CapturedFrame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.frames) >= captureLimit {
		c.missed++
		return
	}
	c.frames = append(c.frames, f)
}

func (c *Capture) miss(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missed += n
}

// Stop ends the capture when all that has passed the port is recorded, and
// returns an error if some was lost: absence proves nothing then.
func (c *Capture) Stop() error {
	c.once.Do(func() { close(c.stop) })
	<-c.done
	if c.missed > 0 {
		return fmt.Errorf("capture: %d frames were lost", c.missed)
	}
	return nil
}

// Frames returns what was recorded so far.
func (c *Capture) Frames() []CapturedFrame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.frames)
}

// Select returns the recorded packets that match.
func (c *Capture) Select(match func(Seen) bool) []Seen {
	var matching []Seen
	for _, f := range c.Frames() {
		if s := f.Decode(); match(s) {
			matching = append(matching, s)
		}
	}
	return matching
}

// WritePcap saves the frames for tcpdump and its friends.
func (c *Capture) WritePcap(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(1<<18, layers.LinkTypeEthernet); err != nil {
		return err
	}
	for _, frame := range c.Frames() {
		info := gopacket.CaptureInfo{Timestamp: frame.At, CaptureLength: len(frame.Bytes), Length: len(frame.Bytes)}
		if err := w.WritePacket(info, frame.Bytes); err != nil {
			return err
		}
	}
	return f.Close()
}
