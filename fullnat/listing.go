package fullnat

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// SessionInfo is one session, as of one moment.
type SessionInfo struct {
	Protocol              uint8
	State                 string
	Service               string // "" when the snapshot has none for it any more
	Client, VIP           netip.AddrPort
	Mode                  string
	Local                 netip.AddrPort // invalid in modes without one
	Server                netip.AddrPort
	Slot, Worker          int
	Role                  session.Role
	Home                  session.NodeID // zero: this director alone
	Expires               time.Duration  // from now, unless it is used
	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64
}

// listChunk is how many places of the table a worker looks through between two
// batches when it lists its sessions: about as long as a batch takes.
const listChunk = 64

// Sessions lists all sessions, in no order, a chunk of each worker's at a time. A
// session that lives as long as the walk is listed once.
func (p *Plane) Sessions(ctx context.Context) iter.Seq2[SessionInfo, error] {
	return func(yield func(SessionInfo, error) bool) {
		list := make([]SessionInfo, 0, listChunk) // not by the worker, which would wait for the garbage collector
		for _, w := range p.workers {
			for from, done := session.Cursor(0), false; !done; {
				c, err := inquire(ctx, p, w, func() chunk { return w.list(list, from) })
				if err != nil {
					yield(SessionInfo{}, err)
					return
				}
				for _, s := range c.sessions {
					if !yield(s, nil) {
						return
					}
				}
				from, done = c.next, c.next == 0
			}
		}
	}
}

// A chunk is a part of the sessions and where the next one begins; 0: nowhere.
type chunk struct {
	sessions []SessionInfo
	next     session.Cursor
}

func (w *Worker) list(into []SessionInfo, from session.Cursor) chunk {
	c, now := chunk{sessions: into}, w.clock()
	c.next = w.sessions.Each(from, listChunk, func(s *session.Session) {
		c.sessions = append(c.sessions, w.info(s, now))
	})
	return c
}

func (w *Worker) info(s *session.Session, now session.Tick) SessionInfo {
	w.credit(s)
	path := w.sessions.Path(s.Path)
	c := w.sessions.Counters(s)
	info := SessionInfo{
		Protocol: path.Protocol, State: s.State.String(),
		Client: ends(s.Client, s.ClientPort), VIP: ends(path.VIP, s.VIPPort),
		Mode: service.Mode(path.Mode).String(), Server: ends(path.Server, s.ServerPort(path)),
		Slot: int(session.Slot(path.Protocol, s.Client, s.ClientPort)),
		Role: s.Role(), Home: w.sessions.HomeOf(s).ID,
		Worker: w.id, Expires: time.Duration(max(int32(w.sessions.Expires(s)-now), 0)) * tickLength,
		PacketsIn: c[session.Inbound].Packets, BytesIn: c[session.Inbound].Bytes,
		PacketsOut: c[session.Outbound].Packets, BytesOut: c[session.Outbound].Bytes,
	}
	if s.LocalPort != 0 {
		info.Local = ends(w.sessions.Local(s), s.LocalPort)
	}
	if svc := w.snap.Services.Find(path.Protocol, path.VIP, s.VIPPort); svc != nil {
		info.Service = svc.Name
	}
	return info
}

func ends(a packet.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a.Netip(), port) }

// Established returns how many sessions a drain has to wait for: those of TCP
// that are not over, and those of UDP.
func (p *Plane) Established(ctx context.Context) (n int, err error) {
	for _, w := range p.workers {
		more, err := inquire(ctx, p, w, w.established)
		if err != nil {
			return 0, err
		}
		n += more
	}
	return n, nil
}

func (w *Worker) established() (n int) {
	for _, path := range w.sessions.Paths() {
		n += int(path.Active)
		if path.Protocol == packet.UDP {
			n += int(path.Inactive)
		}
	}
	return n
}
