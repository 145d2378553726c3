package fullnat

import (
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// flow carries a whole TCP or UDP packet: find its session, or open one.
func (w *Worker) flow(f *link.Frame, p *packet.Packet, now session.Tick) Verdict {
	s, dir := w.sessions.Find(&p.Tuple)
	if s != nil && opens(p.Flags) && ended(s) {
		w.close(s)
		s = nil
	}
	if s == nil {
		var v Verdict
		if s, v = w.open(f, p, now); s == nil {
			return v
		}
		dir = session.Inbound
	}
	return w.carry(f, p, s, dir, now)
}

// ended says whether a SYN begins another connection in the place of s. It gets
// a server and a local port of its own: the old ones may be remembered by the
// server in TIME-WAIT, or the server may be gone.
func ended(s *session.Session) bool {
	return s.State == session.TimeWait || s.State == session.Close
}

// carry moves one packet of a session to its other face and towards the other
// end. Everything that can refuse the packet comes before the first change to
// it, so that an ICMP error about it quotes what its sender sent.
func (w *Worker) carry(f *link.Frame, p *packet.Packet, s *session.Session, dir session.Direction, now session.Tick) Verdict {
	path := w.sessions.Path(s.Path)
	if path.Flags&pathDead != 0 && dir == session.Inbound && path.Protocol == packet.TCP {
		return w.refuse(f, p, DropNoServer)
	}
	hop := w.hop(s, path, dir)
	if hop == nil {
		return DropNoRoute
	}
	if p.TTL() <= 1 {
		return w.complain(f, p, packet.TTLExceeded, 0, DropTTL)
	}
	long := oversize(f, p, int(hop.MTU))
	if long && !p.Cuttable() {
		return w.complain(f, p, packet.TooBig, int(hop.MTU), DropTooBig)
	}

	w.account(s, path, p, dir, now)
	w.translate(p, s, path, dir)
	p.DecTTL()
	if long && hop.Resolved {
		return w.cut(f, p, hop)
	}
	return w.leave(f, p.Tuple.Dst, hop, now)
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
// counters, and the server's load when the state moved.
func (w *Worker) account(s *session.Session, path *session.Path, p *packet.Packet, dir session.Direction, now session.Tick) {
	size := uint64(len(p.Frame) - p.L3)
	before := s.State
	w.sessions.Track(s, dir, p, now)
	if dir == session.Inbound {
		path.PacketsIn++
		path.BytesIn += size
	} else {
		path.PacketsOut++
		path.BytesOut += size
	}
	if s.State != before {
		w.publishLoad(s.Path)
	}
}

// translate replaces both endpoints. In FULLNAT neither end ever sees the other.
func (w *Worker) translate(p *packet.Packet, s *session.Session, path *session.Path, dir session.Direction) {
	if dir == session.Inbound {
		p.Rewrite(w.sessions.Local(s), path.Server, s.LocalPort, path.ServerPort)
	} else {
		p.Rewrite(path.VIP, s.Client, path.VIPPort, s.ClientPort)
	}
	if path.MSS != 0 && p.Flags&packet.FlagSYN != 0 {
		p.ClampMSS(path.MSS)
	}
}

// leave sends a frame to its next hop, or holds it until that is resolved.
func (w *Worker) leave(f *link.Frame, dst packet.Addr, hop *nexthop.Hop, now session.Tick) Verdict {
	if !hop.Resolved {
		return w.park(f, dst, now)
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
