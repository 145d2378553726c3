package fullnat

import (
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/schedule"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// open decides for the first packet of a connection: which service, which
// server, which local port. It returns nil and a verdict when the packet opens
// nothing.
func (w *Worker) open(f *link.Frame, p *packet.Packet, now session.Tick) (*session.Session, Verdict) {
	if owner := w.owner(&p.Tuple); owner != w.id {
		return nil, w.handOver(f, owner)
	}
	svc := w.snap.Services.Find(p.Tuple.Protocol, p.Tuple.Dst, p.Tuple.DstPort)
	if svc == nil {
		return nil, w.unserved(&p.Tuple)
	}
	if p.Tuple.Protocol == packet.TCP && !opens(p.Flags) {
		return nil, DropNoSession
	}

	server := w.pick(svc, &p.Tuple)
	if server == nil {
		return nil, w.refuse(f, p, DropNoServer)
	}
	path := w.paths.of(server)
	s, outcome := w.sessions.Open(p.Tuple.Src, p.Tuple.SrcPort, path, now)
	switch outcome {
	case session.Full:
		return nil, w.refuse(f, p, DropTableFull)
	case session.NoPort:
		return nil, w.refuse(f, p, DropNoPort)
	}
	w.sessions.Path(path).Connections++
	return s, Forwarded
}

// pick asks the scheduler for the server of a new connection. When no server may
// get one, the sorry server is all that it has to choose from.
func (w *Worker) pick(svc *service.Service, t *packet.Tuple) *service.Server {
	w.key = schedule.Key{
		Client: t.Src, ClientPort: t.SrcPort,
		VIP: svc.VIP, VIPPort: svc.Port, Protocol: svc.Protocol,
	}
	if i := svc.Scheduler.Pick(&w.key); i >= 0 {
		return svc.Members[i]
	}
	return nil
}

// opens says whether TCP flags ask for a new connection: a SYN and neither ACK,
// RST nor FIN (RFC 9293 §3.5).
func opens(flags uint8) bool {
	const mask = packet.FlagSYN | packet.FlagACK | packet.FlagRST | packet.FlagFIN
	return flags&mask == packet.FlagSYN
}

// unserved names why a packet that belongs to no session and no service is not
// carried: a local address knows only sessions, a VIP only its services.
func (w *Worker) unserved(t *packet.Tuple) Verdict {
	switch {
	case w.snap.local(t.Dst):
		return DropNoSession
	case w.snap.Services.HasVIP(t.Dst):
		return DropNoService
	}
	return NotOurs
}

// owner returns the worker that owns the slot of a packet.
func (w *Worker) owner(t *packet.Tuple) int { return ownerOf(w.snap, t, w.workers) }

func ownerOf(snap *Snapshot, t *packet.Tuple, workers int) int {
	return int(slotOf(snap, t)) * workers / session.Slots
}

// slotOf returns the slot of a packet. A local port carries it in its low byte;
// every other packet is a client's.
func slotOf(snap *Snapshot, t *packet.Tuple) uint8 {
	if snap.local(t.Dst) {
		return uint8(t.DstPort)
	}
	return session.Slot(t.Protocol, t.Src, t.SrcPort)
}
