package packet

import (
	"fmt"
	"net/netip"
)

// Protocol numbers as IANA assigns them.
const (
	ICMP   = 1
	TCP    = 6
	UDP    = 17
	ICMPv6 = 58
)

// Tuple is what tells one flow from another, as it stands on the wire. Ports
// are 0 where the packet has none.
type Tuple struct {
	Src, Dst         Addr
	SrcPort, DstPort uint16
	Protocol         uint8
}

// Reverse returns the tuple of the answer.
func (t Tuple) Reverse() Tuple {
	return Tuple{Src: t.Dst, Dst: t.Src, SrcPort: t.DstPort, DstPort: t.SrcPort, Protocol: t.Protocol}
}

func (t Tuple) String() string {
	return fmt.Sprintf("%s %s > %s", protocolName(t.Protocol),
		netip.AddrPortFrom(t.Src.Netip(), t.SrcPort), netip.AddrPortFrom(t.Dst.Netip(), t.DstPort))
}

func protocolName(p uint8) string {
	switch p {
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMPv6:
		return "icmp6"
	}
	return fmt.Sprintf("protocol %d", p)
}
