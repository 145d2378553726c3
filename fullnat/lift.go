package fullnat

import (
	"fleetlb/fullnat/offload"
	"fleetlb/session"
)

// Established sessions are lifted into the network driver (package offload),
// which carries their packets as this package would. What it leaves to the
// worker comes here as ever: account, in flow.go, first lets the session know
// what was carried without the worker, and last has it lifted. The table of
// sessions has those taken down that change or go; hoist.go keeps the next hops
// of the lifted true.

// A lifter is a worker's share of the offload.
type lifter struct {
	table   *offload.Table // of the pinned snapshot; nil: nothing is lifted
	flows   flowNumbers
	of      []uint32 // by number of the session: that of its flow
	ways    uint32   // index of the hop of path 0, which is none
	known   []way    // by path: whose hop it is
	flow    offload.Flow
	outer   outer
	round   round
	carried session.Counters // without the worker
}

// liftAfter is how many packets a session has carried when it is lifted. That
// costs as much as a packet costs here; a connection that is over after a
// question and its answer is not worth it.
const liftAfter = 8

// aloft lifts a session that has come so far, and keeps a lifted one on its way.
func (w *Worker) aloft(s *session.Session, path *session.Path) {
	switch {
	case w.lift.table == nil:
	case s.Offload != 0:
		w.redirect(s, path)
	case s.Carried() >= liftAfter && s.Carried()%4 == 0 && plain(s, path): // not each time, where it cannot be
		w.take(s, path)
	}
}

// plain says whether the packets of a session need no more than new ends or an
// outer header, and a next hop.
func plain(s *session.Session, path *session.Path) bool {
	switch s.State {
	case session.Established, session.OneWay, session.TwoWay:
		return path.Mode != session.TUN || wrappable(path.Tunnel)
	}
	return false
}

// take lifts a session. Of a UDP session in which only the client has spoken, the
// server's first packet comes to the worker, for it changes the state. A face
// that another session wears is not this one's.
func (w *Worker) take(s *session.Session, path *session.Path) {
	way, ok := w.way(s.Path, path)
	if !ok || s.Shadowed(session.Inbound) || s.Shadowed(session.Outbound) {
		return
	}
	n := w.lift.flows.take(w.lift.table)
	if n == 0 {
		return
	}
	f := &w.lift.flow
	*f = offload.Flow{
		Client: w.sessions.Face(s, session.Inbound),
		Server: w.sessions.Face(s, session.Outbound),
		OneWay: s.State == session.OneWay,
		Hops:   [2]offload.HopRef{way, w.wayBack(s, path)},
	}
	if path.Mode == session.DR || path.Mode == session.TUN {
		f.To, f.ToPort = path.Server, path.ServerPort
	}
	if path.Mode == session.TUN {
		f.Outer = w.lift.outer.of(path.Tunnel, s)
	}
	if !w.lift.table.Lift(n, f) {
		w.lift.flows.give(n)
		return
	}
	w.lift.of[w.sessions.Number(s)] = n
	s.Offload = 1
}

// land takes a lifted session down.
func (w *Worker) land(s *session.Session) {
	n := w.flowOf(s)
	w.lift.table.Drop(n)
	w.credit(s)
	s.Offload = 0
	w.lift.flows.give(n)
}

// flowOf returns the number of a lifted session's flow.
func (w *Worker) flowOf(s *session.Session) uint32 { return w.lift.of[w.sessions.Number(s)] }

// redirect lets a lifted session have the next hops of the pinned snapshot. One
// whose tunnel has changed is lifted again.
func (w *Worker) redirect(s *session.Session, path *session.Path) {
	n := w.flowOf(s)
	way, ok := w.way(s.Path, path)
	if path.Mode == session.TUN && ok && !w.lift.table.Follows(n, way) {
		w.land(s)
		return
	}
	if ok {
		w.lift.table.Redirect(n, session.Inbound, way)
	}
	w.lift.table.Redirect(n, session.Outbound, w.wayBack(s, path))
}

// credit lets a session and its path know what was carried without the worker.
func (w *Worker) credit(s *session.Session) {
	if s.Offload == 0 {
		return
	}
	n, path := w.flowOf(s), w.sessions.Path(s.Path)
	for _, d := range [...]session.Direction{session.Inbound, session.Outbound} {
		seen := w.lift.table.Read(n, d)
		c := session.Counters{Packets: seen.Packets, Bytes: seen.Bytes}
		w.sessions.Credit(s, d, session.Hearsay{Counters: c, Used: session.Tick(seen.Used), Next: seen.Next, Ack: seen.Ack})
		if d == session.Inbound {
			path.PacketsIn += c.Packets
			path.BytesIn += c.Bytes
		} else {
			path.PacketsOut += c.Packets
			path.BytesOut += c.Bytes
		}
		w.lift.carried.Packets += c.Packets
		w.lift.carried.Bytes += c.Bytes
	}
}

// A carrier is what the worker's table of sessions sees of the offload.
type carrier struct{ *Worker }

func (c carrier) Land(s *session.Session) { c.land(s) }
func (c carrier) Hear(s *session.Session) { c.credit(s) }

// flowNumbers hands out the flow numbers of a worker. Those that come back wait
// their turn, until no program can be reading what was theirs.
type flowNumbers struct {
	fresh, end uint32   // the numbers [fresh, end) were never used
	back       []uint32 // a ring of those that came back
	head, n    int
}

func newFlowNumbers(first uint32, n int) flowNumbers {
	return flowNumbers{fresh: first, end: first + uint32(n), back: make([]uint32, n)}
}

// take returns a number, 0 if there is none at present.
func (f *flowNumbers) take(t *offload.Table) uint32 {
	if f.n > 0 && t.Free(f.back[f.head]) {
		n := f.back[f.head]
		f.head = (f.head + 1) % len(f.back)
		f.n--
		return n
	}
	if f.fresh == f.end {
		return 0
	}
	f.fresh++
	return f.fresh - 1
}

// room is how many numbers there are, taken how many of them are in use.
func (f *flowNumbers) room() int  { return len(f.back) }
func (f *flowNumbers) taken() int { return len(f.back) - f.n - int(f.end-f.fresh) }

func (f *flowNumbers) give(n uint32) {
	f.back[(f.head+f.n)%len(f.back)] = n
	f.n++
}
