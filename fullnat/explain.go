package fullnat

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"

	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// An Explanation is what would become of a packet, and why. Fields that it does
// not get as far as are empty.
type Explanation struct {
	Direction string // inbound, outbound or none
	Verdict   Verdict
	Service   string
	Scheduler bool // a new connection: the scheduler would choose
	Slot      int
	Worker    int
	Session   *SessionInfo // nil: none yet
	Server    netip.AddrPort
	Local     netip.AddrPort
	NextHop   string
	Why       []string // the steps, in the order packets meet them
}

// Explain says what would become of a packet with these ends that opens a
// connection if there is none. Nothing is changed by asking.
func (p *Plane) Explain(ctx context.Context, t packet.Tuple) (*Explanation, error) {
	snap := p.current.Load()
	e := Explanation{Direction: "none", Slot: -1, Worker: -1}
	from := snap.side(&t)
	if from == stranger {
		e.Verdict = NotOurs
		e.say("%s is neither a VIP nor one of this director's local addresses", t.Dst)
		return &e, nil
	}
	slot := slotOf(&t, from)
	w := p.workers[ownerOf(slot, len(p.workers))]
	e.Slot, e.Worker = int(slot), w.id
	if from == server {
		e.say("%s is a local address: its port %d is of slot %d, which worker %d owns", t.Dst, t.DstPort, e.Slot, e.Worker)
	} else if from == gated {
		e.say("%s is a server of mode nat, whose answers come by here: the client's address and port are of slot %d, which worker %d owns", ends(t.Src, t.SrcPort), e.Slot, e.Worker)
	} else {
		e.say("%s is a VIP: the client's address and port are of slot %d, which worker %d owns", t.Dst, e.Slot, e.Worker)
	}
	return inquire(ctx, p, w, func() *Explanation { return w.explain(e, &t) })
}

func (e *Explanation) say(format string, args ...any) {
	e.Why = append(e.Why, fmt.Sprintf(format, args...))
}

// drop says that the packet ends here.
func (e *Explanation) drop(v Verdict) {
	e.Verdict = v
	e.say("%s: %s", v.Name(), v.Help())
}

func (w *Worker) explain(e Explanation, t *packet.Tuple) *Explanation {
	if s, dir := w.sessions.Find(t); s != nil {
		w.explainSession(&e, s, dir)
		return &e
	}
	e.say("no session has these ends")
	if w.snap.asks {
		e.say("unless it opens one, the packet is held for a moment and the other directors are asked whose it is")
	}
	svc := w.snap.Services.Find(t.Protocol, t.Dst, t.DstPort)
	switch {
	case svc == nil && w.snap.side(t) == server:
		e.drop(DropNoSession)
		return &e
	case svc == nil && w.snap.side(t) == gated:
		e.Verdict = NotOurs
		e.say("what the server sends of its own is left to the kernel")
		return &e
	case svc == nil:
		e.drop(w.unserved(t))
		return &e
	}
	e.Direction, e.Service = "inbound", svc.Name
	if w.snap.owns(t.Src) {
		e.drop(DropSpoofed)
		return &e
	}
	if w.fence.up {
		e.drop(DropFenced)
		return &e
	}
	if w.snap.isBackup(t.Dst) {
		e.drop(DropBackup)
		return &e
	}
	e.Scheduler = true
	e.say("service %q listens there; a packet that opens a connection is given to a server, any other is dropped (%s)", svc.Name, DropNoSession.Name())
	if !w.explainTemplate(&e, svc, t) {
		w.explainChoice(&e, svc, t)
	}
	return &e
}

func (w *Worker) explainSession(e *Explanation, s *session.Session, dir session.Direction) {
	info := w.info(s, w.clock())
	e.Session, e.Service, e.Server, e.Local = &info, info.Service, info.Server, info.Local
	e.Direction, e.Verdict = "inbound", Forwarded
	if dir == session.Outbound {
		e.Direction = "outbound"
	}
	e.say("it belongs to a session in state %s, which expires in %v unless it is used", info.State, info.Expires)
	switch s.Role() {
	case session.Adopted:
		e.say("another director opened it; its packets come here")
	case session.Replica:
		e.say("another director opened it; it is kept here, and served from its first packet on")
	}
	path := w.sessions.Path(s.Path)
	switch {
	case path.Flags&pathDead != 0 && dir == session.Inbound:
		e.drop(DropDeadServer)
		return
	case path.Flags&pathForgets != 0 && dir == session.Inbound:
		e.drop(DropForgotten)
		return
	case !path.Live:
		e.say("its server is no longer configured; the session stays until it ends")
	}
	e.say("%s", w.expressed(path, &info, dir))
	hop := w.hop(s, path, dir)
	if hop == nil {
		e.drop(unreachable(path, dir))
		return
	}
	if path.Mode == session.NAT && w.snap.Hops.OnLink(w.serverPort(path), s.Client) {
		e.say("client and server are on one link: the server answers past this director, unless its routes say otherwise")
	}
	w.explainHop(e, hop)
}

// serverPort is the port that a path's server is behind.
func (w *Worker) serverPort(path *session.Path) uint8 {
	if hop := w.snap.Hops.Hop(nexthop.ID(path.Hop)); hop != nil {
		return hop.Port
	}
	return 0
}

// explainTemplate says where persistence leads the client, if it does.
func (w *Worker) explainTemplate(e *Explanation, svc *service.Service, t *packet.Tuple) bool {
	if svc.Persistence.Timeout == 0 {
		return false
	}
	k := network(svc, t.Src)
	at, known := w.templates.Peek(&k, w.clock())
	switch s := svc.Server(at.Addr, at.Port); {
	case !known:
		e.say("persistence: clients of %s have no server yet", k.Prefix())
		return false
	case s == nil || !s.Keeps():
		e.say("persistence: clients of %s had server %s, which takes them no more", k.Prefix(), ends(at.Addr, at.Port))
		return false
	default:
		e.say("persistence: clients of %s go to server %s, whatever the scheduler would say", k.Prefix(), s.Name)
		e.Server = ends(s.Addr, cmp.Or(s.Port, t.DstPort))
		w.explainHop(e, w.snap.Hops.Hop(w.snap.Hops.Lookup(s.Addr)))
		return true
	}
}

// explainChoice lists what the scheduler has to choose from. Asking it would
// take somebody's turn.
func (w *Worker) explainChoice(e *Explanation, svc *service.Service, t *packet.Tuple) {
	var eligible []*service.Server
	for _, s := range svc.Members {
		if s.Eligible() {
			if !s.Full() {
				eligible = append(eligible, s)
			}
			e.say("server %s: %v, weight %d, %d active and %d inactive sessions%s", s.Name, s.State, s.Weight, s.Load.Active(), s.Load.Inactive(), full(s))
		}
	}
	for _, s := range svc.Servers {
		if !s.Eligible() {
			e.say("server %s: not eligible: %v, weight %d", s.Name, s.State, s.Weight)
		}
	}
	switch len(eligible) {
	case 0:
		e.Verdict = none(svc)
		e.say("no server may get it: the client is refused at once (%s)", e.Verdict.Name())
	case 1:
		e.Server = ends(eligible[0].Addr, cmp.Or(eligible[0].Port, t.DstPort))
		w.explainHop(e, w.snap.Hops.Hop(w.snap.Hops.Lookup(eligible[0].Addr)))
	}
}

// full says what keeps new sessions from a server that may have some.
func full(s *service.Server) string {
	if !s.Full() {
		return ""
	}
	return fmt.Sprintf(": at its upper threshold, %d, it gets no more", s.Upper)
}

func (w *Worker) explainHop(e *Explanation, hop *nexthop.Hop) {
	switch {
	case hop == nil:
		e.drop(DropNoRoute)
	case !hop.Resolved:
		e.Verdict = Parked
		e.NextHop = fmt.Sprintf("port %d", hop.Port)
		e.say("the next hop is being resolved; the packet waits for a second at most")
	default:
		e.NextHop = fmt.Sprintf("%s at %s", hop.Gateway, net.HardwareAddr(hop.Dst[:]))
		e.say("next hop %s", e.NextHop)
	}
}
