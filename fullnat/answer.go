package fullnat

import (
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
)

// Nothing here is on a host interface, so the kernel answers for no VIP and no
// local address, and a director that dies leaves nobody behind who would. What
// a host owes its neighbours the worker says itself.

// echo answers a ping.
func (w *Worker) echo(p *packet.Packet) Verdict {
	if !w.snap.Ping || !w.snap.isAt(p.Tuple.Dst) {
		return DropProtocol
	}
	if w.snap.owns(p.Tuple.Src) {
		return DropSpoofed
	}
	if w.snap.isBackup(p.Tuple.Dst) {
		return DropBackup
	}
	p.EchoReply()
	return Answered
}

// ask answers a station that looks for an address of ours on its own link, by
// ARP or by neighbour discovery. Where the address is not on the link, a router
// was told the way to it, and a second answer would only confuse.
func (w *Worker) ask(f *link.Frame, p *packet.Packet) Verdict {
	w.contest(p)
	target, ok := p.Asked()
	if !ok || !w.snap.answers(target) || !w.snap.onLink(f.Port, target) {
		return NotOurs
	}
	w.become(f, packet.PutAnswer(w.scratch[:], p, w.snap.Hops.Port(f.Port).MAC))
	return Answered
}

// refuse makes a new connection fail fast: a reset (TCP) or port unreachable
// (UDP) goes back to its client.
func (w *Worker) refuse(f *link.Frame, p *packet.Packet, cause Verdict) Verdict {
	if p.Tuple.Protocol == packet.TCP {
		return w.reject(f, p, packet.PutRefusal(w.scratch[:], p), cause)
	}
	return w.reject(f, p, packet.PutError(w.scratch[:], p, p.Tuple.Dst, packet.NoPort, 0), cause)
}

// complain answers a packet with an ICMP error, from the host's address on the
// link, so that traceroute names the director, or from the packet's own
// destination where the host has none of that family.
func (w *Worker) complain(f *link.Frame, p *packet.Packet, why packet.Cause, mtu int, cause Verdict) Verdict {
	from := w.snap.Hops.SourceFor(f.Port, p.V6)
	if from == (packet.Addr{}) {
		from = p.Tuple.Dst
	}
	return w.reject(f, p, packet.PutError(w.scratch[:], p, from, why, mtu), cause)
}

// rejectsPerTick bounds such answers per worker: 10,000 a second tell real
// clients at once and keep the director from being a mirror for forged sources
// (RFC 1812 §4.3.2.8).
const rejectsPerTick = 1000

// reject counts cause and, if an answer of n bytes was built and this tick
// still allows one, makes the frame that answer, back to the station it came
// from.
func (w *Worker) reject(f *link.Frame, p *packet.Packet, n int, cause Verdict) Verdict {
	if n == 0 || w.rejects == 0 {
		return cause
	}
	w.rejects--
	w.verdicts[cause]++
	asked, answer := p.Ethernet(), (*packet.EthernetHeader)(w.scratch[:])
	answer.SetDst(asked.Src())
	answer.SetSrc(asked.Dst())
	w.become(f, n)
	return Rejected
}

// become puts the n bytes in scratch in the place of a frame.
func (w *Worker) become(f *link.Frame, n int) {
	f.Offload = link.Offload{}
	f.Resize(n)
	copy(f.Bytes(), w.scratch[:n])
}
