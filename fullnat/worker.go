package fullnat

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/schedule"
	"fleetlb/session"
)

// batch is how many frames a worker takes in one turn: enough to spread the
// cost of a system call, few enough to stay in the first-level cache.
const batch = 64

// A Worker owns a share of the slots: their sessions, their local ports and one
// receive/transmit queue. Everything below belongs to its goroutine alone,
// except current, inbox, asks and beat.
//
// A packet's journey, in the order of the files: worker.go, flow.go, open.go.
type Worker struct {
	id, workers int
	queue       link.Queue
	clock       func() session.Tick
	peers       []*Worker // all workers of the plane, this one included
	want        func(packet.Addr)

	current *atomic.Pointer[Snapshot]
	inbox   inbox
	asks    chan func()
	beat    atomic.Int64 // when the worker last came round, in ticks

	snap     *Snapshot // pinned for the batch
	sessions *session.Table
	paths    paths
	parser   packet.Packet

	in, out  [batch]*link.Frame
	expired  [batch]*session.Session
	filled   int            // frames in out
	one      [1]*link.Frame // a batch of one, so that Free and Alloc need no array of their own
	verdicts [numVerdicts]uint64

	macs    [][6]byte             // of the interfaces
	scratch [packet.MaxBuilt]byte // where answers are built
	key     schedule.Key          // of the connection being opened

	fragments fragments
	pending   pending
	reaper    reaper
	hops      uint8 // how often the frame in hand was handed over
	rejects   int   // answers to what cannot be served still allowed in this tick
	ticked    session.Tick
	turns     uint64 // that carried something
}

// run is a worker's life. It leaves when ctx ends, after the batch in hand.
func (w *Worker) run(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
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
	return w.reaper.walking || w.sessions.Behind(now)
}

// tickLength is the duration of one session.Tick.
const tickLength = 100 * time.Millisecond

// turn is one round: pin the snapshot, carry what came, then whatever time
// itself brings. It returns how many frames it took.
func (w *Worker) turn(now session.Tick) int {
	w.pin(now)
	n := w.drainInbox(now) + w.step(now)
	if len(w.asks) > 0 {
		(<-w.asks)()
	}
	if now != w.ticked {
		w.tick(now)
	}
	w.expire(now)
	w.reap(now)
	w.flush()
	if n > 0 {
		w.turns++
	}
	return n
}

// step carries one batch from the receive queue to the transmit queue. Nothing
// here allocates, locks, logs or asks the clock: now was read once by run, and
// the snapshot is pinned, so every packet of a batch sees the same configuration.
func (w *Worker) step(now session.Tick) int {
	n := w.queue.Recv(w.in[:])
	for _, f := range w.in[:n] {
		w.settle(f, w.forward(f, now))
	}
	return n
}

// forward is the life of one packet: parse it, find its session, carry it on.
func (w *Worker) forward(f *link.Frame, now session.Tick) Verdict {
	p := &w.parser
	if fault := packet.Parse(f.Bytes(), f.Offload.NeedsChecksum(), p); fault != packet.None {
		return faulty(fault)
	}
	if p.Kind != packet.Flow {
		return w.unusual(f, p, now)
	}
	return w.flow(f, p, now)
}

// unusual sends everything that is not a whole TCP or UDP packet to its file.
func (w *Worker) unusual(f *link.Frame, p *packet.Packet, now session.Tick) Verdict {
	switch p.Kind {
	case packet.Fragment:
		return w.fragment(f, p, now)
	case packet.Error:
		return w.icmpError(f, p, now)
	case packet.Echo:
		return w.echo(p)
	case packet.ARP, packet.Neighbor:
		return w.ask(f, p)
	}
	if !w.snap.owns(p.Tuple.Dst) {
		return NotOurs
	}
	return DropProtocol
}

// settle counts the verdict on a frame and passes the frame on or back.
func (w *Worker) settle(f *link.Frame, v Verdict) {
	w.verdicts[v]++
	switch v {
	case Forwarded, Answered, Rejected:
		w.send(f)
	case Parked:
	default:
		w.free(f)
	}
}

// send puts a frame into the batch that leaves at the end of the turn.
func (w *Worker) send(f *link.Frame) {
	if w.filled == len(w.out) {
		w.flush()
	}
	w.out[w.filled] = f
	w.filled++
}

// flush hands the batch to the interfaces. What they do not take is dropped:
// a full transmit ring means the link is slower than what is sent to it.
func (w *Worker) flush() {
	if w.filled == 0 {
		return
	}
	sent := w.queue.Send(w.out[:w.filled])
	w.verdicts[DropTxFull] += uint64(w.filled - sent)
	w.queue.Free(w.out[sent:w.filled])
	w.filled = 0
}

func (w *Worker) free(f *link.Frame) {
	w.one[0] = f
	w.queue.Free(w.one[:])
}

// alloc returns an empty frame for a packet of our own, or nil.
func (w *Worker) alloc() *link.Frame {
	if w.queue.Alloc(w.one[:]) == 0 {
		return nil
	}
	return w.one[0]
}
