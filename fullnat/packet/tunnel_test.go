package packet_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
)

func tunnelTo(src, dst string, port uint16, variant uint8) *packet.Tunnel {
	return &packet.Tunnel{Src: addrOf(src), Dst: addrOf(dst), Port: port, Variant: variant}
}

func addrOf(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

// through returns what a frame is inside a tunnel.
func through(tn *packet.Tunnel, frame []byte, partial bool) []byte {
	var p packet.Packet
	room := append(make([]byte, tn.Overhead()), frame...)
	if packet.Parse(room[tn.Overhead():], partial, &p) != packet.None {
		return nil
	}
	room = room[:tn.Overhead()+len(p.Frame)]
	tn.Put(room, &p, 0x1234, 77)
	return room
}

func TestTunnel(t *testing.T) {
	const (
		four = "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 63 tos 187 df seq 1 ack 2 len 1001"
		six  = "tcp [2001:db8::7]:4711 > [2001:db8::80]:443 PA ttl 63 tos 187 seq 1 ack 2 len 1001"
		free = "udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 63 id 9 len 33"
	)
	for _, tt := range []struct {
		name   string
		tunnel *packet.Tunnel
		in     string
		want   string // %s: in
	}{
		{"IPv4 in IPv4: DSCP, ECN and DF are the packet's", tunnelTo("10.0.0.1", "10.0.0.31", 0, 0), four, "ipip 10.0.0.1 > 10.0.0.31 ttl 64 tos 187 df ( %s )"},
		{"where routers may cut the packet, they may cut this", tunnelTo("10.0.0.1", "10.0.0.31", 0, 0), free, "ipip 10.0.0.1 > 10.0.0.31 ttl 64 id 77 ( %s )"},
		{"IPv6 in IPv6", tunnelTo("fd00::1", "fd00::31", 0, 0), six, "ipip fd00::1 > fd00::31 ttl 64 tos 187 ( %s )"},
		{"IPv4 in IPv6", tunnelTo("fd00::1", "fd00::31", 0, 0), four, "ipip fd00::1 > fd00::31 ttl 64 tos 187 ( %s )"},
		{"IPv6 in IPv4: what every link carries may be cut", tunnelTo("10.0.0.1", "10.0.0.31", 0, 0), six, "ipip 10.0.0.1 > 10.0.0.31 ttl 64 tos 187 id 77 ( %s )"},
		{"IPv6 in IPv4: a longer one may not", tunnelTo("10.0.0.1", "10.0.0.31", 0, 0), "udp [2001:db8::7]:1 > [2001:db8::80]:53 ttl 63 len 1233", "ipip 10.0.0.1 > 10.0.0.31 ttl 64 df ( %s )"},
		{"GUE, variant 0", tunnelTo("10.0.0.1", "10.0.0.31", 6080, 0), four, "gue0 10.0.0.1:50317 > 10.0.0.31:6080 ttl 64 tos 187 df no-sum ( %s )"},
		{"GUE, variant 1", tunnelTo("10.0.0.1", "10.0.0.31", 6080, 1), six, "gue1 10.0.0.1:50317 > 10.0.0.31:6080 ttl 64 tos 187 id 77 no-sum ( %s )"},
		{"over IPv6, with a checksum", tunnelTo("fd00::1", "fd00::31", 6080, 0), four, "gue0 [fd00::1]:50317 > [fd00::31]:6080 ttl 64 tos 187 ( %s )"},
		{"over IPv6, variant 1", tunnelTo("fd00::1", "fd00::31", 6080, 1), six, "gue1 [fd00::1]:50317 > [fd00::31]:6080 ttl 64 tos 187 ( %s )"},
		{"a datagram without a checksum", tunnelTo("fd00::1", "fd00::31", 6080, 1), free + " no-sum", "gue1 [fd00::1]:50317 > [fd00::31]:6080 ttl 64 ( %s )"},
		{"a fragment", tunnelTo("fd00::1", "fd00::31", 6080, 1), "udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 63 id 9 of 3000 len 1472", "gue1 [fd00::1]:50317 > [fd00::31]:6080 ttl 64 ( %s )"},
		{"a later fragment", tunnelTo("fd00::1", "fd00::31", 6080, 0), "frag 198.51.100.7 > 203.0.113.80 ttl 63 id 9 off 1480 len 1520", "gue0 [fd00::1]:50317 > [fd00::31]:6080 ttl 64 ( %s )"},
		{"an ICMP error", tunnelTo("fd00::1", "fd00::31", 6080, 0), "icmp 198.51.100.1 > 203.0.113.80 no-host ttl 60 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 )", "gue0 [fd00::1]:50317 > [fd00::31]:6080 ttl 64 ( %s )"},
		{"damage shows outside as well", tunnelTo("fd00::1", "fd00::31", 6080, 0), four + " bad-sum", "gue0 [fd00::1]:50317 > [fd00::31]:6080 ttl 64 tos 187 bad-sum ( %s )"},
		{"options and all", tunnelTo("fd00::1", "fd00::31", 6080, 0), "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 63 df ipopt 94040000 mss 1460", "gue0 [fd00::1]:50317 > [fd00::31]:6080 ttl 64 ( %s )"},
	} {
		got := packettest.Print(through(tt.tunnel, packettest.Frame(t, tt.in), false))
		if want := fmt.Sprintf(tt.want, tt.in); got != want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, want)
		}
	}
}

// TestTunnelPartial gives the outer packet the checksum that is right once the
// card has completed the inner one.
func TestTunnelPartial(t *testing.T) {
	tn := tunnelTo("fd00::1", "fd00::31", 6080, 0)
	line := "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 63 seq 1 ack 2 len 1001"
	frame := through(tn, packettest.Frame(t, line+" partial"), true)
	var p packet.Packet
	if f := packet.Parse(append([]byte(nil), packettest.Frame(t, line+" partial")...), true, &p); f != packet.None {
		t.Fatal(f)
	}
	p.CompleteChecksum()
	copy(frame[len(frame)-len(p.Frame)+p.L3:], p.Frame[p.L3:])
	if got, want := packettest.Print(frame), "gue0 [fd00::1]:50317 > [fd00::31]:6080 ttl 64 ( "+line+" )"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestTunnelRoom(t *testing.T) {
	for _, tt := range []struct {
		tunnel *packet.Tunnel
		v6     bool
		mtu    int
		want   int
	}{
		{tunnelTo("10.0.0.1", "10.0.0.31", 0, 0), false, 1500, 1480},
		{tunnelTo("10.0.0.1", "10.0.0.31", 6080, 0), false, 1500, 1468},
		{tunnelTo("10.0.0.1", "10.0.0.31", 6080, 1), false, 1500, 1472},
		{tunnelTo("fd00::1", "fd00::31", 0, 0), true, 1500, 1460},
		{tunnelTo("fd00::1", "fd00::31", 6080, 0), true, 1500, 1448},
		{tunnelTo("fd00::1", "fd00::31", 0, 0), true, 1280, 1280},
		{tunnelTo("fd00::1", "fd00::31", 0, 0), false, 1280, 1240},
	} {
		if got := tt.tunnel.Room(tt.mtu, tt.v6); got != tt.want {
			t.Errorf("%+v, IPv6 %v: room %d of %d, want %d", tt.tunnel, tt.v6, got, tt.mtu, tt.want)
		}
	}
}

// TestPutSegment cuts a super-packet as the kernel does.
func TestPutSegment(t *testing.T) {
	for _, tt := range []struct {
		in   string
		size int
		want []string
	}{
		{"tcp 198.51.100.7:4711 > 203.0.113.80:443 FPAC ttl 63 id 65535 df seq 4294967295 ack 2 ts 1/2 len 2500 partial", 1000, []string{
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 AC ttl 63 id 65535 df seq 4294967295 ack 2 ts 1/2 len 1000 partial",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 df seq 999 ack 2 ts 1/2 len 1000 partial",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 FPA ttl 63 id 1 df seq 1999 ack 2 ts 1/2 len 500 partial",
		}},
		{"tcp [2001:db8::7]:4711 > [2001:db8::80]:443 PA ttl 63 ext 60 seq 1 ack 2 len 2000 partial", 1000, []string{
			"tcp [2001:db8::7]:4711 > [2001:db8::80]:443 A ttl 63 ext 60 seq 1 ack 2 len 1000 partial",
			"tcp [2001:db8::7]:4711 > [2001:db8::80]:443 PA ttl 63 ext 60 seq 1001 ack 2 len 1000 partial",
		}},
		{"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 63 id 1 len 1001 partial", 1000, []string{
			"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 63 id 1 len 1000 partial",
			"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 63 id 2 len 1 partial",
		}},
	} {
		var p packet.Packet
		if f := packet.Parse(packettest.Frame(t, tt.in), true, &p); f != packet.None {
			t.Fatal(f)
		}
		payload := p.Frame[p.Payload:]
		buf, from := make([]byte, 2000), 0
		for i, want := range tt.want {
			n, next := packet.PutSegment(buf, &p, from, tt.size)
			// Only the first payload is the pattern from its start.
			if part := buf[p.Payload:n]; !bytes.Equal(part, payload[from:from+len(part)]) {
				t.Errorf("%s: segment %d carries other bytes", tt.in, i)
			} else {
				copy(part, payload)
			}
			if got := packettest.Print(buf[:n]); got != want {
				t.Errorf("segment %d:\n got %s\nwant %s", i, got, want)
			}
			if last := i == len(tt.want)-1; last != (next == 0) {
				t.Errorf("%s: segment %d of %d is followed by %d", tt.in, i, len(tt.want), next)
			}
			from = next
		}
	}
}

// errorAbout is an ICMP error from a router that quotes n bytes of a frame.
func errorAbout(t testing.TB, frame []byte, what string, n int) []byte {
	t.Helper()
	router, ingress := "10.0.0.254", "10.0.0.1"
	if frame[12] == 0x86 {
		router, ingress = "fd00::fe", "fd00::1"
	}
	b := packettest.Frame(t, fmt.Sprintf("icmp %s > %s %s ttl 64 ( udp %s ttl 1 )", router, ingress, what, map[bool]string{
		false: "10.0.0.1:1 > 10.0.0.31:2", true: "[fd00::1]:1 > [fd00::31]:2"}[frame[12] == 0x86]))
	l4 := 14 + 20
	if frame[12] == 0x86 {
		l4 = 14 + 40
	}
	quote := frame[14:]
	b = append(b[:l4+8], quote[:min(n, len(quote))]...)
	if frame[12] == 0x86 {
		binary.BigEndian.PutUint16(b[18:], uint16(len(b)-54))
	} else {
		binary.BigEndian.PutUint16(b[16:], uint16(len(b)-14))
		binary.BigEndian.PutUint16(b[24:], 0)
		binary.BigEndian.PutUint16(b[24:], checksum(b[14:34]))
	}
	return b
}

// checksum is RFC 1071's, the plain way.
func checksum(b []byte) uint16 {
	s := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

func TestTunnelError(t *testing.T) {
	const (
		four = "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 df seq 9 len 1460"
		six  = "tcp [2001:db8::7]:4711 > [2001:db8::80]:443 A ttl 63 seq 9 len 1400"
	)
	for _, tt := range []struct {
		name     string
		tunnel   *packet.Tunnel
		in, what string
		quoted   int
		want     string
	}{
		{"too big, by as much as the tunnel takes", tunnelTo("10.0.0.1", "10.0.0.31", 0, 0), four, "too-big", 548,
			"icmp 203.0.113.80 > 198.51.100.7 too-big ttl 64 tos 192 df mtu 1380 ( " + four + " cut 508 )"},
		{"of GUE", tunnelTo("10.0.0.1", "10.0.0.31", 6080, 0), four, "too-big", 548,
			"icmp 203.0.113.80 > 198.51.100.7 too-big ttl 64 tos 192 df mtu 1368 ( " + four + " cut 496 )"},
		{"of GUE variant 1", tunnelTo("10.0.0.1", "10.0.0.31", 6080, 1), four, "too-big", 548,
			"icmp 203.0.113.80 > 198.51.100.7 too-big ttl 64 tos 192 df mtu 1372 ( " + four + " cut 500 )"},
		{"IPv6 in IPv4", tunnelTo("10.0.0.1", "10.0.0.31", 0, 0), six, "too-big", 548,
			"icmp 2001:db8::80 > 2001:db8::7 too-big ttl 64 mtu 1380 ( " + six + " cut 488 )"},
		{"IPv4 in IPv6", tunnelTo("fd00::1", "fd00::31", 0, 0), four, "too-big", 1232,
			"icmp 203.0.113.80 > 198.51.100.7 too-big ttl 64 tos 192 df mtu 1360 ( " + four + " cut 528 )"},
		{"no port: the server takes no GUE", tunnelTo("10.0.0.1", "10.0.0.31", 6080, 0), four, "no-port", 548,
			"icmp 203.0.113.80 > 198.51.100.7 no-host ttl 64 tos 192 df ( " + four + " cut 496 )"},
		{"no hops left on the way", tunnelTo("fd00::1", "fd00::31", 6080, 0), six, "ttl-exceeded", 1232,
			"icmp 2001:db8::80 > 2001:db8::7 no-host ttl 64 ( " + six + " cut 1140 )"},
		{"our own fault", tunnelTo("10.0.0.1", "10.0.0.31", 0, 0), four, "parameter", 548, ""},
		{"just enough of it", tunnelTo("10.0.0.1", "10.0.0.31", 0, 0), four, "no-host", 20 + 20 + 8,
			"icmp 203.0.113.80 > 198.51.100.7 no-host ttl 64 tos 192 df ( " + strings.Replace(four, " A ", " - ", 1) + " cut 8 )"},
		{"too little of it", tunnelTo("10.0.0.1", "10.0.0.31", 0, 0), four, "no-host", 20 + 20 + 7, ""},
	} {
		line := tt.what
		frame := errorAbout(t, through(tt.tunnel, packettest.Frame(t, tt.in), false), line, tt.quoted)
		if line == "too-big" {
			at := 14 + 20 + 6
			if frame[12] == 0x86 {
				at = 14 + 40 + 6
			}
			binary.BigEndian.PutUint16(frame[at:], 1400)
		}
		var p packet.Packet
		if f := packet.Parse(frame, false, &p); f != packet.None || p.Kind != packet.Error {
			t.Fatalf("%s: %v, %v", tt.name, f, p.Kind)
		}
		got := ""
		if in, ok := p.Tunnelled(); ok {
			var buf [packet.MaxBuilt]byte
			if n := packet.PutTunnelError(buf[:], &p, &in, in.Tuple.Dst, tt.tunnel); n > 0 {
				got = packettest.Print(buf[:n])
			}
		}
		if got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// FuzzTunnel sends whatever Parse takes through a tunnel. The packet must come
// out of it as it went in, under checksums that are as sound as its own, and be
// recognised in an ICMP error that quotes enough of it.
func FuzzTunnel(f *testing.F) {
	for _, line := range []string{
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 63 df seq 1 ack 2 len 101",
		"tcp [2001:db8::7]:4711 > [2001:db8::80]:443 S ttl 63 mss 1460",
		"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 63 len 33 no-sum",
		"udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 63 ext 60 len 9",
		"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 id 9 of 3000 len 64",
		"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 9 off 1480 len 24",
		"icmp 198.51.100.1 > 203.0.113.80 no-host ttl 60 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 )",
	} {
		for kind := range uint8(6) {
			f.Add(packettest.Frame(f, line), kind, uint16(28+28*int(kind)))
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte, kind uint8, quoted uint16) {
		tn := tunnelTo("10.0.0.1", "10.0.0.31", 0, 0)
		if kind&1 != 0 {
			tn = tunnelTo("fd00::1", "fd00::31", 0, 0)
		}
		if kind>>1%3 > 0 {
			tn.Port, tn.Variant = 6080, kind>>1%3-1
		}
		out := through(tn, frame, false)
		if out == nil || len(out) > 65000 {
			return
		}
		inner := out[14+tn.Overhead():]
		if !bytes.Equal(inner, frame[14:14+len(inner)]) {
			t.Fatal("the packet inside has changed")
		}
		line := packettest.Print(out)
		outer, within, _ := strings.Cut(line, " ( ")
		if strings.Contains(outer, "bad-") && !strings.Contains(within, "bad-sum") {
			t.Fatalf("a wrong checksum outside alone: %s", line)
		}

		var sound, p packet.Packet
		if packet.Parse(frame, false, &sound) != packet.None {
			t.Fatal("parsed once and not again")
		}
		if packet.Parse(errorAbout(t, out, "no-host", int(quoted)), false, &p) != packet.None {
			return // too little even of the outer packet
		}
		in, ok := p.Tunnelled()
		if whole := int(quoted) >= len(out)-14 && sound.Kind == packet.Flow; whole && !ok {
			t.Fatalf("not recognised: %s", line)
		}
		if ok && sound.Kind == packet.Flow && in.Tuple != sound.Tuple {
			t.Fatalf("recognised as %v, is %v", in.Tuple, sound.Tuple)
		}
		if ok {
			var buf [packet.MaxBuilt]byte
			packet.PutTunnelError(buf[:], &p, &in, in.Tuple.Dst, tn)
		}
	})
}
