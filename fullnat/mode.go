package fullnat

import (
	"fmt"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// What a mode does to a packet is in a file of its own: fullnat.go, nat.go, dr.go
// and tun.go. A session's mode is that of its path. The rest of the journey knows
// of modes what the dispatches below say, and what they do not want carried:
// [bounces], [offLink], [hairpin].

// express gives a packet of s that goes dir the form in which its receiver knows
// the connection, and sends it.
func (w *Worker) express(f *link.Frame, p *packet.Packet, s *session.Session, path *session.Path, dir session.Direction, hop *nexthop.Hop, now session.Tick) Verdict {
	switch path.Mode {
	case session.FULLNAT:
		w.fullnat(p, s, path, dir)
	case session.NAT:
		w.nat(p, s, path, dir)
	case session.TUN:
		return w.tun(f, p, s, path, hop, now)
	}
	return w.leave(f, p, destination(s, path, dir), hop, now)
}

// expressError does the same to an ICMP error: dir is the way it goes, the
// packet that it quotes went the other.
func (w *Worker) expressError(f *link.Frame, p *packet.Packet, s *session.Session, path *session.Path, dir session.Direction, hop *nexthop.Hop, now session.Tick) Verdict {
	switch path.Mode {
	case session.FULLNAT:
		w.fullnatError(p, s, path, dir)
	case session.NAT:
		w.natError(p, s, path, dir)
	case session.TUN:
		return w.tun(f, p, s, path, hop, now)
	}
	return w.leave(f, p, destination(s, path, dir), hop, now)
}

// expressed says what express does, in an operator's words.
func (w *Worker) expressed(path *session.Path, s *SessionInfo, dir session.Direction) string {
	switch {
	case dir == session.Outbound:
		return fmt.Sprintf("sent on as %s → %s", s.VIP, s.Client)
	case path.Mode == session.NAT:
		return fmt.Sprintf("sent on as %s → %s", s.Client, s.Server)
	case path.Mode == session.DR:
		return fmt.Sprintf("sent on as it is, to the station of %s", s.Server.Addr())
	case path.Mode == session.TUN && path.Tunnel != nil:
		t := service.Tunnel{Port: path.Tunnel.Port, Variant: path.Tunnel.Variant}
		return fmt.Sprintf("sent on as it is inside %s → %s, %v", path.Tunnel.Src, path.Tunnel.Dst, t)
	}
	return fmt.Sprintf("sent on as %s → %s", s.Local, s.Server)
}

// destination is whose next hop a packet of s takes.
func destination(s *session.Session, path *session.Path, dir session.Direction) *packet.Addr {
	if dir == session.Inbound {
		return &path.Server
	}
	return &s.Client
}

// room is how long a packet may be that goes along a path by a hop.
func room(path *session.Path, p *packet.Packet, hop *nexthop.Hop) int {
	mtu := max(int(hop.MTU), minMTU)
	if path.Tunnel != nil {
		return roomInside(path.Tunnel, p, mtu)
	}
	return mtu
}

// roomInside is apart so that room, which is asked for every packet, is compiled
// into its callers.
//
//go:noinline
func roomInside(t *packet.Tunnel, p *packet.Packet, mtu int) int { return t.Room(mtu, p.V6) }
