package fullnat

import (
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// icmpError carries an ICMP error to the end whose packet it is about. It
// quotes that packet as we sent it, so the quote is turned back into what the
// end itself sent; path MTU discovery (RFC 1191, RFC 8201) rests on this.
//
// Anyone can forge an error, so it is carried only if what it quotes belongs to
// a session, and it changes nothing in the session.
func (w *Worker) icmpError(f *link.Frame, p *packet.Packet, now session.Tick) Verdict {
	if !w.snap.owns(p.Tuple.Dst) && w.snap.beyond.throughTunnel(p.Inner.Tuple.Dst) && p.Inner.Tuple.Src == p.Tuple.Dst {
		return w.tunnelError(f, p, now)
	}
	// The error answers a packet that left from the address it is sent to.
	if p.Inner.Fragment || p.Inner.Tuple.Src != p.Tuple.Dst {
		return DropErrorUnmatched
	}
	answer := p.Inner.Tuple.Reverse()
	from := w.snap.side(&answer)
	if owner := w.owner(&answer, from); owner != w.id {
		return w.handOver(f, owner)
	}
	s, dir := w.sessions.Find(&answer)
	switch {
	case s == nil && from == stranger:
		return NotOurs
	case s == nil && from == gated:
		return w.seek(f, p, &answer, now, NotOurs)
	case s == nil:
		return w.seek(f, p, &answer, now, DropErrorUnmatched)
	}
	path := w.sessions.Path(s.Path)
	hop := w.hop(s, path, dir)
	switch {
	case hop == nil:
		return DropNoRoute
	case p.TTL() <= 1:
		return DropTTL
	}

	p.RaiseMTU()
	p.DecTTL()
	return w.expressError(f, p, s, path, dir, hop, now)
}
