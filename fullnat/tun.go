package fullnat

import (
	"encoding/binary"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// tun sends a packet inside another. The packet is what the client sent but for
// a hop, and the server, which has the VIP itself, answers by its own way. What
// is too long for the tunnel goes in pieces that the server need not put together
// before it takes them out: as the packets a super-packet stands for, or as
// fragments.
func (w *Worker) tun(f *link.Frame, p *packet.Packet, s *session.Session, path *session.Path, hop *nexthop.Hop, now session.Tick) Verdict {
	t := path.Tunnel
	switch {
	case t == nil || t.Src == packet.Addr{}:
		return DropNoSource
	case oversize(f, p, room(path, p, hop)):
		return w.tunFragments(f, p, s, path, hop, now)
	case f.Offload.GSO():
		return w.tunSegments(f, p, s, path, hop, now)
	}
	return w.wrap(f, p, s, path, hop, now)
}

// wrap puts the outer headers on a frame and sends it.
func (w *Worker) wrap(f *link.Frame, p *packet.Packet, s *session.Session, path *session.Path, hop *nexthop.Hop, now session.Tick) Verdict {
	t := path.Tunnel
	frame := f.Prepend(t.Overhead())
	if frame == nil {
		return DropTooBig
	}
	long := len(frame)-p.L3 > int(hop.MTU)
	if long { // no card completes a checksum in pieces
		p.CompleteChecksum()
		f.Offload = link.Offload{}
	}
	w.outerID++
	t.Put(frame, p, flowOf(s), w.outerID)
	switch {
	case !hop.Resolved:
		return w.park(f, path.Server, now)
	case long:
		return w.cutOuter(f, hop)
	}
	dispatch(f, hop)
	return Forwarded
}

// flowOf is a number by which the network tells flows in a tunnel apart.
func flowOf(s *session.Session) uint16 {
	h := binary.BigEndian.Uint32(s.Client[12:])*0x9e3779b1 ^ uint32(s.ClientPort)*0x85ebca6b
	return uint16(h >> 16)
}

// cutOuter sends an IPv6 packet of 1,280 bytes or less over a link too small for
// it and the outer header. Where that is IPv6 as well there is no way: such a link
// has room for 1,280 bytes in all, and a tunnel must not be laid over it.
func (w *Worker) cutOuter(f *link.Frame, hop *nexthop.Hop) Verdict {
	if fault := w.parse(f, &w.piece); fault != Forwarded {
		return fault
	}
	return w.cut(f, &w.piece, hop)
}

// tunFragments sends a packet that routers may cut in fragments, each inside a
// packet of its own.
func (w *Worker) tunFragments(f *link.Frame, p *packet.Packet, s *session.Session, path *session.Path, hop *nexthop.Hop, now session.Tick) Verdict {
	if !cuttable(f, p) {
		return DropTooBig
	}
	p.CompleteChecksum()
	for from := 0; ; {
		part := w.alloc()
		if part == nil {
			return DropNoFrame
		}
		part.Resize(len(p.Frame))
		n, next := packet.PutFragment(part.Bytes(), p, from, room(path, p, hop))
		part.Resize(n)
		w.wrapPiece(part, s, path, hop, now)
		if next == 0 {
			return Cut
		}
		from = next
	}
}

// tunSegments does to a super-packet what a card does, for none can be told to
// do it inside a tunnel: the kernel's header for offloads (struct virtio_net_hdr)
// has no word for it. The checksums are still left to the card.
func (w *Worker) tunSegments(f *link.Frame, p *packet.Packet, s *session.Session, path *session.Path, hop *nexthop.Hop, now session.Tick) Verdict {
	size := int(f.Offload.GSOSize)
	if !p.Segments() || size == 0 || f.Offload.OneDatagram() {
		return DropTooBig
	}
	for from := 0; ; {
		part := w.alloc()
		if part == nil {
			return DropNoFrame
		}
		part.Resize(p.Payload + size)
		n, next := packet.PutSegment(part.Bytes(), p, from, size)
		part.Resize(n)
		part.Offload = link.OwedChecksum(p.L4, p.ChecksumAt()-p.L4)
		w.wrapPiece(part, s, path, hop, now)
		if next == 0 {
			return Segmented
		}
		from = next
	}
}

// wrapPiece sends a frame of our own that carries a piece of another.
func (w *Worker) wrapPiece(f *link.Frame, s *session.Session, path *session.Path, hop *nexthop.Hop, now session.Tick) {
	v := w.parse(f, &w.piece)
	if v == Forwarded {
		v = w.wrap(f, &w.piece, s, path, hop, now)
	}
	if v == Forwarded { // the packet as a whole is what counts
		w.send(f)
		return
	}
	w.settle(f, v)
}

// tunnelError tells a client what an ICMP error says of its packet. The error is
// about the packet around it, and has come to the host's own address.
func (w *Worker) tunnelError(f *link.Frame, p *packet.Packet, now session.Tick) Verdict {
	in, ok := p.Tunnelled()
	if !ok { // what the host itself says to the server
		return NotOurs
	}
	if owner := w.owner(&in.Tuple, client); owner != w.id {
		return w.handOver(f, owner)
	}
	s, dir := w.sessions.Find(&in.Tuple)
	if s == nil || dir != session.Inbound {
		return DropErrorUnmatched
	}
	path := w.sessions.Path(s.Path)
	if t := path.Tunnel; t == nil || t.Dst != p.Inner.Tuple.Dst || t.Src != p.Inner.Tuple.Src || t.Port != p.Inner.Tuple.DstPort {
		return DropErrorUnmatched
	}
	hop := w.hop(s, path, session.Outbound)
	n := packet.PutTunnelError(w.scratch[:], p, &in, path.VIP, path.Tunnel)
	switch {
	case hop == nil:
		return DropNoRoute
	case n == 0, w.rejects == 0:
		return DropErrorUnmatched
	}
	w.rejects--
	w.become(f, n)
	if !hop.Resolved {
		return w.park(f, s.Client, now)
	}
	dispatch(f, hop)
	return Forwarded
}
