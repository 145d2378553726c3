package fullnat

import (
	"time"

	"fleetlb/fullnat/schedule"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// paths joins the snapshot's servers with the worker's own session paths, which
// outlive the snapshot for as long as sessions use them.
type paths struct {
	byOrdinal []session.PathID            // of the pinned snapshot's servers
	cells     []*schedule.Cell            // by path: where its load is published; nil if nowhere
	timeouts  map[session.Timeouts]uint16 // what the table calls them
}

func (p *paths) of(s *service.Server) session.PathID { return p.byOrdinal[s.Ordinal] }

// Flags of a session.Path.
const (
	pathDead   = 1 << iota // its server is down and its sessions are reset
	pathResets             // both ends are told when a session expires idle
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
	w.route()
	w.unpark(now)
	w.announcer.stale = true
}

// bind makes the paths of the table's servers the live ones, and has the
// sessions of servers that went down reset where the service wants that.
func (w *Worker) bind(table *service.Table) {
	for _, path := range w.sessions.Paths() {
		path.Live = false
	}
	clear(w.paths.cells)
	w.paths.byOrdinal = w.paths.byOrdinal[:0]
	for _, server := range table.Servers {
		id := w.sessions.Bind(keyOf(server))
		w.paths.byOrdinal = append(w.paths.byOrdinal, id)
		w.live(w.sessions.Path(id), server)
		for int(id) >= len(w.paths.cells) {
			w.paths.cells = append(w.paths.cells, nil)
		}
		w.paths.cells[id] = server.Load.Cell(w.id)
		w.publishLoad(id)
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
	if server.State == service.Down && svc.DeadServer == service.Reset && server != svc.Sorry {
		flags |= pathDead
		if path.Flags&pathDead == 0 && path.Sessions() > 0 {
			w.reaper.start()
		}
	}
	path.Flags = flags
}

func keyOf(s *service.Server) session.PathKey {
	return session.PathKey{
		VIP: s.Service.VIP, VIPPort: s.Service.Port,
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

// publishLoad lets the schedulers of all workers see how many sessions a path has.
func (w *Worker) publishLoad(id session.PathID) {
	if cell := w.cell(id); cell != nil {
		p := w.sessions.Path(id)
		cell.Set(p.Active, p.Inactive)
	}
}

// cell returns where a path's load is published; nil when its server is gone.
func (w *Worker) cell(id session.PathID) *schedule.Cell {
	if int(id) < len(w.paths.cells) {
		return w.paths.cells[id]
	}
	return nil
}

// route finds the next hops of all paths, also those whose server is gone from
// the snapshot while sessions still use it.
func (w *Worker) route() {
	for _, path := range w.sessions.Paths() {
		path.Hop = uint16(w.snap.Hops.Lookup(path.Server))
	}
}
