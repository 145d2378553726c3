package fullnat

import (
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// flow carries a packet that shows its ports: find its session, or open one.
func (w *Worker) flow(f *link.Frame, p *packet.Packet, hash session.Hash, now session.Tick) Verdict {
	s, dir := w.sessions.FindHash(&p.Tuple, hash)
	if s != nil && dir == session.Inbound && w.succeeds(p, s) {
		w.supersede(s)
		s = nil
	}
	if s == nil {
		return w.open(f, p, now)
	}
	return w.carry(f, p, s, dir, now)
}

// succeeds says whether a client's packet begins another connection in the place
// of s. That gets a server and a local port of its own, for the old server may be
// gone, or remember the old port in TIME-WAIT.
func (w *Worker) succeeds(p *packet.Packet, s *session.Session) bool {
	if p.Tuple.Protocol == packet.TCP && !opens(p.Flags) {
		return false
	}
	return s.State == session.TimeWait || s.State == session.Close || w.sessions.Path(s.Path).Flags&pathLost != 0
}

// carry moves one packet of a session to its other face and towards the other
// end. Everything that can refuse the packet comes before the first change to
// it, so that an ICMP error about it quotes what its sender sent.
func (w *Worker) carry(f *link.Frame, p *packet.Packet, s *session.Session, dir session.Direction, now session.Tick) Verdict {
	path := w.sessions.Path(s.Path)
	if path.Flags&pathLost != 0 && dir == session.Inbound {
		return w.lost(f, p, s, path)
	}
	hop := w.hop(s, path, dir)
	if v := w.hinder(f, p, path, dir, hop); v != Forwarded {
		return v
	}
	w.account(s, path, p, dir, now)
	return w.onward(f, p, s, path, dir, hop, now)
}

// hinder refuses a packet that cannot go by a hop.
func (w *Worker) hinder(f *link.Frame, p *packet.Packet, path *session.Path, dir session.Direction, hop *nexthop.Hop) Verdict {
	switch {
	case hop == nil:
		return unreachable(path, dir)
	case bounces(p, path, hop):
		return DropLoop
	case p.TTL() <= 1:
		return w.complain(f, p, packet.TTLExceeded, 0, DropTTL)
	case oversize(f, p, room(path, p, hop)) && !cuttable(f, p):
		return w.complain(f, p, packet.TooBig, room(path, p, hop), DropTooBig)
	}
	return Forwarded
}

// onward changes a packet that nothing hinders, and sends it.
func (w *Worker) onward(f *link.Frame, p *packet.Packet, s *session.Session, path *session.Path, dir session.Direction, hop *nexthop.Hop, now session.Tick) Verdict {
	p.DecTTL()
	if path.MSS != 0 && p.Flags&packet.FlagSYN != 0 {
		p.ClampMSS(path.MSS)
	}
	return w.express(f, p, s, path, dir, hop, now)
}

// lost ends the way of a client's packet whose server is down or gone.
func (w *Worker) lost(f *link.Frame, p *packet.Packet, s *session.Session, path *session.Path) Verdict {
	if path.Flags&pathDead != 0 {
		return w.refuse(f, p, DropDeadServer)
	}
	w.close(s)
	return DropForgotten
}

// hop returns the next hop of a packet of s. The server's is kept on the path
// and renewed with the snapshot; the client's is remembered in the session for
// as long as the routes stay as they are.
func (w *Worker) hop(s *session.Session, path *session.Path, dir session.Direction) *nexthop.Hop {
	hops := w.snap.Hops
	if dir == session.Inbound {
		return hops.Hop(nexthop.ID(path.Hop))
	}
	if s.HopGeneration != hops.Generation() {
		s.Hop = uint16(hops.Lookup(s.Client))
		s.HopGeneration = hops.Generation()
	}
	return hops.Hop(nexthop.ID(s.Hop))
}

// account lets the session see the packet: its TCP state, its time of use, its
// counters, and the server's load when the state moved. What others must know of
// it they are told with the end of the turn.
func (w *Worker) account(s *session.Session, path *session.Path, p *packet.Packet, dir session.Direction, now session.Tick) {
	if s.Role() == session.Replica {
		w.adopt(s, now)
	}
	before := s.State
	w.credit(s)
	w.sessions.Track(s, dir, p, now)
	size := uint64(len(p.Frame) - p.L3)
	if dir == session.Inbound {
		path.PacketsIn++
		path.BytesIn += size
	} else {
		path.PacketsOut++
		path.BytesOut += size
	}
	if s.State != before {
		w.publishLoad(s.Path)
		w.assure(s, now)
	}
	if s.News() {
		w.tell(s, now)
	}
	w.aloft(s, path)
}

// unreachable says why a path has no next hop.
func unreachable(path *session.Path, dir session.Direction) Verdict {
	if dir == session.Inbound && path.Flags&pathOffLink != 0 {
		return DropOffLink
	}
	return DropNoRoute
}

// leave sends a packet that is ready to the next hop of to: whole, in fragments,
// or later, once the next hop is resolved.
func (w *Worker) leave(f *link.Frame, p *packet.Packet, to *packet.Addr, hop *nexthop.Hop, now session.Tick) Verdict {
	switch {
	case !hop.Resolved:
		return w.park(f, *to, now)
	case oversize(f, p, max(int(hop.MTU), minMTU)):
		return w.cut(f, p, hop)
	}
	dispatch(f, hop)
	return Forwarded
}

// dispatch puts the next hop's link-layer addresses on a frame.
func dispatch(f *link.Frame, hop *nexthop.Hop) {
	f.Port = hop.Port
	e := (*packet.EthernetHeader)(f.Bytes())
	e.SetDst(hop.Dst)
	e.SetSrc(hop.Src)
}
