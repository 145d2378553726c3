package link

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Ports is a set of interfaces opened for a number of workers.
type Ports struct {
	ns     netns.NsHandle // where the interfaces are
	queues []*queue

	mu         sync.Mutex // guards the following
	interfaces []Interface
	steering   *steering
	guards     []guard  // by port
	unguarded  error    // why one of them is not there
	express    *express // nil: there are no rings,
	unexpress  error    // and why

	ailing  []atomic.Bool // interfaces that are down or gone
	ailment chan struct{}
	closing chan struct{}
	closed  sync.Once
	mended  sync.WaitGroup
}

// Open opens the interfaces of these names, in the present thread's network
// namespace, for so many workers. They receive nothing until Steer. An interface
// that is down is opened when it comes up. Without any, the workers only wait.
// With rings set, they use AF_XDP where it is of use.
func Open(interfaces []string, workers int, rings bool) (*Ports, error) {
	return open(interfaces, newSteering(workers), rings)
}

var errNotWanted = errors.New("as configured")

func open(interfaces []string, steering *steering, rings bool) (*Ports, error) {
	p := &Ports{
		ns: netns.None(), steering: steering,
		interfaces: make([]Interface, len(interfaces)), guards: make([]guard, len(interfaces)), ailing: make([]atomic.Bool, len(interfaces)),
		ailment: make(chan struct{}, 1), closing: make(chan struct{}),
	}
	if p.unexpress = errNotWanted; rings {
		p.express, p.unexpress = newExpress(steering, len(interfaces))
	}
	if err := p.open(interfaces); err != nil {
		p.Close()
		return nil, err
	}
	p.mended.Go(p.mend)
	return p, nil
}

func (p *Ports) open(interfaces []string) (err error) {
	if err := sensible(interfaces, p.steering.workers); err != nil {
		return err
	}
	if p.ns, err = netns.Get(); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	for range p.steering.workers {
		q, err := newQueue(len(interfaces), p.ail)
		if err != nil {
			return err
		}
		p.queues = append(p.queues, q)
	}
	for port, name := range interfaces {
		p.interfaces[port].Name = name
		if err := p.openPort(port); err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
	}
	return nil
}

// sensible checks what Open was asked for.
func sensible(interfaces []string, workers int) error {
	if workers < 1 || workers > 256 {
		return fmt.Errorf("link: %d workers: not between 1 and 256", workers)
	}
	if len(interfaces) > 255 {
		return fmt.Errorf("link: %d interfaces: more than 255", len(interfaces))
	}
	for i, name := range interfaces {
		if slices.Contains(interfaces[:i], name) {
			return fmt.Errorf("interface %s: listed twice", name)
		}
	}
	return nil
}

// openPort opens an interface for every worker.
func (p *Ports) openPort(port int) error {
	ifi, err := net.InterfaceByName(p.interfaces[port].Name)
	if err != nil {
		return err
	}
	if len(ifi.HardwareAddr) != 6 || ifi.Flags&net.FlagLoopback != 0 {
		return errors.New("not an Ethernet interface")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interfaces[port] = Interface{ifi.Name, ifi.Index, [6]byte(ifi.HardwareAddr), ifi.MTU}
	if ifi.Flags&net.FlagUp == 0 {
		p.ail(port)
		return nil
	}
	fds, err := p.sockets(ifi)
	if err != nil {
		return err
	}
	rings := make([][]*xsk, len(fds))
	if p.express != nil {
		rings = p.express.open(port, ifi, len(fds))
	}
	owing := near(ifi.Name)
	for worker, fd := range fds {
		p.queues[worker].taps[port].offer(line{fd, rings[worker], owing})
	}
	if err := p.steering.protect(&p.guards[port], ifi.Index); err != nil {
		p.unguarded = err
	}
	return nil
}

// sockets returns one socket on an interface for each worker.
func (p *Ports) sockets(ifi *net.Interface) (fds []int, err error) {
	defer func() {
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}
	}()
	for range p.queues {
		fd, err := listen(ifi)
		if err != nil {
			return fds, err
		}
		fds = append(fds, fd)
	}
	if err := p.steering.share(fds); err != nil {
		return fds, err
	}
	for _, fd := range fds { // last: until now nothing is received, by two workers least of all
		if err := p.steering.attach(fd); err != nil {
			return fds, fmt.Errorf("attach filter: %w", err)
		}
	}
	return fds, nil
}

// Queues returns one queue for each worker.
func (p *Ports) Queues() []Queue {
	queues := make([]Queue, len(p.queues))
	for i, q := range p.queues {
		queues[i] = q
	}
	return queues
}

// Interfaces returns the interfaces in the order they were given to Open: a
// frame's Port is an index into it. They are as they were when last opened.
func (p *Ports) Interfaces() []Interface {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.interfaces)
}

// Steer says which frames are ours: all of them, each time.
func (p *Ports) Steer(o Ours) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	again, err := p.steering.set(o)
	if err != nil {
		return fmt.Errorf("steering: %w", err)
	}
	if !again {
		return nil
	}
	for _, q := range p.queues {
		for port := range q.taps {
			q.taps[port].each(func(fd int) { err = errors.Join(err, p.steering.attach(fd)) })
		}
	}
	if err != nil {
		return fmt.Errorf("steering: attach filter: %w", err)
	}
	return nil
}

// Steering says how frames are given to the workers, in an operator's words.
func (p *Ports) Steering() string { return p.steering.String() }

// Stats returns the counts of every interface and worker.
func (p *Ports) Stats() []Stat {
	var all []Stat
	for port, ifi := range p.Interfaces() {
		for worker, q := range p.queues {
			s := q.taps[port].stat()
			s.Interface, s.Worker = ifi.Name, worker
			all = append(all, s)
		}
	}
	return all
}

// Close closes all queues and unmaps their frames. The workers must have ended.
func (p *Ports) Close() (err error) {
	p.closed.Do(func() { err = p.close() })
	return err
}

func (p *Ports) close() (err error) {
	close(p.closing)
	p.mended.Wait()
	for _, q := range p.queues {
		err = errors.Join(err, q.Close(), q.pool.Close())
	}
	for i := range p.guards {
		p.guards[i].release()
	}
	if p.ns.IsOpen() {
		err = errors.Join(err, p.ns.Close())
	}
	if p.express != nil {
		err = errors.Join(err, p.express.close())
	}
	return errors.Join(err, p.steering.close())
}
