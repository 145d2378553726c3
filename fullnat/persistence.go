package fullnat

import (
	"context"
	"iter"
	"net/netip"
	"slices"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/persist"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// choose returns the server of a new connection: where there is persistence the
// one that the client's network has, as long as that takes it, and else the
// scheduler's. The template that remembers it is the caller's to attach to the
// session or to release.
//
// As in IPVS a server keeps its clients while it is at its upper threshold: what
// they did there is worth more than an even load.
func (w *Worker) choose(svc *service.Service, t *packet.Tuple, now session.Tick) (*service.Server, persist.Ref) {
	if svc.Persistence.Timeout == 0 {
		return w.pick(svc, t), 0
	}
	w.network = network(svc, t.Src)
	timeout := ticks(svc.Persistence.Timeout)
	had, ref := w.templates.Take(&w.network, timeout, now)
	if s := svc.Server(had.Addr, had.Port); ref != 0 && s != nil && s.Keeps() {
		return s, ref
	}
	s := w.pick(svc, t)
	if s == nil || s == svc.Sorry { // who stands in is not to be remembered
		w.forgo(ref, now)
		return s, 0
	}
	to := persist.Server{Addr: s.Addr, Port: s.Port}
	got := to
	if ref != 0 {
		got = w.templates.Move(ref, had, to, now)
	} else {
		// A datagram may be all that its client ever sends.
		got, ref = w.templates.Give(&w.network, to, svc.Protocol == packet.UDP, timeout, now)
	}
	if got != to { // another worker was faster
		if o := svc.Server(got.Addr, got.Port); o != nil && o.Keeps() {
			return o, ref
		}
	}
	return s, ref
}

// network is what persistence knows a client by.
func network(svc *service.Service, client packet.Addr) persist.Key {
	bits := svc.Persistence.Prefix6
	if client.Is4() {
		bits = svc.Persistence.Prefix4
	}
	return persist.KeyOf(svc.Memory, client, bits)
}

// forgo lets go of a template.
func (w *Worker) forgo(r persist.Ref, now session.Tick) {
	if r != 0 {
		w.templates.Release(r, now)
	}
}

// bond has a session that was opened elsewhere hold its client to its server as
// one of our own does, until it is closed here.
func (w *Worker) bond(s *session.Session, now session.Tick) {
	v := w.server(s.Path)
	if v == nil || v.Service.Persistence.Timeout == 0 || v == v.Service.Sorry || w.sessions.Attached(s) != 0 {
		return
	}
	w.network = network(v.Service, s.Client)
	timeout := ticks(v.Service.Persistence.Timeout)
	_, ref := w.templates.Take(&w.network, timeout, now)
	if ref == 0 {
		_, ref = w.templates.Give(&w.network, persist.Server{Addr: v.Addr, Port: v.Port}, true, timeout, now)
	}
	w.sessions.Attach(s, uint32(ref))
}

// assure notes that a session's client is there, if it is: what stands in the way
// of forged addresses.
func (w *Worker) assure(s *session.Session, now session.Tick) {
	if s.State != session.Established {
		return
	}
	if r := persist.Ref(w.sessions.Attached(s)); r != 0 {
		w.templates.Assure(r, now)
	}
}

// Templates is what persistence remembers. Other directors' news go in and ours
// come out here.
func (p *Plane) Templates() *persist.Store { return p.templates }

// Now is the time by the clock that templates live by.
func (p *Plane) Now() session.Tick { return p.tick() }

// TemplateInfo is one thing that persistence remembers.
type TemplateInfo struct {
	Service  string
	Client   netip.Prefix
	Server   netip.AddrPort
	Expires  time.Duration // from now, unless it is used
	Sessions int           // that hold it
}

// Persistence lists what is remembered for the services there are, in no order.
func (p *Plane) Persistence() iter.Seq[TemplateInfo] {
	names := map[uint64]string{}
	for _, s := range p.current.Load().Services.Services {
		names[s.Memory] = s.Name
	}
	return func(yield func(TemplateInfo) bool) {
		for t := range p.templates.All(p.tick()) {
			name, known := names[t.Service]
			if known && !yield(TemplateInfo{
				Service: name, Client: t.Prefix(), Server: ends(t.Server.Addr, t.Server.Port),
				Expires: time.Duration(t.Left) * tickLength, Sessions: int(t.Sessions),
			}) {
				return
			}
		}
	}
}

// age forgets what persistence need not remember any more.
func (p *Plane) age(ctx context.Context) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			p.templates.Age(p.tick())
		case <-ctx.Done():
			return
		}
	}
}

// remember makes room for templates if a table's services want any.
func (p *Plane) remember(table *service.Table) {
	if slices.ContainsFunc(table.Services, func(s *service.Service) bool { return s.Persistence.Timeout > 0 }) {
		p.templates.Prepare()
	}
}

// forget drops the templates of servers that may have no clients any more. Those
// of services that the table does not have are let be: other directors may know
// them already.
func (p *Plane) forget(table *service.Table) {
	services := map[uint64]*service.Service{}
	for _, s := range table.Services {
		services[s.Memory] = s
	}
	p.templates.Forget(func(memory uint64, at persist.Server) bool {
		svc := services[memory]
		if svc == nil {
			return false
		}
		s := svc.Server(at.Addr, at.Port)
		return s == nil || s.State == service.Down && !s.Doubted
	})
}
