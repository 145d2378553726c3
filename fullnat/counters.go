package fullnat

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"fleetlb/fullnat/persist"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// Slots is how many parts the sessions are divided into.
const Slots = session.Slots

// Counters is what a plane has counted since it was made.
type Counters struct {
	Sessions  int                  // there are now, other directors' too
	Room      int                  // sessions of its own that there can be
	Templates persist.Counts       // what persistence remembers
	Displaced uint64               // half-open or ended sessions that gave their place to new ones
	Workers   []WorkerCounters     // by number
	Verdicts  [numVerdicts]uint64  // frames, by Verdict
	Servers   map[ServerID]Traffic // every server that is served or has sessions
	Retired   Traffic              // of all that were served once and are not any more
	Fleet     FleetCounters
	Offloaded Offloaded
}

// Total is the traffic of all servers there ever were.
func (c *Counters) Total() Traffic {
	all := c.Retired
	for _, t := range c.Servers {
		all = all.Plus(t)
	}
	return all
}

// Of is the traffic of a server, behind whatever listener of its service.
func (c *Counters) Of(s *service.Server) Traffic {
	t := c.Servers[IDOf(s)]
	for _, o := range s.Beside {
		t = t.Plus(c.Servers[IDOf(o)])
	}
	return t
}

// WorkerCounters is what one worker has done.
type WorkerCounters struct {
	Turns uint64        // rounds that carried something
	Busy  time.Duration // processor time that its thread has used
}

// FleetCounters is what has passed between this director and the others.
type FleetCounters struct {
	Roles  [session.NumRoles]int // sessions there are, by role
	Sought int                   // packets that wait for the others to tell whose they are

	Told     uint64 // records of sessions and their ends
	Marked   uint64 // digests told
	Applied  uint64 // records believed
	Refused  uint64 // records not believed: not valid, or not the sender's to say
	NoRoom   uint64 // records of sessions for which there was no room
	Differed uint64 // digests of others that did not fit

	Adopted    uint64 // replicas that packets were found to belong to
	Asked      uint64 // sessions the others were asked for
	Pulled     uint64 // of these, those that somebody knew
	Unknown    uint64 // and those that nobody did
	Unanswered uint64 // and those whose answer did not come in time
	Unasked    uint64 // packets of sessions that were not asked for, there being too many
	Answered   uint64 // sessions that others asked us for and that were here
}

func (c *FleetCounters) add(o *FleetCounters) {
	for i, n := range o.Roles {
		c.Roles[i] += n
	}
	c.Sought += o.Sought
	c.Told += o.Told
	c.Marked += o.Marked
	c.Applied += o.Applied
	c.Refused += o.Refused
	c.NoRoom += o.NoRoom
	c.Differed += o.Differed
	c.Adopted += o.Adopted
	c.Asked += o.Asked
	c.Pulled += o.Pulled
	c.Unknown += o.Unknown
	c.Unanswered += o.Unanswered
	c.Unasked += o.Unasked
	c.Answered += o.Answered
}

// A ServerID tells one server of one service from all others, over all
// snapshots.
type ServerID struct {
	Protocol    uint8
	VIP, Server netip.AddrPort
	Last        uint16 // the VIP's ports up to this one; 0: its own alone
}

// IDOf returns the ID under which a server's traffic is counted.
func IDOf(s *service.Server) ServerID { return idOf(keyOf(s)) }

func idOf(k session.PathKey) ServerID {
	return ServerID{k.Protocol, ends(k.VIP, k.VIPPort), ends(k.Server, k.ServerPort), k.VIPLast}
}

// Traffic is what went to and came from one server.
type Traffic = session.Traffic

// Counters asks all workers and adds up.
func (p *Plane) Counters(ctx context.Context) (*Counters, error) {
	if err := p.hearAll(ctx); err != nil {
		return nil, err
	}
	sum := &Counters{Servers: map[ServerID]Traffic{}, Templates: p.templates.Counts()}
	for _, w := range p.workers {
		c, err := inquire(ctx, p, w, w.counters)
		if err != nil {
			return nil, err
		}
		sum.add(c)
	}
	sum.Fleet.Refused += p.delivery.refusals()
	return sum, nil
}

func (w *Worker) counters() *Counters {
	c := &Counters{
		Sessions:  w.sessions.Count(),
		Room:      w.sessions.Room(),
		Displaced: w.displaced,
		Verdicts:  w.verdicts,
		Servers:   map[ServerID]Traffic{},
		Retired:   w.sessions.Retired(),
		Fleet:     w.fleet,
		Offloaded: Offloaded{w.lift.flows.taken(), w.lift.flows.room(), w.lift.carried},
	}
	c.Fleet.Roles = w.sessions.Roles()
	c.Fleet.Sought = w.seeking.held
	c.Workers = []WorkerCounters{{Turns: w.turns}}
	if w.beat.Load() != 0 { // else it is not the worker that answers
		c.Workers[0].Busy = threadTime()
	}
	for _, path := range w.sessions.Paths() {
		id := idOf(path.PathKey)
		c.Servers[id] = c.Servers[id].Plus(path.Traffic)
	}
	return c
}

func (c *Counters) add(o *Counters) {
	c.Sessions += o.Sessions
	c.Room += o.Room
	c.Displaced += o.Displaced
	c.Retired = c.Retired.Plus(o.Retired)
	c.Fleet.add(&o.Fleet)
	c.Offloaded.add(o.Offloaded)
	c.Workers = append(c.Workers, o.Workers...)
	for i, n := range o.Verdicts {
		c.Verdicts[i] += n
	}
	for id, t := range o.Servers {
		c.Servers[id] = c.Servers[id].Plus(t)
	}
}

// threadTime is the processor time of the thread that asks. A worker's thread is
// the worker's alone, so nobody has to measure while packets are carried.
func threadTime() time.Duration {
	var used unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used)
	return time.Duration(used.Nano())
}
