package fullnat

import (
	"context"
	"time"

	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/offload"
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// wayShare is how many hops an offload has room for beside those of the routes:
// one for each path of each worker, so that what happens to a server is one
// store for all its sessions.
const wayShare = 1 << 18

// Capacity is what an offload for this plane has to hold.
func (p *Plane) Capacity() offload.Capacity {
	c := offload.Capacity{Hops: nexthop.MaxHops + wayShare}
	for _, w := range p.workers {
		c.Flows += w.lift.flows.room()
	}
	return c
}

// Lift has sessions lifted into a table of at least the plane's Capacity. It may
// be called once, and the table be closed only after Run.
func (p *Plane) Lift(t *offload.Table) {
	p.hoist.Lock()
	defer p.hoist.Unlock()
	p.aloft = t
	own := *p.current.Load()
	p.publish(&own)
}

// A gateway tells a hop from another one that has come to have its ID.
type gateway struct {
	addr packet.Addr
	port uint8
}

// publishHops tells the offload the next hops of the routes.
func (p *Plane) publishHops(t *nexthop.Table) {
	for id, h := range t.Hops() {
		for id >= len(p.gateways) {
			p.gateways = append(p.gateways, gateway{})
		}
		g := gateway{h.Gateway, h.Port}
		p.aloft.SetHop(uint32(id), hopOf(&h), g != p.gateways[id])
		p.gateways[id] = g
	}
}

// hopOf is a next hop as the offload is told of it.
func hopOf(h *nexthop.Hop) offload.Hop {
	if h == nil || !h.Resolved {
		return offload.Hop{}
	}
	return offload.Hop{Port: h.Port, MTU: max(h.MTU, minMTU), Src: h.Src, Dst: h.Dst}
}

// board takes up the offload of a new snapshot, and tells it the next hops of
// the paths. Those of the sessions follow by and by.
func (w *Worker) board() {
	if w.lift.table = w.snap.offload; w.lift.table == nil {
		return
	}
	for id, path := range w.sessions.Paths() {
		w.way(id, path)
	}
	if w.snap.Hops.Generation() != w.lift.round.generation {
		w.lift.round.generation = w.snap.Hops.Generation()
		w.lift.round.start()
	}
}

// A way is what a hop of the offload leads to.
type way struct {
	key    session.PathKey
	tunnel packet.Tunnel
}

// way returns the offload's hop towards a path's server, if there is room for
// it. What the worker would not send there, to a VIP that is gone or for a server
// that is lost, it gets to see.
func (w *Worker) way(id session.PathID, path *session.Path) (offload.HopRef, bool) {
	if int(id) >= wayShare/w.workers {
		return 0, false
	}
	for int(id) >= len(w.lift.known) {
		w.lift.known = append(w.lift.known, way{})
	}
	is := way{key: path.PathKey}
	if path.Tunnel != nil {
		is.tunnel = *path.Tunnel
	}
	var h offload.Hop
	if path.Flags&pathLost == 0 && w.snap.Services.HasVIP(path.VIP) {
		h = hopOf(w.snap.Hops.Hop(nexthop.ID(path.Hop)))
	}
	at := w.lift.ways + uint32(id)
	w.lift.table.SetHop(at, h, w.lift.known[id] != is)
	w.lift.known[id] = is
	return w.lift.table.Ref(at), true
}

// wayBack returns the offload's hop towards a session's client.
func (w *Worker) wayBack(s *session.Session, path *session.Path) offload.HopRef {
	w.hop(s, path, session.Outbound)
	if id := nexthop.ID(s.Hop); int(id) < len(w.snap.Hops.Hops()) {
		return w.lift.table.Ref(uint32(id))
	}
	return w.lift.table.Ref(uint32(nexthop.None))
}

// A round is a walk over all sessions, again and again, in which those that are
// lifted are credited and redirected: one in roundEvery, so that what others
// read of a session is never older, or one at once, in chunks of a turn each,
// when the routes have changed.
type round struct {
	generation uint32 // of the routes
	urgent     bool
	from       session.Cursor
}

const (
	roundEvery = 5 * time.Second
	roundChunk = 1024
)

func (r *round) start() { r.urgent, r.from = true, 0 }

// goRound does one chunk of an urgent walk, or at a tick what is due of another.
func (w *Worker) goRound(ticked bool) {
	r := &w.lift.round
	if w.lift.table == nil || !r.urgent && !ticked {
		return
	}
	n := roundChunk
	if !r.urgent {
		n = max(n, w.sessions.Places()/int(roundEvery/tickLength))
	}
	r.from = w.sessions.Each(r.from, n, func(s *session.Session) {
		if s.Offload != 0 {
			w.credit(s)
			w.redirect(s, w.sessions.Path(s.Path))
		}
	})
	r.urgent = r.urgent && r.from != 0
}

// Offloaded is what the offload does.
type Offloaded struct {
	Sessions, Room int              // lifted now, and how many may be
	Carried        session.Counters // without a worker, as far as the workers know
}

func (o *Offloaded) add(p Offloaded) {
	o.Sessions += p.Sessions
	o.Room += p.Room
	o.Carried.Packets += p.Carried.Packets
	o.Carried.Bytes += p.Carried.Bytes
}

// hearAll lets the workers know all that was carried without them, a chunk of
// each one's sessions at a time.
func (p *Plane) hearAll(ctx context.Context) error {
	for _, w := range p.workers {
		for from, done := session.Cursor(0), false; !done; {
			next, err := inquire(ctx, p, w, func() session.Cursor {
				if w.lift.table == nil {
					return 0
				}
				return w.sessions.Each(from, walkChunk, w.credit)
			})
			if err != nil {
				return err
			}
			from, done = next, next == 0
		}
	}
	return nil
}

const (
	// aloftFor is how long the offload carries packets on without a sign of life
	// from the workers.
	aloftFor = 2 * time.Second
	// stuckAfter is how old the workers' sign of life may be.
	stuckAfter = time.Second
)

// keepAloft gives the offload the sign of life, until ctx ends.
func (p *Plane) keepAloft(ctx context.Context) {
	tick := time.NewTicker(tickLength / 2)
	defer tick.Stop()
	for {
		p.hoist.Lock()
		t := p.aloft
		p.hoist.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if t != nil && p.Heartbeat() < stuckAfter {
				t.Renew(uint32(p.tick()), aloftFor)
			}
		}
	}
}
