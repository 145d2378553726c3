package fullnat

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// Slots is how many parts the sessions are divided into.
const Slots = session.Slots

// Counters is what a plane has counted since it was made.
type Counters struct {
	Sessions int                  // there are now
	Workers  []WorkerCounters     // by number
	Verdicts [numVerdicts]uint64  // frames, by Verdict
	Servers  map[ServerID]Traffic // every server that is served or has sessions
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
}

// IDOf returns the ID under which a server's traffic is counted.
func IDOf(s *service.Server) ServerID { return idOf(keyOf(s)) }

func idOf(k session.PathKey) ServerID {
	return ServerID{k.Protocol, ends(k.VIP, k.VIPPort), ends(k.Server, k.ServerPort)}
}

// Traffic is what went to and came from one server.
type Traffic struct {
	Connections           uint64 // opened
	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64 // of IP packets
}

// Counters asks all workers and adds up.
func (p *Plane) Counters(ctx context.Context) (*Counters, error) {
	c := &Counters{Servers: map[ServerID]Traffic{}}
	for _, w := range p.workers {
		if err := p.ask(ctx, w, func() { w.countInto(c) }); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (w *Worker) countInto(c *Counters) {
	c.Sessions += w.sessions.Count()
	c.Workers = append(c.Workers, WorkerCounters{w.turns, threadTime()})
	for i, n := range w.verdicts {
		c.Verdicts[i] += n
	}
	for _, path := range w.sessions.Paths() {
		id := idOf(path.PathKey)
		t := c.Servers[id]
		t.Connections += path.Connections
		t.PacketsIn += path.PacketsIn
		t.PacketsOut += path.PacketsOut
		t.BytesIn += path.BytesIn
		t.BytesOut += path.BytesOut
		c.Servers[id] = t
	}
}

// threadTime is the processor time of the thread that asks. A worker's thread is
// the worker's alone, so nobody has to measure while packets are carried.
func threadTime() time.Duration {
	var used unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used)
	return time.Duration(used.Nano())
}

// SessionInfo is one session, as of one moment.
type SessionInfo struct {
	Protocol              uint8
	State                 string
	Service               string // "" when the snapshot has none for it any more
	Client, VIP           netip.AddrPort
	Local, Server         netip.AddrPort
	Slot, Worker          int
	Expires               time.Duration // from now, unless it is used
	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64
}

// walkChunk is how many places of the table a worker looks through between two
// batches when it lists its sessions.
const walkChunk = 1024

// Sessions lists all sessions, in no order, a chunk of each worker's at a time. A
// session that lives as long as the walk is listed once.
func (p *Plane) Sessions(ctx context.Context) iter.Seq2[SessionInfo, error] {
	return func(yield func(SessionInfo, error) bool) {
		for _, w := range p.workers {
			from := session.Cursor(0)
			for {
				chunk, err := p.chunk(ctx, w, &from)
				if err != nil {
					yield(SessionInfo{}, err)
					return
				}
				for _, s := range chunk {
					if !yield(s, nil) {
						return
					}
				}
				if from == 0 {
					break
				}
			}
		}
	}
}

// chunk lists the sessions of one chunk and moves the cursor on.
func (p *Plane) chunk(ctx context.Context, w *Worker, from *session.Cursor) (list []SessionInfo, err error) {
	next := *from
	err = p.ask(ctx, w, func() {
		now := w.clock()
		next = w.sessions.Each(next, walkChunk, func(s *session.Session) {
			list = append(list, w.info(s, now))
		})
	})
	*from = next
	return list, err
}

func (w *Worker) info(s *session.Session, now session.Tick) SessionInfo {
	path := w.sessions.Path(s.Path)
	c := w.sessions.Counters(s)
	info := SessionInfo{
		Protocol: path.Protocol, State: s.State.String(),
		Client: ends(s.Client, s.ClientPort), VIP: ends(path.VIP, path.VIPPort),
		Local: ends(w.sessions.Local(s), s.LocalPort), Server: ends(path.Server, path.ServerPort),
		Slot:   int(session.Slot(path.Protocol, s.Client, s.ClientPort)),
		Worker: w.id, Expires: time.Duration(max(int32(w.sessions.Expires(s)-now), 0)) * tickLength,
		PacketsIn: c[session.Inbound].Packets, BytesIn: c[session.Inbound].Bytes,
		PacketsOut: c[session.Outbound].Packets, BytesOut: c[session.Outbound].Bytes,
	}
	if svc := w.snap.Services.Find(path.Protocol, path.VIP, path.VIPPort); svc != nil {
		info.Service = svc.Name
	}
	return info
}

func ends(a packet.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a.Netip(), port) }

// Established returns how many sessions a drain has to wait for: those of TCP
// that are not over, and those of UDP.
func (p *Plane) Established(ctx context.Context) (n int, err error) {
	for _, w := range p.workers {
		err := p.ask(ctx, w, func() {
			for _, path := range w.sessions.Paths() {
				n += int(path.Active)
				if path.Protocol == packet.UDP {
					n += int(path.Inactive)
				}
			}
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// PoolInfo is the use of one local address.
type PoolInfo struct {
	Local         netip.Addr
	Ports         int // towards each server
	Sessions      int
	BusiestServer netip.AddrPort
	BusiestPorts  int // in use towards that server
}

// Pools lists the local addresses that new sessions take.
func (p *Plane) Pools(ctx context.Context) ([]PoolInfo, error) {
	var order []netip.Addr
	all := map[netip.Addr]*PoolInfo{}
	busy := map[netip.Addr]map[netip.AddrPort]int{}
	for _, w := range p.workers {
		err := p.ask(ctx, w, func() {
			for _, a := range w.snap.localAddresses() {
				l := a.Netip()
				if all[l] == nil {
					order = append(order, l)
					all[l] = &PoolInfo{Local: l, Ports: int(w.snap.Ports[1]) - int(w.snap.Ports[0]) + 1}
					busy[l] = map[netip.AddrPort]int{}
				}
			}
			for u := range w.sessions.PortUse() {
				if info := all[u.Local.Netip()]; info != nil {
					info.Sessions += u.Ports
					busy[info.Local][ends(u.Server, u.ServerPort)] += u.Ports
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	list := make([]PoolInfo, 0, len(order))
	for _, l := range order {
		info := all[l]
		for server, n := range busy[l] {
			if n > info.BusiestPorts || n == info.BusiestPorts && n > 0 && server.Compare(info.BusiestServer) < 0 {
				info.BusiestServer, info.BusiestPorts = server, n
			}
		}
		list = append(list, *info)
	}
	return list, nil
}
