package fullnat

import (
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// A service with one-packet scheduling gives each datagram a server anew and
// keeps nothing of it. Where nothing has to be known for the answer, that is all:
// in DR and TUN it bypasses the director, in NAT the server's address and port
// tell which VIP it is from. In FULLNAT they do not tell the client, so there the
// configuration refuses it.
//
// The pieces of a fragmented datagram have to meet at one server: it is given a
// session like any other's, and so is what its client sends until that expires.

// single carries one datagram without a session.
func (w *Worker) single(f *link.Frame, p *packet.Packet, dir session.Direction, now session.Tick) Verdict {
	t := &p.Tuple
	var v *service.Server
	if dir == session.Outbound {
		v = w.snap.Services.Answers(t.Protocol, t.Src, t.SrcPort)
		w.lone = session.Session{Client: t.Dst, ClientPort: t.DstPort, VIPPort: v.AnswersAs(t.SrcPort)}
	} else {
		svc := w.snap.Services.Find(t.Protocol, t.Dst, t.DstPort)
		chosen, template := w.choose(svc, t, now)
		w.forgo(template, now)
		if v = chosen; v == nil {
			return w.refuse(f, p, none(svc))
		}
		w.lone = session.Session{Client: t.Src, ClientPort: t.SrcPort, VIPPort: t.DstPort}
	}
	s := &w.lone
	s.Path = w.paths.of(v)
	path := w.sessions.Path(s.Path)
	if dir == session.Inbound && hairpin(t.Src, path) {
		return w.refuse(f, p, DropHairpin)
	}
	hop := w.hop(s, path, dir)
	if v := w.hinder(f, p, path, dir, hop); v != Forwarded {
		return v
	}
	size := uint64(len(p.Frame) - p.L3)
	if dir == session.Inbound {
		path.Connections++ // as IPVS counts
		path.PacketsIn++
		path.BytesIn += size
	} else {
		path.PacketsOut++
		path.BytesOut += size
	}
	return w.onward(f, p, s, path, dir, hop, now)
}
