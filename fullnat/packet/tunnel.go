package packet

import "encoding/binary"

// Tunnel is how packets travel inside others to one server: right behind an
// outer IP header (RFC 2003, RFC 2473, RFC 4213), or in UDP by generic UDP
// encapsulation (draft-ietf-intarea-gue-09).
//
// The packet inside stays as it is, but for the hop that forwarding takes
// (RFC 2003 §3.1). The outer header has its DSCP (RFC 2983 §3.1) and its ECN
// field, as an ingress in normal mode gives it (RFC 6040 §4.1).
type Tunnel struct {
	Src, Dst Addr   // of one family; the packet's own may be the other
	Port     uint16 // of GUE at the server; 0: no UDP
	Variant  uint8  // of GUE: 0 has a header of its own, 1 has none
}

// Protocol numbers of IP in IP.
const (
	IPv4InIP = 4
	IPv6InIP = 41
)

const gueLen = 4 // variant 0, no extensions

// Overhead is how much longer a packet gets.
func (t *Tunnel) Overhead() int {
	n := t.ipLen()
	if t.Port != 0 {
		n += udpLen
		if t.Variant == 0 {
			n += gueLen
		}
	}
	return n
}

// Room is how long a packet may be that travels in one piece over links of an
// MTU. IPv6 is owed 1280 bytes even where that takes fragments of the outer
// packet (RFC 4213 §3.2.2, RFC 2473 §7.1).
func (t *Tunnel) Room(mtu int, v6 bool) int {
	room := max(mtu-t.Overhead(), 0)
	if v6 {
		return max(room, minMTU6)
	}
	return room
}

// Put writes the outer headers in front of p. frame is that of p with Overhead
// more bytes before it; its Ethernet addresses are left zero. flow tells flows
// apart to whoever spreads them over links and queues; id tells the fragments of
// one outer packet from those of others, where it may be cut.
func (t *Tunnel) Put(frame []byte, p *Packet, flow, id uint16) {
	within := uint8(IPv4InIP)
	if p.V6 {
		within = IPv6InIP
	}
	protocol := within
	if t.Port != 0 {
		protocol = UDP
	}
	ends := ethernetLen + t.Overhead()
	l4 := putIP(frame, &t.Src, &t.Dst, protocol, p.tos(), len(frame)-ethernetLen-t.ipLen())
	if !t.Dst.Is4() { // RFC 6438 §3
		binary.BigEndian.PutUint16(frame[ethernetLen+2:], flow)
	} else if !p.whole() {
		(*IPv4Header)(frame[ethernetLen:]).mayCut(id)
	}
	if t.Port == 0 {
		return
	}
	h := (*UDPHeader)(frame[l4:])
	*h = UDPHeader{}
	binary.BigEndian.PutUint16(h[0:2], 0xc000|flow>>2) // a dynamic port
	binary.BigEndian.PutUint16(h[2:4], t.Port)
	binary.BigEndian.PutUint16(h[4:6], uint16(len(frame)-l4))
	if t.Variant == 0 {
		*(*[gueLen]byte)(frame[l4+udpLen:]) = [gueLen]byte{1: within}
	}
	if t.Dst.Is4() {
		return // the packet inside has what it needs
	}
	// IPv6 wants a checksum of everybody who has not been told to do without
	// (RFC 6935 §5), and servers' kernels do.
	s := pseudo(&t.Src, &t.Dst, UDP, len(frame)-l4) + sumOf(frame[l4:ends]) + p.sum()
	binary.BigEndian.PutUint16(h[6:8], s.checksum())
	if h.Checksum() == 0 {
		binary.BigEndian.PutUint16(h[6:8], 0xffff)
	}
}

// ipLen is the length of the outer IP header.
func (t *Tunnel) ipLen() int {
	if t.Dst.Is4() {
		return ipv4Len
	}
	return ipv6Len
}

// whole says whether the outer IPv4 packet must not be cut: where the sender
// said so (RFC 2003 §3.1), and of IPv6, which nobody cuts, but for packets that
// every link is held to carry.
func (p *Packet) whole() bool {
	if p.V6 {
		return len(p.Frame)-p.L3 > minMTU6
	}
	return p.IPv4().DontFragment()
}

// tos is DSCP and ECN of either family.
func (p *Packet) tos() uint8 {
	if p.V6 {
		return p.IPv6().TrafficClass()
	}
	return p.IPv4().TOS()
}

// sum adds up the whole IP packet. What a sound checksum covers adds up to the
// complement of its pseudo-header, whatever it is, so the payload is not looked
// at where there is one, nor does a partial one matter. A packet that was damaged
// on its way here makes the outer checksum wrong by as much.
func (p *Packet) sum() sum {
	n := len(p.Frame) - p.L4
	if p.Kind == Fragment || p.check == 0 || p.Tuple.Protocol == UDP && !p.Partial && p.unsummed(n) {
		return sumOf(p.Frame[p.L3:])
	}
	rest := pseudo(&p.Tuple.Src, &p.Tuple.Dst, p.Tuple.Protocol, n)
	return sumOf(p.Frame[p.L3:p.L4]) + sum(rest.checksum())
}

// unsummed says whether a UDP datagram's checksum does not cover the n bytes
// behind the IP header: because it has none, or ends before (RFC 9868).
func (p *Packet) unsummed(n int) bool {
	h := p.UDP()
	return h.Checksum() == 0 || h.len() != n
}
