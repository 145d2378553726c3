package fullnat

import (
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// wrappable says whether the offload can put a tunnel's outer header on packets:
// not if that has a checksum over them.
func wrappable(t *packet.Tunnel) bool {
	return t != nil && t.Src != packet.Addr{} && (t.Dst.Is4() || t.Port == 0)
}

// outer is where the outer header of a session's packets is made, as it is in
// front of one without DSCP and ECN.
type outer struct {
	inner  packet.Packet
	header [ethernetLen + 40]byte
	frame  [ethernetLen + 40 + 40]byte
}

const ethernetLen = 14

// of returns the outer header for a session. It is good until it is called again.
func (o *outer) of(t *packet.Tunnel, s *session.Session) []byte {
	clear(o.header[:])
	o.header[ethernetLen+6] = 0x40 // of IPv4: not to be cut
	o.inner.Frame, o.inner.L3, o.inner.V6 = o.header[:], ethernetLen, !s.Client.Is4()
	n := t.Overhead()
	t.Put(o.frame[:ethernetLen+n+20], &o.inner, flowOf(s), 0)
	return o.frame[ethernetLen : ethernetLen+n]
}
