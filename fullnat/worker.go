package fullnat

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/persist"
	"fleetlb/fullnat/schedule"
	"fleetlb/session"
)

// A Worker owns a share of the slots: their sessions, their local ports and one
// receive/transmit queue. Everything below belongs to its goroutine alone,
// except current, inbox, news, replies, lookups, asks and beat.
//
// A packet's journey, in the order of the files: worker.go, batch.go, flow.go,
// mode.go, open.go, send.go.
type Worker struct {
	id, workers int
	queue       link.Queue
	clock       func() session.Tick
	peers       []*Worker // all workers of the plane, this one included
	want        func(packet.Addr)
	report      func(panicked any)

	current *atomic.Pointer[Snapshot]
	inbox   inbox
	asks    chan func()
	beat    atomic.Int64 // when the worker last came round, in ticks

	others  Peers        // the other directors,
	news    news         // what they tell,
	replies chan reply   // what they answer,
	lookups chan *lookup // what they ask
	froze   func(time.Duration)
	rival   func(packet.Addr, [6]byte)

	snap     *Snapshot // pinned for the turn
	sessions *session.Table
	paths    paths

	templates *persist.Store // all workers'

	batch    batch    // in hand
	outgoing outgoing // leaves at the end of the turn
	verdicts [numVerdicts]uint64

	fragments fragments
	pending   pending
	walker    walker
	lift      lifter
	announcer announcer

	fence   fence
	outbox  outbox
	marks   marks
	seeking seeking

	scratch [packet.MaxBuilt]byte // where answers are built
	piece   packet.Packet         // of one that goes through a tunnel in pieces
	outerID uint16                // of the last outer packet
	key     schedule.Key          // of the connection being opened
	network persist.Key           // and of its client's
	lone    session.Session       // of a datagram that gets none
	expired [64]*session.Session
	touched [64]*session.Session
	rejects int // answers to what cannot be served still allowed in this tick
	ticked  session.Tick

	contested bool // in this tick

	turns     uint64 // that carried something
	displaced uint64 // sessions that gave their place to new ones
	fleet     FleetCounters
	guests    bool         // there may be sessions of others that are not ours to hold
	moved     session.Tick // when last it changed which those are
	crowded   session.Tick // when there was no room for a replica
}

// run is a worker's life. It leaves when ctx ends, after the batch in hand.
func (w *Worker) run(ctx context.Context) {
	runtime.LockOSThread() // and never unlocked: the thread ends with its worker
	link.Precede()
	for ctx.Err() == nil {
		now := w.clock()
		w.beat.Store(int64(now))
		if w.turn(now) == 0 && !w.busy(now) {
			w.queue.Wait(tickLength / 2)
		}
	}
}

// busy says whether there is work left that no frame will announce.
func (w *Worker) busy(now session.Tick) bool {
	return len(w.asks) > 0 || w.lift.round.urgent || w.news.waiting() > 0 || len(w.replies) > 0 || len(w.lookups) > 0 ||
		!w.fence.up && (w.walker.walking || w.sessions.Behind(now))
}

// tickLength is the duration of one session.Tick.
const tickLength = 100 * time.Millisecond

// turn is one round: pin the snapshot, carry what came, then whatever time
// itself brings. It returns how many frames came.
func (w *Worker) turn(now session.Tick) int {
	w.pin(now)
	ticked := now != w.ticked
	if ticked {
		w.tick(now)
	}
	n := w.receive(now) + w.receiveHandedOver(now)
	w.release(now)
	w.apply(now)
	w.hear(now)
	w.look(now)
	w.expire(now)
	w.walk(now)
	w.goRound(ticked)
	w.flush()
	w.speak()
	if len(w.asks) > 0 {
		(<-w.asks)()
	}
	if n > 0 {
		w.turns++
	}
	return n
}

// tick does what comes with time and not with packets.
func (w *Worker) tick(now session.Tick) {
	if slept := now - w.ticked; w.ticked != 0 && slept > frozen {
		w.wake(slept)
	}
	w.ticked = now
	w.contested = false
	w.rejects = rejectsPerTick
	if w.fence.up {
		w.rejects = 0
	}
	w.unpark(now)
	w.expireFragments(now)
	w.expireQuestions(now)
	w.mark(now)
	w.host(now)
	w.announce(now)
}
