package fullnat

import (
	"time"

	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// paths joins the snapshot's servers with the worker's own session paths, which
// outlive the snapshot for as long as sessions use them.
type paths struct {
	byOrdinal []session.PathID            // of the pinned snapshot's servers
	servers   []*service.Server           // by path; nil: the snapshot has none any more
	timeouts  map[session.Timeouts]uint16 // what the table calls them
}

func (p *paths) of(s *service.Server) session.PathID { return p.byOrdinal[s.Ordinal] }

// Flags of a session.Path.
const (
	pathDead           = 1 << iota // its server is down or gone, and its sessions are reset
	pathForgets                    // it is, and they are forgotten at the client's next packet
	pathResets                     // both ends are told when a session expires idle
	pathRemovedDies                // once its server is gone it is dead
	pathRemovedForgets             // once its server is gone it forgets
	pathOffLink                    // direct routing does not reach its server
)

// pathLost is either: what the client sends has nowhere to go.
const pathLost = pathDead | pathForgets

// deadFlags are a path's while its server is down, removedFlags from before it is
// gone.
var (
	deadFlags    = [...]uint8{service.Reset: pathDead, service.Expire: pathForgets}
	removedFlags = [...]uint8{service.Reset: pathRemovedDies, service.Expire: pathRemovedForgets}
)

// pin makes the newest snapshot the one this turn works with.
func (w *Worker) pin(now session.Tick) {
	snap := w.current.Load()
	if snap == w.snap {
		return
	}
	old := w.snap
	w.snap = snap
	if old == nil || !old.sameLocals(snap) {
		w.sessions.SetLocals(snap.localAddresses(), snap.Ports[0], snap.Ports[1])
	}
	if old == nil || old.Services != snap.Services {
		w.bind(snap.Services)
	}
	w.join(old, snap, now)
	w.route()
	w.board()
	w.unpark(now)
	w.announcer.stale = true
}

// bind makes the paths of the table's servers the live ones, and has the
// sessions of servers that went down reset where the service wants that.
func (w *Worker) bind(table *service.Table) {
	for _, path := range w.sessions.Paths() {
		path.Live = false
	}
	clear(w.paths.servers)
	w.paths.byOrdinal = w.paths.byOrdinal[:0]
	for _, server := range table.Servers {
		id := w.sessions.Bind(keyOf(server))
		w.paths.byOrdinal = append(w.paths.byOrdinal, id)
		w.live(w.sessions.Path(id), server)
		for int(id) >= len(w.paths.servers) {
			w.paths.servers = append(w.paths.servers, nil)
		}
		w.paths.servers[id] = server
	}
	for id, path := range w.sessions.Paths() {
		if path.Live {
			w.publishLoad(id)
		} else {
			w.removed(path)
		}
	}
	w.sessions.Sweep()
}

// live tells a path what the snapshot says of its server.
func (w *Worker) live(path *session.Path, server *service.Server) {
	svc := server.Service
	path.Live = true
	path.MSS = svc.MSS
	path.Timeouts = w.timeouts(&svc.Timeouts)

	flags := uint8(0)
	if svc.ResetOnExpiry {
		flags |= pathResets
	}
	flags |= removedFlags[svc.RemovedServer]
	if server.State == service.Down && !server.Doubted && server != svc.Sorry {
		flags |= deadFlags[svc.DeadServer]
	}
	switch {
	case server.Mode != service.TUN:
	case path.Tunnel == nil:
		path.Tunnel = &packet.Tunnel{Dst: server.Addr, Port: server.Tunnel.Port, Variant: server.Tunnel.Variant}
	default:
		path.Tunnel.Port, path.Tunnel.Variant = server.Tunnel.Port, server.Tunnel.Variant
	}
	w.flag(path, flags)
}

// removed tells a path that the snapshot has its server no more.
func (w *Worker) removed(path *session.Path) {
	flags := path.Flags
	if flags&pathRemovedDies != 0 {
		flags |= pathDead
	}
	if flags&pathRemovedForgets != 0 {
		flags |= pathForgets
	}
	w.flag(path, flags)
}

// flag sets a path's flags, and has its sessions reset if it is dead from now on.
func (w *Worker) flag(path *session.Path, flags uint8) {
	if flags&pathDead != 0 && path.Flags&pathDead == 0 && path.Sessions() > 0 {
		w.walker.start()
	}
	path.Flags = flags
}

func keyOf(s *service.Server) session.PathKey {
	return session.PathKey{
		VIP: s.Service.VIP, VIPPort: s.Service.Port, VIPLast: s.Service.Last,
		Server: s.Addr, ServerPort: s.Port,
		Protocol: s.Service.Protocol, Mode: session.Mode(s.Mode),
	}
}

// timeouts returns what the table calls a service's timeouts. Services with the
// same ones share them; those that nobody has any more stay, for the sessions of
// servers that are gone from the snapshot.
func (w *Worker) timeouts(t *service.Timeouts) uint16 {
	tt := inTicks(t)
	id, known := w.paths.timeouts[tt]
	if !known {
		id = uint16(len(w.paths.timeouts) + 1)
		if id == 0 { // after as many changes of the configuration
			return 0
		}
		w.paths.timeouts[tt] = id
		w.sessions.SetTimeouts(id, tt)
	}
	return id
}

func inTicks(t *service.Timeouts) session.Timeouts {
	return session.Timeouts{
		session.None:        ticks(t.SynRecv),
		session.Established: ticks(t.Established),
		session.SynSent:     ticks(t.SynSent),
		session.SynRecv:     ticks(t.SynRecv),
		session.FinWait:     ticks(t.FinWait),
		session.TimeWait:    ticks(t.TimeWait),
		session.Close:       ticks(t.Close),
		session.CloseWait:   ticks(t.CloseWait),
		session.LastAck:     ticks(t.LastAck),
		session.OneWay:      ticks(t.UDP),
		session.TwoWay:      ticks(t.UDP),
	}
}

// ticks rounds a duration up to ticks, of which a year is as good as ever.
func ticks(d time.Duration) session.Tick {
	const year = 365 * 24 * time.Hour
	return session.Tick((min(d, year) + tickLength - 1) / tickLength)
}

// publishLoad lets the schedulers of all workers see how many sessions a server
// has, whatever listener of its service they came by.
func (w *Worker) publishLoad(id session.PathID) {
	server := w.server(id)
	if server == nil {
		return
	}
	p := w.sessions.Path(id)
	active, inactive := p.Active, p.Inactive
	for _, o := range server.Beside {
		p := w.sessions.Path(w.paths.of(o))
		active, inactive = active+p.Active, inactive+p.Inactive
	}
	server.Load.Cell(w.id).Set(active, inactive)
	server.Full() // so that it knows that it was, when nobody asks just now
}

// server returns the server of a path as the snapshot has it; nil when it is gone.
func (w *Worker) server(id session.PathID) *service.Server {
	if int(id) < len(w.paths.servers) {
		return w.paths.servers[id]
	}
	return nil
}

// route finds the next hops of all paths, also those whose server is gone from
// the snapshot while sessions still use it.
func (w *Worker) route() {
	for _, path := range w.sessions.Paths() {
		w.routePath(path)
	}
}

func (w *Worker) routePath(path *session.Path) {
	id := w.snap.Hops.Lookup(path.Server)
	hop := w.snap.Hops.Hop(id)
	path.Flags &^= pathOffLink
	switch {
	case offLink(path, w.snap.Hops):
		path.Flags |= pathOffLink
		id = nexthop.None
	case path.Tunnel != nil && hop != nil:
		path.Tunnel.Src = w.snap.Hops.SourceFor(hop.Port, !path.Server.Is4())
	}
	path.Hop = uint16(id)
}

// furnish gives a path that no server of the snapshot has, as one of another
// director's sessions may be, what it takes to carry its packets.
func (w *Worker) furnish(path *session.Path) {
	svc := w.snap.Services.Find(path.Protocol, path.VIP, path.VIPPort)
	if path.Mode == session.TUN && path.Tunnel == nil {
		path.Tunnel = tunnelLike(svc, path.Server)
	}
	w.routePath(path)
	if svc == nil {
		return
	}
	path.MSS = svc.MSS
	path.Timeouts = w.timeouts(&svc.Timeouts)
	if svc.ResetOnExpiry {
		path.Flags |= pathResets
	}
}

// tunnelLike is a tunnel to a server that the snapshot has not: one like those to
// the service's others.
func tunnelLike(svc *service.Service, server packet.Addr) *packet.Tunnel {
	t := &packet.Tunnel{Dst: server}
	if svc != nil {
		for _, s := range svc.Servers {
			if s.Mode == service.TUN {
				t.Port, t.Variant = s.Tunnel.Port, s.Tunnel.Variant
				break
			}
		}
	}
	return t
}
