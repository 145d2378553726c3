package packet

import "encoding/binary"

// Asked returns the address whose station p asks for, by ARP or by neighbour
// discovery. A host that announces its own address asks for nothing.
func (p *Packet) Asked() (Addr, bool) {
	switch {
	case p.Kind == ARP && p.ARP().Request() && p.Tuple.Src != p.Tuple.Dst:
		return p.Tuple.Dst, true
	case p.Kind == Neighbor && p.Neighbor().Solicitation():
		return p.Neighbor().Target(), true
	}
	return Addr{}, false
}

// Claimed returns the address that the sender of an ARP message or of a neighbour
// advertisement says is its own, and its MAC address. Who asks before it takes an
// address (RFC 5227 §2.1.1) claims none yet.
func (p *Packet) Claimed() (a Addr, mac [6]byte, ok bool) {
	switch {
	case p.Kind == ARP:
		a = p.ARP().Sender()
		return a, p.ARP().SenderMAC(), a != mapped(0)
	case p.Kind == Neighbor && !p.Neighbor().Solicitation():
		return p.Neighbor().Target(), p.targetMAC(), true
	}
	return Addr{}, mac, false
}

// targetMAC is where a neighbour advertisement says that its target is: in its
// option, or, without one, where it came from.
func (p *Packet) targetMAC() [6]byte {
	for b := p.Frame[p.L4+neighborLen:]; len(b) >= 8; b = b[int(b[1])*8:] { // checkNeighbor has walked it
		if b[0] == ndTargetMAC {
			return [6]byte(b[2:8])
		}
	}
	return p.Ethernet().Src()
}

// Flags of an advertisement, RFC 4861 §4.4.
const (
	ndSolicited = 0x40
	ndOverride  = 0x20
)

var (
	broadcastMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	allNodesMAC  = [6]byte{0x33, 0x33, 0, 0, 0, 1}
	allNodes     = Addr{0: 0xff, 1: 0x02, 15: 1}
)

// PutAnswer answers p, for which [Packet.Asked] was true: the address it asks
// for is at mac. The answer goes to the station the question came from.
func PutAnswer(buf []byte, p *Packet, mac [6]byte) int {
	asker := p.Ethernet().Src()
	if p.Kind == ARP {
		q := p.ARP()
		return putARP(buf, arpReply, mac, asker, [4]byte(q[24:28]), [10]byte(q[8:18]))
	}
	target, _ := p.Asked()
	if p.Tuple.Src == (Addr{}) {
		// It wants the address for itself and has none to be answered at
		// (RFC 4861 §7.2.4).
		return putAdvertisement(buf, mac, allNodesMAC, &target, &allNodes, ndOverride)
	}
	return putAdvertisement(buf, mac, asker, &target, &p.Tuple.Src, ndSolicited|ndOverride)
}

// PutAnnouncement tells everybody on the link that addr is at mac from now on:
// a gratuitous ARP (RFC 5227 §3) or an unsolicited advertisement (RFC 4861
// §7.2.6).
func PutAnnouncement(buf []byte, addr Addr, mac [6]byte) int {
	if addr.Is4() {
		a := [4]byte(addr[12:])
		var target [10]byte
		copy(target[6:], a[:])
		return putARP(buf, arpRequest, mac, broadcastMAC, a, target)
	}
	return putAdvertisement(buf, mac, allNodesMAC, &addr, &allNodes, ndOverride)
}

// putARP writes an ARP message of sender at mac to the station to. target is
// the hardware and the protocol address as they stand in the message.
// PutProbe asks whether anybody else has addr, in the name of nobody, so that no
// station changes what it knows (RFC 5227 §2.1.1, RFC 4862 §5.4.2). The station at
// mac, which has it, asks.
func PutProbe(buf []byte, addr Addr, mac [6]byte) int {
	if addr.Is4() {
		var target [10]byte
		copy(target[6:], addr[12:])
		return putARP(buf, arpRequest, mac, broadcastMAC, [4]byte{}, target)
	}
	group := Addr{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: addr[13], 14: addr[14], 15: addr[15]}
	var nobody Addr
	l4 := putIP(buf, &nobody, &group, ICMPv6, 0, neighborLen)
	e := (*EthernetHeader)(buf)
	e.SetSrc(mac)
	e.SetDst([6]byte{0x33, 0x33, 0xff, addr[13], addr[14], addr[15]})
	(*IPv6Header)(buf[ethernetLen:]).setHopLimit(255)
	b := buf[l4 : l4+neighborLen]
	clear(b)
	b[0] = icmp6Solicitation
	copy(b[8:24], addr[:])
	s := sumOf(b) + pseudo(&nobody, &group, ICMPv6, neighborLen)
	binary.BigEndian.PutUint16(b[2:4], s.checksum())
	return l4 + neighborLen
}

func putARP(buf []byte, operation uint8, mac, to [6]byte, sender [4]byte, target [10]byte) int {
	e := putEthernet(buf, EtherTypeARP)
	e.SetSrc(mac)
	e.SetDst(to)
	h := (*ARPHeader)(buf[ethernetLen:])
	copy(h[:6], arpStart[:])
	h[6], h[7] = 0, operation
	copy(h[8:14], mac[:])
	copy(h[14:18], sender[:])
	copy(h[18:28], target[:])
	return ethernetLen + arpLen
}

func putAdvertisement(buf []byte, mac, to [6]byte, target, dst *Addr, flags uint8) int {
	const n = neighborLen + 8 // one option: the link-layer address
	l4 := putIP(buf, target, dst, ICMPv6, 0, n)
	e := (*EthernetHeader)(buf)
	e.SetSrc(mac)
	e.SetDst(to)
	(*IPv6Header)(buf[ethernetLen:]).setHopLimit(255)
	b := buf[l4 : l4+n]
	clear(b)
	b[0], b[4] = icmp6Advertisement, flags
	copy(b[8:24], target[:])
	b[24], b[25] = ndTargetMAC, 1
	copy(b[26:32], mac[:])
	s := sumOf(b) + pseudo(target, dst, ICMPv6, n)
	binary.BigEndian.PutUint16(b[2:4], s.checksum())
	return l4 + n
}
