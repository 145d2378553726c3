package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Seen is what a test asks about a captured packet.
type Seen struct {
	At       time.Time
	Outgoing bool
	Protocol string         // tcp udp icmp icmp6 arp, or the name of the topmost layer
	Src, Dst netip.AddrPort // of an ARP: sender and target, port 0
	SrcMAC   string
	Flags    string // TCP: of SAFRP
	TTL      int
	Type     int  // ICMP type; ARP operation
	Code     int  // ICMP code
	Fragment bool // any piece of a fragmented packet
	Length   int  // of the payload of TCP and UDP
	Seq, Ack uint32
}

func (s Seen) String() string {
	dir := "in "
	if s.Outgoing {
		dir = "out"
	}
	return fmt.Sprintf("%s %s %s %v > %v %s ttl %d len %d", s.At.Format("05.000000"), dir, s.Protocol, s.Src, s.Dst, s.Flags, s.TTL, s.Length)
}

// Decode reads a frame's headers.
func (f CapturedFrame) Decode() Seen {
	s := Seen{At: f.At, Outgoing: f.Outgoing}
	packet := gopacket.NewPacket(f.Bytes, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true, Lazy: true})
	var src, dst netip.Addr
	var srcPort, dstPort uint16
	for _, layer := range packet.Layers() {
		switch l := layer.(type) {
		case *layers.Ethernet:
			s.SrcMAC = l.SrcMAC.String()
		case *layers.ARP:
			s.Protocol, s.Type = "arp", int(l.Operation)
			src, _ = netip.AddrFromSlice(l.SourceProtAddress)
			dst, _ = netip.AddrFromSlice(l.DstProtAddress)
		case *layers.IPv4:
			s.TTL = int(l.TTL)
			s.Fragment = l.FragOffset != 0 || l.Flags&layers.IPv4MoreFragments != 0
			src, _ = netip.AddrFromSlice(l.SrcIP)
			dst, _ = netip.AddrFromSlice(l.DstIP)
		case *layers.IPv6:
			s.TTL = int(l.HopLimit)
			src, _ = netip.AddrFromSlice(l.SrcIP)
			dst, _ = netip.AddrFromSlice(l.DstIP)
		case *layers.IPv6Fragment:
			s.Fragment = true
		case *layers.TCP:
			s.Protocol, s.Flags, s.Length = "tcp", tcpFlags(l), len(l.Payload)
			s.Seq, s.Ack = l.Seq, l.Ack
			srcPort, dstPort = uint16(l.SrcPort), uint16(l.DstPort)
		case *layers.UDP:
			s.Protocol, s.Length = "udp", len(l.Payload)
			srcPort, dstPort = uint16(l.SrcPort), uint16(l.DstPort)
		case *layers.ICMPv4:
			s.Protocol, s.Type, s.Code = "icmp", int(l.TypeCode.Type()), int(l.TypeCode.Code())
		case *layers.ICMPv6:
			s.Protocol, s.Type, s.Code = "icmp6", int(l.TypeCode.Type()), int(l.TypeCode.Code())
		}
		if s.Protocol != "" {
			break
		}
	}
	if s.Protocol == "" {
		s.Protocol = "unknown"
		if ls := packet.Layers(); len(ls) > 0 {
			s.Protocol = strings.ToLower(ls[len(ls)-1].LayerType().String())
		}
	}
	s.Src, s.Dst = netip.AddrPortFrom(src, srcPort), netip.AddrPortFrom(dst, dstPort)
	return s
}

func tcpFlags(l *layers.TCP) string {
	var b strings.Builder
	for _, f := range []struct {
		set  bool
		name byte
	}{{l.SYN, 'S'}, {l.ACK, 'A'}, {l.FIN, 'F'}, {l.RST, 'R'}, {l.PSH, 'P'}} {
		if f.set {
			b.WriteByte(f.name)
		}
	}
	return b.String()
}
