package replica

import (
	"context"
	"iter"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A Wire carries sealed datagrams and streams to other members.
type Wire interface {
	// Send sends a datagram of at most MaxDatagram bytes or drops it. It copies
	// the payload and does not wait.
	Send(to session.NodeID, payload []byte) error
	// Open opens a stream to the member's Accept.
	Open(ctx context.Context, to session.NodeID) (net.Conn, error)
}

// MaxDatagram is the largest payload that the engine gives a [Wire], in bytes.
const MaxDatagram = 1360

// Sessions is where records come from and go to: a dataplane. Its methods may
// call the engine's Tell, Ask and Differs, and may be called at the same time.
type Sessions interface {
	// Apply takes records of another director, in this order: those it told or,
	// solicited, those it was asked for. It takes all or, without room, none, and
	// does not wait. The records are the caller's again when it returns.
	Apply(from session.Owner, solicited bool, records []session.Record) bool
	// Found answers a question of Ask; nil: nobody knows.
	Found(t packet.Tuple, r *session.Record)
	// Lookup finds the sessions that packets of these tuples belong to. It does
	// not wait; reply is called once, with those that there are.
	Lookup(tuples []packet.Tuple, reply func([]session.Record))
	// Export goes through the shared sessions; a chunk is good until the next.
	Export(context.Context, session.Query) iter.Seq2[[]session.Record, error]
	// Digests tells the digest of each home's shared sessions, by slot.
	Digests(context.Context) (map[session.NodeID]*[session.Slots]session.Digest, error)
}

// Options of an engine.
type Options struct {
	Replicas int            // how many directors hold a copy of each session; 0: 2
	Blocks   []netip.Prefix // this director's own local addresses
	Log      *slog.Logger   // nil: slog.Default()
}

// An Engine replicates the sessions of one director. Its methods are safe for
// concurrent use.
type Engine struct {
	wire     Wire
	sessions Sessions
	log      *slog.Logger
	replicas int
	blocks   []netip.Prefix

	roster  atomic.Pointer[roster]
	stages  [numStages]stage
	wakeup  chan struct{}
	start   time.Time
	look    atomic.Int64  // when run looks again, in nanoseconds after start
	whole   atomic.Uint64 // the epoch of the life in which Sync has come to its end
	refused [numRefusals]atomic.Uint64
	counts  counts

	// mu guards the outgoing half of every peer, and what follows. Who holds a
	// peer's incoming.mu may take it, not the other way round. Nothing that may
	// call back is called under it.
	mu        sync.Mutex
	last      *roster // as of the last SetMembers or SetSelf
	absent    map[session.NodeID]*peer
	streams   uint32 // the number of the newest stream
	pool      pool
	tickets   tickets
	questions map[packet.Tuple]*question
	pursueAt  time.Time
	answered  []answered // to be told to sessions
	repairs   int        // pulls under way
	serving   chan struct{}
	scratch   [MaxDatagram]byte

	pulls sync.WaitGroup // goroutines of repair
}

// New makes an engine without any other members. Nothing is sent before Run.
func New(self session.Owner, w Wire, s Sessions, o Options) *Engine {
	e := &Engine{
		wire: w, sessions: s, log: o.Log, replicas: o.Replicas, blocks: o.Blocks,
		wakeup:    make(chan struct{}, 1),
		questions: make(map[packet.Tuple]*question),
		absent:    make(map[session.NodeID]*peer),
		serving:   make(chan struct{}, maxServing),
		start:     time.Now(),
	}
	e.tickets.start = e.start
	if e.log == nil {
		e.log = slog.Default()
	}
	if e.replicas <= 0 {
		e.replicas = 2
	}
	e.SetSelf(self)
	return e
}

// Keeps says in which slots this director keeps sessions of others.
func (e *Engine) Keeps() [session.Slots]bool {
	some, _ := e.roster.Load().holds()
	return some.array()
}

// Partly says in which of those it keeps the sessions of some homes only: being
// the one who takes the place of a home among its own keepers, and nobody else's.
func (e *Engine) Partly() [session.Slots]bool {
	some, all := e.roster.Load().holds()
	some.subtract(&all)
	return some.array()
}

// KeepsOf says in which slots this director keeps the sessions of one home.
func (e *Engine) KeepsOf(home session.NodeID) [session.Slots]bool {
	kept := e.roster.Load().kept(home)
	return kept.array()
}

// Keepers returns who keeps this director's own sessions of a slot.
func (e *Engine) Keepers(slot uint8) (ids []session.NodeID) {
	for _, p := range e.roster.Load().own[slot] {
		ids = append(ids, p.owner.ID)
	}
	return ids
}

// Run replicates until ctx ends. It may be called once.
func (e *Engine) Run(ctx context.Context) {
	defer e.pulls.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.wakeup:
		case <-timer.C:
		}
		until := e.step(ctx, time.Now())
		timer.Reset(time.Until(until))
	}
}

// idle is how long run sleeps when there is nothing to do.
const idle = time.Hour

// step does what is due and returns when to look again, unless woken.
func (e *Engine) step(ctx context.Context, now time.Time) (until time.Time) {
	e.look.Store(math.MaxInt64) // what comes from here on may be overlooked
	r := e.roster.Load()
	until = now.Add(idle)
	sooner := func(t time.Time) {
		if t.Before(until) {
			until = t
		}
	}
	for _, p := range r.peers {
		if p.incoming.retry(e, r, p, now) {
			sooner(now.Add(pace))
		}
	}

	e.mu.Lock()
	r = e.last // there may be another by now
	for i := range e.stages {
		e.distribute(r, &e.stages[i])
	}
	sooner(e.pursue(r, now))
	for _, p := range r.peers {
		sooner(e.flush(p, now))
		sooner(e.repair(ctx, p, now))
	}
	answers := e.answered
	e.answered = nil
	e.mu.Unlock()

	for i := range answers {
		e.sessions.Found(answers[i].tuple, answers[i].record)
	}

	e.look.Store(int64(until.Sub(e.start)))
	return until
}

// wakeBy has run look at that time at the latest. It is for those who come often:
// mostly run looks by itself.
func (e *Engine) wakeBy(t time.Time) {
	if e.look.Load() > int64(t.Sub(e.start)) {
		e.wake()
	}
}

// wake has run look at once.
func (e *Engine) wake() {
	select {
	case e.wakeup <- struct{}{}:
	default:
	}
}
