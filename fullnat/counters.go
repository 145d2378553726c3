package fullnat

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// Slots is how many parts the sessions are divided into.
const Slots = session.Slots

// Counters is what a plane has counted since it was made.
type Counters struct {
	Sessions  int                  // there are now
	Displaced uint64               // half-open or ended sessions that gave their place to new ones
	Workers   []WorkerCounters     // by number
	Verdicts  [numVerdicts]uint64  // frames, by Verdict
	Servers   map[ServerID]Traffic // every server that is served or has sessions
	Retired   Traffic              // of all that were served once and are not any more
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
	sum := &Counters{Servers: map[ServerID]Traffic{}}
	for _, w := range p.workers {
		c, err := inquire(ctx, p, w, w.counters)
		if err != nil {
			return nil, err
		}
		sum.add(c)
	}
	return sum, nil
}

func (w *Worker) counters() *Counters {
	c := &Counters{
		Sessions:  w.sessions.Count(),
		Displaced: w.displaced,
		Verdicts:  w.verdicts,
		Servers:   map[ServerID]Traffic{},
		Retired:   w.sessions.Retired(),
	}
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
	c.Displaced += o.Displaced
	c.Retired = c.Retired.Plus(o.Retired)
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
