package offload

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netns"
)

// A Driver keeps a program at each interface of the director, or says why not.
type Driver struct {
	names []string // of the interfaces, by port
	room  Capacity
	ready func(*Table)
	next  int  // descriptor of the program that looks at what goes up, in the drivers; -1: none does
	alone bool // there is nothing but next to run
	log   *slog.Logger
	ns    netns.NsHandle // where the interfaces are

	legacy *Legacy // of a former director, until the first attempt; nil: none
	heir   string  // who is to have ours; "": nobody
	failed error   // why he has not

	closed  bool
	closing chan struct{}
	ended   chan struct{}

	mu     sync.Mutex
	status Status

	// All that follows is owned by the goroutine in run.

	table *Table // nil: there has been no use for one yet
	given bool   // ready has got it
	sites []site // by port
	mode  mode
	why   error  // mode is not native
	tried []look // what was seen when the last attempt failed
}

// A Status is what the driver does.
type Status struct {
	Mode   string // "native", in the drivers; "generic", in the kernel's stead; "off"
	Reason string // why it is not native on all interfaces; "": it is
}

type mode uint8

const (
	off mode = iota
	generic
	native
)

func (m mode) String() string { return [...]string{"off", "generic", "native"}[m] }

// A site is one interface with its program.
type site struct {
	look
	program *Program
	hook    link.Link
	serves  bool // frames can be sent there
}

// A look is what is seen of an interface. The zero look is one that is not there.
type look struct {
	index    int
	mac      [6]byte
	driver   string
	features features
}

// lookEvery is how often the interfaces are looked at. Where one ceases to take
// frames, those that programs send there are lost until then.
const lookEvery = 200 * time.Millisecond

// Drive begins to keep programs at the interfaces of these names, in the present
// thread's network namespace, ports in their order. Once there is a use for a
// table of this capacity ready gets it. The error says why there is none yet;
// the driver goes on trying whenever an interface changes.
//
// Where there is a legacy, ready gets the table before the former director's
// programs make way for new ones; what is not taken over is removed.
//
// In the drivers, what goes up is for the XDP program of descriptor next to look
// at first, unless that is -1.
func Drive(names []string, c Capacity, legacy *Legacy, ready func(*Table), next int, log *slog.Logger) (*Driver, error) {
	return (&Driver{names: names, room: c, legacy: legacy, ready: ready, next: next, log: log}).start()
}

// DriveAlone keeps next at the interfaces wherever Drive would have programs in
// their drivers, and carries nothing.
func DriveAlone(names []string, next int, log *slog.Logger) (*Driver, error) {
	d := &Driver{names: names, room: Capacity{Flows: 1, Hops: 1}, ready: func(*Table) {}, next: next, alone: true, log: log}
	return d.start()
}

func (d *Driver) start() (*Driver, error) {
	d.sites, d.closing, d.ended = make([]site, len(d.names)), make(chan struct{}), make(chan struct{})
	var err error
	if d.ns, err = netns.Get(); err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	first := make(chan error)
	go d.run(first)
	return d, <-first
}

// Status says what the driver does at present.
func (d *Driver) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}

// Close takes the programs away and gives up the table: nobody may use it any
// more.
func (d *Driver) Close() {
	if d.closed {
		return
	}
	d.closed = true
	close(d.closing)
	<-d.ended
	if d.table != nil {
		d.table.Close()
	}
	d.ns.Close()
}

func (d *Driver) run(first chan<- error) {
	defer close(d.ended)
	runtime.LockOSThread() // never unlocked: the thread, in that namespace, ends with it
	if err := netns.Set(d.ns); err != nil {
		first <- fmt.Errorf("network namespace: %w", err)
		return
	}
	err := d.round()
	first <- err
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			d.round()
		case <-d.closing:
			d.end()
			return
		}
	}
}

// end takes the programs away, or lets go of them for another director.
func (d *Driver) end() {
	if d.heir != "" {
		if d.failed = d.handOver(d.heir); d.failed == nil {
			for port := range d.sites {
				if s := &d.sites[port]; s.hook != nil {
					s.hook.Close() // it is pinned
					s.program.Close()
				}
			}
			return
		}
	}
	d.detach()
}

// round makes things as they should be, and says what they are.
func (d *Driver) round() error {
	err := d.settle(looksAt(d.names))
	d.tell(errors.Join(d.why, err))
	return err
}

func looksAt(names []string) []look {
	all := make([]look, len(names))
	for i, name := range names {
		all[i] = lookAt(name)
	}
	return all
}

func lookAt(name string) look {
	ifi, err := net.InterfaceByName(name)
	if err != nil || len(ifi.HardwareAddr) != 6 {
		return look{}
	}
	l := look{index: ifi.Index, mac: [6]byte(ifi.HardwareAddr), driver: driverOf(name)}
	l.features, _ = featuresOf(ifi.Index)
	return l
}

// tell keeps the status, and logs when it changes.
func (d *Driver) tell(err error) {
	s := Status{Mode: d.mode.String()}
	if err != nil {
		s.Reason = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	d.mu.Lock()
	old := d.status
	d.status = s
	d.mu.Unlock()
	switch {
	case s == old || d.alone: // who has nothing to lift has not lost anything
	case s.Reason != "":
		d.log.Warn("offload: "+s.Mode, "reason", s.Reason)
	default:
		d.log.Info("offload: "+s.Mode, "interfaces", strings.Join(d.names, ", "))
	}
}
