package packet_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"testing"

	"fleetlb/fullnat/packet"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// These tests ask gopacket, which shares nothing with us, for the same frames.

// serialize returns the frame of these layers with lengths and checksums made
// by gopacket.
func serialize(t *testing.T, parts ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// frameOf is a frame of gopacket's between two endpoints.
func frameOf(t *testing.T, tu packet.Tuple, payload []byte) []byte {
	eth := &layers.Ethernet{SrcMAC: mac[:], DstMAC: mac[:]}
	src, dst := net.IP(tu.Src[:]), net.IP(tu.Dst[:])
	var ip interface {
		gopacket.SerializableLayer
		gopacket.NetworkLayer
	}
	if tu.Src.Is4() {
		eth.EthernetType = layers.EthernetTypeIPv4
		ip = &layers.IPv4{Version: 4, TTL: 64, Id: 7, Protocol: layers.IPProtocol(tu.Protocol), SrcIP: src.To4(), DstIP: dst.To4()}
	} else {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocol(tu.Protocol), SrcIP: src, DstIP: dst}
	}
	if tu.Protocol == packet.TCP {
		tcp := &layers.TCP{SrcPort: layers.TCPPort(tu.SrcPort), DstPort: layers.TCPPort(tu.DstPort), Seq: 9, ACK: true, Window: 1024}
		tcp.SetNetworkLayerForChecksum(ip)
		return serialize(t, eth, ip, tcp, gopacket.Payload(payload))
	}
	udp := &layers.UDP{SrcPort: layers.UDPPort(tu.SrcPort), DstPort: layers.UDPPort(tu.DstPort)}
	udp.SetNetworkLayerForChecksum(ip)
	return serialize(t, eth, ip, udp, gopacket.Payload(payload))
}

func TestRewriteLikeGopacket(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(v6 bool) (a packet.Addr) {
		if !v6 {
			a = addr("10.0.0.0")
			a[13], a[14], a[15] = byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())
			return a
		}
		for i := range a {
			a[i] = byte(r.Uint32())
		}
		a[0] = 0x20
		return a
	}
	for i := range 4000 {
		v6, protocol := i&1 != 0, uint8(packet.TCP)
		if i&2 != 0 {
			protocol = packet.UDP
		}
		endpoints := func() packet.Tuple {
			return packet.Tuple{Src: random(v6), Dst: random(v6), SrcPort: uint16(r.Uint32()), DstPort: uint16(r.Uint32()), Protocol: protocol}
		}
		from, to := endpoints(), endpoints()
		payload := make([]byte, r.IntN(64))
		for j := range payload {
			payload[j] = byte(r.Uint32())
		}
		got, want := frameOf(t, from, payload), frameOf(t, to, payload)
		var p packet.Packet
		if fault := packet.Parse(got, false, &p); fault != packet.None || p.Tuple != from {
			t.Fatalf("%v: %v, %v", from, fault, p.Tuple)
		}
		p.Rewrite(to.Src, to.Dst, to.SrcPort, to.DstPort)
		if !bytes.Equal(got, want) {
			t.Fatalf("%v to %v:\n got %x\nwant %x", from, to, got, want)
		}
	}
}

func TestAnswerLikeGopacket(t *testing.T) {
	var buf [packet.MaxBuilt]byte
	n := packet.PutAnswer(buf[:], view(t, "arp who-has 203.0.113.80 tell 203.0.113.1"), mac)

	asker := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	want := serialize(t, &layers.Ethernet{SrcMAC: mac[:], DstMAC: asker, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: layers.ARPReply, SourceHwAddress: mac[:], SourceProtAddress: []byte{203, 0, 113, 80},
			DstHwAddress: asker, DstProtAddress: []byte{203, 0, 113, 1}})
	if got := buf[:n]; !bytes.HasPrefix(want, got) { // gopacket pads to 60 bytes
		t.Errorf("\n got %x\nwant %x", got, want)
	}
}

func TestAdvertiseLikeGopacket(t *testing.T) {
	var buf [packet.MaxBuilt]byte
	n := packet.PutAnswer(buf[:], view(t, "nd who-has 2001:db8::80 tell 2001:db8::1"), mac)

	ip := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: net.ParseIP("2001:db8::80"), DstIP: net.ParseIP("2001:db8::1")}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborAdvertisement, 0)}
	icmp.SetNetworkLayerForChecksum(ip)
	want := serialize(t, &layers.Ethernet{SrcMAC: mac[:], DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, EthernetType: layers.EthernetTypeIPv6}, ip, icmp,
		&layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: net.ParseIP("2001:db8::80"),
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: mac[:]}}})
	if got := buf[:n]; !bytes.Equal(got, want) {
		t.Errorf("\n got %x\nwant %x", got, want)
	}
}
