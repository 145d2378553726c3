package e2e

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"fleetlb/e2e/lab"
)

// ends are the two link-layer ends of a frame.
type ends struct{ from, to net.HardwareAddr }

// frame builds a whole frame, lengths and checksums complete.
func frame(t *testing.T, e ends, src, dst netip.AddrPort, transport gopacket.SerializableLayer, payload []byte) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: e.from, DstMAC: e.to, EthernetType: layers.EthernetTypeIPv4}
	var ip gopacket.NetworkLayer
	protocol := layers.IPProtocolTCP
	if _, ok := transport.(*layers.UDP); ok {
		protocol = layers.IPProtocolUDP
	}
	if src.Addr().Is4() {
		ip = &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
	} else {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
	}
	switch l := transport.(type) {
	case *layers.TCP:
		l.SrcPort, l.DstPort = layers.TCPPort(src.Port()), layers.TCPPort(dst.Port())
		l.SetNetworkLayerForChecksum(ip)
	case *layers.UDP:
		l.SrcPort, l.DstPort = layers.UDPPort(src.Port()), layers.UDPPort(dst.Port())
		l.SetNetworkLayerForChecksum(ip)
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		eth, ip.(gopacket.SerializableLayer), transport, gopacket.Payload(payload))
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

const (
	ethernet  = 14
	headerV4  = 20
	headerV6  = 40
	fragments = 44 // IPv6 next header: fragment
)

// fragment cuts a frame of UDP into pieces of at most size bytes of IP payload,
// a multiple of 8.
func fragment(whole []byte, id uint32, size int) (pieces [][]byte) {
	v6 := binary.BigEndian.Uint16(whole[12:]) == 0x86dd
	header := ethernet + headerV4
	if v6 {
		header = ethernet + headerV6
	}
	for rest, offset := whole[header:], 0; len(rest) > 0; {
		n := min(size, len(rest))
		more := uint16(0)
		if n < len(rest) {
			more = 1
		}
		piece := append([]byte(nil), whole[:header]...)
		if v6 {
			piece = append(piece, piece[ethernet+6], 0)
			piece = binary.BigEndian.AppendUint16(piece, uint16(offset)|more)
			piece = binary.BigEndian.AppendUint32(piece, id)
			piece[ethernet+6] = fragments
			binary.BigEndian.PutUint16(piece[ethernet+4:], uint16(8+n))
		} else {
			ip := piece[ethernet:]
			binary.BigEndian.PutUint16(ip[2:], uint16(headerV4+n))
			binary.BigEndian.PutUint16(ip[4:], uint16(id))
			binary.BigEndian.PutUint16(ip[6:], more<<13|uint16(offset/8))
			sumHeader(ip)
		}
		pieces = append(pieces, append(piece, rest[:n]...))
		rest, offset = rest[n:], offset+n
	}
	return pieces
}

// sumHeader completes the checksum of an IPv4 header.
func sumHeader(ip []byte) {
	ip[10], ip[11] = 0, 0
	length := min(len(ip), int(ip[0]&15)*4)
	binary.BigEndian.PutUint16(ip[10:], ^sum(ip[:length], 0))
}

// sum is the one's complement sum of RFC 1071, not inverted.
func sum(b []byte, start uint32) uint16 {
	for ; len(b) > 1; b = b[2:] {
		start += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		start += uint32(b[0]) << 8
	}
	for start > 0xffff {
		start = start&0xffff + start>>16
	}
	return uint16(start)
}

// soundChecksum reports whether the TCP or UDP checksum of a whole frame without
// IP options is right.
func soundChecksum(frame []byte) bool {
	var pseudo []byte
	var protocol byte
	var body []byte
	if binary.BigEndian.Uint16(frame[12:]) == 0x86dd {
		ip := frame[ethernet:]
		pseudo, protocol = ip[8:40], ip[6]
		body = ip[headerV6 : headerV6+int(binary.BigEndian.Uint16(ip[4:]))]
	} else {
		ip := frame[ethernet:]
		pseudo, protocol = ip[12:20], ip[9]
		body = ip[headerV4:binary.BigEndian.Uint16(ip[2:])]
	}
	return sum(body, uint32(sum(pseudo, uint32(protocol)+uint32(len(body))))) == 0xffff
}

// permutations of the numbers below n.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, p := range permutations(n - 1) {
		for i := 0; i <= len(p); i++ {
			q := append([]int(nil), p[:i]...)
			all = append(all, append(append(q, n-1), p[i:]...))
		}
	}
	return all
}

// The builders above are trusted by the stories that use them.
func TestFrames(t *testing.T) {
	a, b := netip.MustParseAddrPort("198.51.100.7:4711"), netip.MustParseAddrPort("203.0.113.80:443")
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	whole := frame(t, ends{mac, mac}, a, b, &layers.UDP{}, make([]byte, 100))
	if !soundChecksum(whole) {
		t.Error("a whole frame's checksum is wrong")
	}
	whole[len(whole)-1] ^= 1
	if soundChecksum(whole) {
		t.Error("a damaged frame's checksum is right")
	}
	pieces := fragment(whole, 1, 64)
	if len(pieces) != 2 || len(pieces[0]) != ethernet+headerV4+64 || len(pieces[1]) != ethernet+headerV4+44 {
		t.Errorf("%d pieces, want 2 of 64 and 44 bytes", len(pieces))
	}
	if s := (lab.CapturedFrame{Bytes: pieces[1]}).Decode(); !s.Fragment {
		t.Errorf("the second piece is no fragment: %v", s)
	}
	if n := len(permutations(3)); n != 6 {
		t.Errorf("%d permutations of 3, want 6", n)
	}
}
