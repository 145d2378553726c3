package fullnat

import (
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/schedule"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// open decides for the first packet of a connection: which service, which
// server, which local port.
func (w *Worker) open(f *link.Frame, p *packet.Packet, now session.Tick) Verdict {
	svc := w.snap.Services.Find(p.Tuple.Protocol, p.Tuple.Dst, p.Tuple.DstPort)
	from := client
	if svc == nil {
		if from = w.snap.side(&p.Tuple); from != server && from != gated {
			return w.unserved(&p.Tuple)
		}
	}
	if owner := w.owner(&p.Tuple, from); owner != w.id {
		return w.handOver(f, owner)
	}
	switch {
	case from == gated && w.snap.Services.Answers(p.Tuple.Protocol, p.Tuple.Src, p.Tuple.SrcPort) != nil:
		return w.single(f, p, session.Outbound, now)
	case from != client, p.Tuple.Protocol == packet.TCP && !opens(p.Flags):
		return w.seek(f, p, &p.Tuple, now, unknown(from))
	case w.snap.owns(p.Tuple.Src):
		return DropSpoofed
	case w.snap.isBackup(p.Tuple.Dst):
		return DropBackup
	case svc.OnePacket && p.Kind == packet.Flow:
		return w.single(f, p, session.Inbound, now)
	}
	if v := w.hesitate(f, p, now); v != Forwarded {
		return v
	}

	chosen, template := w.choose(svc, &p.Tuple, now)
	if chosen == nil {
		return w.refuse(f, p, none(svc))
	}
	path := w.paths.of(chosen)
	if hairpin(p.Tuple.Src, w.sessions.Path(path)) {
		w.forgo(template, now)
		return w.refuse(f, p, DropHairpin)
	}
	s, outcome := w.admit(&p.Tuple, path, now)
	if s == nil {
		w.forgo(template, now)
		return w.refuse(f, p, refusals[outcome])
	}
	w.sessions.Attach(s, uint32(template))
	v := w.carry(f, p, s, session.Inbound, now)
	if !v.carried() { // it opened nothing
		w.close(s)
		return v
	}
	w.sessions.Path(s.Path).Connections++
	return v
}

// refusals are the verdicts on a packet for whose session there is no room.
var refusals = [...]Verdict{
	session.Full:   DropTableFull,
	session.NoPort: DropNoPort,
	session.Taken:  DropNoPort,
}

// pick asks the scheduler for the server of a new connection. When no server may
// get one, the sorry server is all that it has to choose from.
func (w *Worker) pick(svc *service.Service, t *packet.Tuple) *service.Server {
	w.key = schedule.Key{
		Client: t.Src, ClientPort: t.SrcPort,
		VIP: svc.VIP, VIPPort: t.DstPort, Protocol: svc.Protocol,
	}
	if i := svc.Scheduler.Pick(&w.key); i >= 0 {
		return svc.Members[i]
	}
	return nil
}

// none says why nobody was picked.
func none(svc *service.Service) Verdict {
	for _, s := range svc.Members {
		if (s.Eligible() || s == svc.Sorry) && s.Full() {
			return DropOverloaded
		}
	}
	return DropNoServer
}

// admit makes the session of a new connection, in the place of one that nobody
// has agreed to yet if there is no other: a flood displaces itself.
func (w *Worker) admit(t *packet.Tuple, path session.PathID, now session.Tick) (*session.Session, session.Outcome) {
	s, outcome := w.sessions.OpenAt(t.Src, t.SrcPort, t.DstPort, path, now)
	if outcome != session.Opened {
		old := w.sessions.Expendable(outcome, t.Src, t.SrcPort, path)
		if old == nil {
			return nil, outcome
		}
		w.close(old)
		w.displaced++
		s, outcome = w.sessions.OpenAt(t.Src, t.SrcPort, t.DstPort, path, now)
	}
	if outcome == session.Opened {
		w.publishLoad(path)
		if w.snap.leaving() {
			w.sessions.Share(s, now)
		}
	}
	return s, outcome
}

// opens says whether TCP flags ask for a new connection: a SYN and neither ACK,
// RST nor FIN (RFC 9293 §3.5).
func opens(flags uint8) bool {
	const mask = packet.FlagSYN | packet.FlagACK | packet.FlagRST | packet.FlagFIN
	return flags&mask == packet.FlagSYN
}

// unserved names why a packet that no service takes is not carried.
func (w *Worker) unserved(t *packet.Tuple) Verdict {
	if w.snap.Services.HasVIP(t.Dst) {
		return DropNoService
	}
	return NotOurs
}
