package fullnat

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// Ports is the way in and out of the kernel: package link's, or a test's.
type Ports interface {
	Queues() []link.Queue // one per worker
	// Steer tells the kernel which frames to give to which worker.
	Steer(vips, locals []netip.Prefix) error
}

// Options of a plane.
type Options struct {
	Sessions int               // over all workers
	Want     func(packet.Addr) // resolve an on-link neighbour; must not block
	MACs     [][6]byte         // of the interfaces, by port
}

// A Plane is the dataplane of one director: its workers, and the pointer
// through which the control plane speaks to them.
type Plane struct {
	ports   Ports
	workers []*Worker
	current atomic.Pointer[Snapshot]
	start   time.Time
	ended   chan struct{}
}

// ErrStopped is what asking a plane gets whose workers have ended.
var ErrStopped = errors.New("dataplane: stopped")

// spare is what a worker's table holds beyond its even share of the sessions,
// in eighths, because slots are not used evenly.
const spare = 1

// New prepares a plane over ports. Nothing is carried until Run.
func New(ports Ports, o Options) *Plane {
	p := &Plane{ports: ports, start: time.Now(), ended: make(chan struct{})}
	queues := ports.Queues()
	share := o.Sessions / len(queues)
	if len(queues) > 1 {
		share += share * spare / 8
	}
	p.workers = make([]*Worker, len(queues))
	for i, q := range queues {
		p.workers[i] = &Worker{
			id: i, workers: len(queues), queue: q, peers: p.workers,
			current: &p.current, clock: p.tick, want: o.Want,
			asks: make(chan func(), 16), macs: o.MACs,
			sessions: session.NewTable(session.Config{
				Sessions: share,
				Slots:    slotsOf(i, len(queues)),
			}),
		}
	}
	return p
}

// slotsOf returns the slots [lo, hi) of a worker: those that owner maps to it.
func slotsOf(id, workers int) [2]int {
	lo := (id*session.Slots + workers - 1) / workers
	hi := ((id+1)*session.Slots + workers - 1) / workers
	return [2]int{lo, hi}
}

// tick is the plane's clock. It starts at 1, so that no time stands for never.
func (p *Plane) tick() session.Tick {
	return session.Tick(time.Since(p.start)/tickLength) + 1
}

// Run carries packets until ctx ends. A snapshot must have been published.
func (p *Plane) Run(ctx context.Context) {
	defer close(p.ended)
	var all sync.WaitGroup
	for _, w := range p.workers {
		all.Go(func() { w.run(ctx) })
	}
	all.Wait()
}

// Publish makes s what the workers work with, and the frames it is about come
// to them. The snapshot must not be changed any more.
func (p *Plane) Publish(s *Snapshot) error {
	s.prepare()
	p.current.Store(s)
	for _, w := range p.workers {
		w.queue.Wake()
	}
	return p.ports.Steer(s.Services.VIPs(), s.Locals)
}

// Heartbeat returns how long ago the slowest worker last came round, for ever if
// one has not yet. It is the proof of life that announcing VIPs rests on.
func (p *Plane) Heartbeat() time.Duration {
	age := session.Tick(0)
	for _, w := range p.workers {
		beat := session.Tick(w.beat.Load())
		if beat == 0 {
			return math.MaxInt64
		}
		age = max(age, p.tick()-beat) // the clock is read after the beat, and so never behind it
	}
	return time.Duration(age) * tickLength
}

// ask runs f between two batches of w and waits until it has run. It is how
// everything a worker owns is read and changed from outside.
func (p *Plane) ask(ctx context.Context, w *Worker, f func()) error {
	done := make(chan struct{})
	select {
	case w.asks <- func() { f(); close(done) }:
	case <-p.ended:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	w.queue.Wake()
	select {
	case <-done:
		return nil
	case <-p.ended:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}
