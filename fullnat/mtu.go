package fullnat

import (
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
)

// oversize says whether a packet is longer than a link takes. A segmentation
// super-packet is as long as the packets it will be cut into.
func oversize(f *link.Frame, p *packet.Packet, mtu int) bool {
	n := len(p.Frame) - p.L3
	if f.Offload.GSO() {
		n = p.Payload - p.L3 + int(f.Offload.GSOSize)
	}
	return n > mtu
}

// cut sends a packet that is ready to leave but longer than the link's MTU as
// fragments. Packets that only their senders may cut never come here: tooBig
// has answered them.
func (w *Worker) cut(f *link.Frame, p *packet.Packet, hop *nexthop.Hop) Verdict {
	p.CompleteChecksum()
	for from := 0; ; {
		part := w.alloc()
		if part == nil {
			return DropTxFull
		}
		part.Resize(len(p.Frame))
		n, next := packet.PutFragment(part.Bytes(), p, from, int(hop.MTU))
		part.Resize(n)
		dispatch(part, hop)
		w.send(part)
		if next == 0 {
			return Cut
		}
		from = next
	}
}
