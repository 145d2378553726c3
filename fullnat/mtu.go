package fullnat

import (
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
)

// minMTU is what every link carries (RFC 791 §3.1), whatever a route says.
const minMTU = 68

// oversize says whether a packet is longer than there is room for. A segmentation
// super-packet is as long as the packets it will be cut into.
func oversize(f *link.Frame, p *packet.Packet, room int) bool {
	n := len(p.Frame) - p.L3
	if f.Offload.GSO() {
		n = p.Payload - p.L3 + int(f.Offload.GSOSize)
	}
	return n > room
}

// cuttable says whether an oversize packet may leave in fragments. The kernel
// segments TCP by sequence numbers, so a super-packet is also one long segment;
// one of UDP is many datagrams, whose ends fragments would not show.
func cuttable(f *link.Frame, p *packet.Packet) bool {
	return p.Cuttable() && !(f.Offload.GSO() && p.Tuple.Protocol == packet.UDP)
}

// cut sends a packet that is ready to leave but longer than the link's MTU as
// fragments, in frames of their own.
func (w *Worker) cut(f *link.Frame, p *packet.Packet, hop *nexthop.Hop) Verdict {
	if !cuttable(f, p) { // the MTU has shrunk while it waited for its next hop
		return DropTooBig
	}
	p.CompleteChecksum()
	for from := 0; ; {
		part := w.alloc()
		if part == nil {
			return DropNoFrame
		}
		part.Resize(len(p.Frame))
		n, next := packet.PutFragment(part.Bytes(), p, from, max(int(hop.MTU), minMTU))
		part.Resize(n)
		dispatch(part, hop)
		w.send(part)
		if next == 0 {
			return Cut
		}
		from = next
	}
}
