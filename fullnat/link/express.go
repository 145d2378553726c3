package link

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// express is the program of express.c and the rings that it feeds: the short way
// between the network drivers and the workers. Whoever has the interfaces' XDP
// hook runs it, see [Ports.Express].
type express struct {
	program expressObjects
	places  map[int]uint32 // by port: the index of the interface it has a site for
	reasons []string       // by port: why there is no short way; "": there is
}

// queuesMost is QUEUES in express.c.
const queuesMost = 64

// Why an interface has no short way.
var (
	errLongFrames = errors.New("its MTU is more than a ring's frame holds")
	errFewQueues  = errors.New("it has fewer queues than there are workers")
)

// newExpress loads the program over the steering's addresses.
func newExpress(s *steering, ports int) (*express, error) {
	if s.reason != nil {
		return nil, s.reason
	}
	spec, err := loadExpress()
	if err != nil {
		return nil, err
	}
	e := &express{places: map[int]uint32{}, reasons: make([]string, ports)}
	err = spec.LoadAndAssign(&e.program, &ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{
		expressMapOurs: s.program.Ours, expressMapServers: s.program.Servers, expressMapHosts: s.program.Hosts,
	}})
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	return e, nil
}

func (e *express) close() error { return e.program.Close() }

// open makes the rings of one interface: a slice for each worker, none of them
// empty, for a worker that cannot send by a ring would lag behind its peers.
// Where it cannot, the packet sockets carry everything.
func (e *express) open(port int, ifi *net.Interface, workers int) [][]*xsk {
	all, err := openAll(ifi, workers)
	if err == nil {
		err = e.connect(port, ifi, all)
	}
	if err != nil {
		for _, x := range all {
			x.close()
		}
		e.reasons[port] = err.Error()
		return make([][]*xsk, workers)
	}
	e.reasons[port] = ""
	shares := make([][]*xsk, workers)
	for queue, x := range all {
		shares[queue%workers] = append(shares[queue%workers], x)
	}
	return shares
}

// openAll opens a socket on each queue, which only trying tells the number of.
func openAll(ifi *net.Interface, workers int) (all []*xsk, err error) {
	if chunkFor(ifi.MTU) == 0 {
		return nil, errLongFrames
	}
	for queue := range queuesMost {
		x, err := openXSK(ifi, queue)
		if queue > 0 && errors.Is(err, unix.EINVAL) {
			break // there is no such queue
		}
		if err != nil {
			return all, err
		}
		all = append(all, x)
	}
	if len(all) < workers {
		return all, errFewQueues
	}
	return all, nil
}

// chunkFor is the length of a chunk that holds a frame of an interface, behind
// the room that the kernel leaves in front of it, or 0.
func chunkFor(mtu int) int {
	for _, chunk := range []int{2048, 4096} {
		if unix.XDP_PACKET_HEADROOM+ethernetLen+mtu <= chunk {
			return chunk
		}
	}
	return 0
}

// connect lets the program feed the rings.
func (e *express) connect(port int, ifi *net.Interface, all []*xsk) error {
	first := uint32(port * queuesMost)
	for queue, x := range all {
		if err := e.program.Rings.Put(first+uint32(queue), uint32(x.fd)); err != nil {
			return err
		}
	}
	if old, is := e.places[port]; is && old != uint32(ifi.Index) {
		e.program.Sites.Delete(old)
	}
	e.places[port] = uint32(ifi.Index)
	return e.program.Sites.Put(uint32(ifi.Index), expressSite{
		Mac: [6]uint8(ifi.HardwareAddr), Longest: uint16(ethernetLen + ifi.MTU), FirstRing: first,
	})
}

// Express is the descriptor of the XDP program that gives the workers what it can
// of an interface's frames in their rings, and lets the rest pass: for any
// interface of these, in its driver only. It is -1 where there are no rings.
func (p *Ports) Express() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.express == nil || !slices.Contains(p.express.reasons, "") {
		return -1
	}
	return p.express.program.Express.FD()
}

// Driver says how frames are carried to and from the kernel, in an operator's words.
func (p *Ports) Driver() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.express == nil {
		return fmt.Sprintf("packet sockets: %v", p.unexpress)
	}
	for port, reason := range p.express.reasons {
		if reason != "" {
			return fmt.Sprintf("packet sockets on %s, where AF_XDP is no use: %s", p.interfaces[port].Name, reason)
		}
	}
	return "AF_XDP rings, beside packet sockets for what is large or unusual"
}
