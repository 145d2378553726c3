package fullnat

import (
	"context"
	"hash/maphash"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/offload"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/persist"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// Ports is the way in and out of the kernel: package link's, or a test's.
type Ports interface {
	Queues() []link.Queue // one per worker
	// Steer tells the kernel which frames to give to which worker.
	Steer(link.Ours) error
}

// Options of a plane.
type Options struct {
	Sessions int               // that are opened here, over all workers
	Want     func(packet.Addr) // resolve an on-link neighbour; must not block; nil: nobody does
	Log      *slog.Logger      // nil: slog.Default()

	Peers    Peers // how to speak to the other directors; nil: there are none
	Replicas int   // room for their sessions, beside Sessions
	// Froze tells that a worker has not come round for so long. It has fenced
	// itself (see Fleet.Fenced) until a snapshot whose Self has another epoch.
	// It must not block; nil: nobody wants to know.
	Froze func(time.Duration)
	// Contested tells that another station, of this MAC address, says that an
	// address is its own for which this director answers. It must not block; nil:
	// nobody wants to know.
	Contested func(packet.Addr, [6]byte)
}

// A Plane is the dataplane of one director: its workers, and the pointer
// through which the control plane speaks to them.
type Plane struct {
	ports     Ports
	workers   []*Worker
	templates *persist.Store
	current   atomic.Pointer[Snapshot]
	log       *slog.Logger
	start     time.Time
	reported  sync.Once

	delivery delivery

	hoist    sync.Mutex     // guards the following, and is held while a snapshot is published
	aloft    *offload.Table // what sessions are lifted into; nil: nothing
	gateways []gateway      // by index of its hops: whose they are

	mu      sync.Mutex // held while the workers are asked before they run
	running bool
	ended   chan struct{}
}

// spare is what a worker's table holds beyond its even share of the sessions,
// in eighths, because slots are not used evenly.
const spare = 1

// New prepares a plane over ports. Nothing is carried until Run.
func New(ports Ports, o Options) *Plane {
	p := &Plane{ports: ports, log: o.Log, start: time.Now(), ended: make(chan struct{})}
	if p.log == nil {
		p.log = slog.Default()
	}
	if o.Want == nil {
		o.Want = func(packet.Addr) {}
	}
	if o.Peers == nil {
		o.Peers = nobody{}
	}
	if o.Contested == nil {
		o.Contested = func(packet.Addr, [6]byte) {}
	}
	if o.Froze == nil {
		o.Froze = func(time.Duration) {}
	}
	p.current.Store(&Snapshot{Services: new(service.Table), Hops: new(nexthop.Table)})

	p.templates = persist.New(o.Sessions + o.Replicas)
	queues := ports.Queues()
	p.workers = make([]*Worker, len(queues))
	for i, q := range queues {
		p.workers[i] = p.newWorker(i, q, len(queues), &o)
	}
	return p
}

func (p *Plane) newWorker(id int, q link.Queue, workers int, o *Options) *Worker {
	share := shareOf(o.Sessions, workers)
	var w *Worker
	w = &Worker{
		id: id, workers: workers, queue: q, peers: p.workers,
		current: &p.current, clock: p.tick, want: o.Want, report: p.report,
		asks:   make(chan func(), 16),
		others: o.Peers, froze: o.Froze, rival: o.Contested,
		replies: make(chan reply, maxReplies),
		lookups: make(chan *lookup, maxLookups),
		sessions: session.NewTable(session.Config{
			Sessions: share, Replicas: shareOf(o.Replicas, workers), Slots: slotsOf(id, workers),
			Detach: func(what uint32) { w.forgo(persist.Ref(what), w.ticked) },
		}),
		templates: p.templates,
		seeking:   seeking{seed: maphash.MakeSeed()},
		paths:     paths{timeouts: map[session.Timeouts]uint16{}},
	}
	w.sessions.SetCarrier(carrier{w})
	w.lift = lifter{
		flows: newFlowNumbers(uint32(1+id*share), share), of: make([]uint32, 1+w.sessions.Places()),
		ways: nexthop.MaxHops + uint32(id*(wayShare/workers)),
	}
	for i := range w.batch.tuples {
		w.batch.tuples[i] = &w.batch.packets[i].Tuple
	}
	return w
}

// shareOf returns how many of n each worker has room for.
func shareOf(n, workers int) int {
	share := n / workers
	if workers > 1 {
		share += share * spare / 8
	}
	return share
}

// slotsOf returns the slots [lo, hi) of a worker: those that ownerOf maps to it.
func slotsOf(id, workers int) [2]int {
	lo := (id*session.Slots + workers - 1) / workers
	hi := ((id+1)*session.Slots + workers - 1) / workers
	return [2]int{lo, hi}
}

// tick is the plane's clock. It starts at 1, so that no time stands for never.
func (p *Plane) tick() session.Tick {
	return session.Tick(time.Since(p.start)/tickLength) + 1
}

// report logs the first panic that a packet brought about. The others are
// counted: who knows such a packet must not fill the log with it.
func (p *Plane) report(panicked any) {
	p.reported.Do(func() {
		p.log.Error("dataplane: a packet met a defect of this program and was dropped; more of them are only counted",
			"panic", panicked, "stack", string(debug.Stack()))
	})
}

// Run carries packets until ctx ends. It may be called once.
func (p *Plane) Run(ctx context.Context) {
	p.mu.Lock()
	p.running = true
	p.mu.Unlock()
	defer close(p.ended)
	var all sync.WaitGroup
	all.Go(func() { p.keepAloft(ctx) })
	for _, w := range p.workers {
		all.Go(func() { w.run(ctx) })
	}
	all.Go(func() { p.age(ctx) })
	all.Wait()
}

// Publish makes s what the workers work with, and the frames it is about come
// to them. The snapshot must not be changed any more.
func (p *Plane) Publish(s *Snapshot) error {
	p.hoist.Lock()
	own, old := s.prepared(), p.current.Load()
	p.keepGates(own, old)
	p.remember(own.Services)
	p.publish(own)
	if own.Services != old.Services {
		p.forget(own.Services)
	}
	p.hoist.Unlock()
	return p.ports.Steer(own.ours())
}

// publish makes s the workers' next snapshot, and the offload's. The caller holds
// hoist.
func (p *Plane) publish(own *Snapshot) {
	if own.offload = p.aloft; p.aloft != nil {
		p.publishHops(own.Hops)
	}
	p.current.Store(own)
	for _, w := range p.workers {
		w.queue.Wake()
	}
}

// Heartbeat returns how long ago the slowest worker last came round. It is the
// proof of life that announcing VIPs rests on.
func (p *Plane) Heartbeat() time.Duration {
	oldest := p.tick()
	now := oldest
	for _, w := range p.workers {
		if beat := session.Tick(w.beat.Load()); int32(beat-oldest) < 0 {
			oldest = beat
		}
	}
	return time.Duration(now-oldest) * tickLength
}
