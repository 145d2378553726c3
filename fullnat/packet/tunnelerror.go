package packet

import "encoding/binary"

// Tunnelled returns the packet inside the one that p, an ICMP error, is about,
// where that one is a tunnel's: IP in IP, or in UDP by GUE. It is false of any
// other, and where the quote ends before the ports: that is all a router has to
// show by RFC 792, though few show so little (RFC 1812 §4.3.2.3).
func (p *Packet) Tunnelled() (in Inner, ok bool) {
	if p.Inner.Fragment {
		return in, false
	}
	at, protocol := p.Inner.L4, p.Inner.Tuple.Protocol
	if protocol == UDP {
		b := p.Frame[at+udpLen:] // a quote of UDP has all of its header
		switch {
		case len(b) < gueLen:
			return in, false
		case b[0]>>4 == 4: // variant 1: an IP header, by its version
			protocol = IPv4InIP
		case b[0]>>4 == 6:
			protocol = IPv6InIP
		case b[0]>>5 == 0: // variant 0, and data
			protocol = b[1]
			at += int(b[0]&0x1f)*4 + gueLen
		}
		at += udpLen
	}
	in.L3 = at
	if at > len(p.Frame) {
		return in, false
	}
	switch protocol {
	case IPv4InIP:
		ok = in.parse4(p.Frame) == None
	case IPv6InIP:
		ok = in.parse6(p.Frame) == None
	}
	return in, ok && in.ports
}

// PutTunnelError writes the error that in's source is owed for p, an error that
// says what became of a packet in a tunnel. from is an address of ours of in's
// family, t the tunnel.
//
// Whatever went wrong between the tunnel's ends is, to who does not know of the
// tunnel, a host that cannot be reached; only that a packet was too long is
// something to be told as it is (RFC 2003 §4, RFC 2473 §8).
func PutTunnelError(buf []byte, p *Packet, in *Inner, from Addr, t *Tunnel) int {
	v6 := p.Frame[in.L3]>>4 == 6
	why, mtu := NoHost, 0
	switch reported, told := p.reported(); reported {
	case numCauses:
		return 0
	case TooBig:
		why, mtu = TooBig, max(t.Room(told, v6), minPathMTU4)
	}
	q := Packet{Frame: p.Frame, L3: in.L3, L4: in.L4, Tuple: in.Tuple, V6: v6}
	return PutError(buf, &q, from, why, mtu)
}

// reported returns what an ICMP error says, as far as a tunnel's ingress cares:
// that a packet was too big, and for which MTU, that it did not arrive (NoHost),
// or numCauses for what is nobody's fault but the ingress's own.
func (p *Packet) reported() (Cause, int) {
	h := p.ICMP()
	switch typ := h.Type(); {
	case p.V6 && typ == icmp6PacketTooBig:
		return TooBig, int(min(binary.BigEndian.Uint32(h[4:8]), 0xffff))
	case !p.V6 && [2]uint8{typ, h.Code()} == causes[TooBig].v4:
		return TooBig, int(binary.BigEndian.Uint16(h[6:8]))
	case typ == icmp6Parameter && p.V6, typ == icmpParameter && !p.V6:
		return numCauses, 0
	}
	return NoHost, 0
}
