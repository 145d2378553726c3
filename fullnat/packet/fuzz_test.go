package packet_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
)

// Each fuzz target begins with these and grows from there.
var seeds = []struct{ name, line string }{
	{"TCP with options", "tcp 198.51.100.7:4711 > 203.0.113.80:443 SA ttl 64 mss 1460 sackok ts 1/2 ws 7 len 9"},
	{"TCP over IPv6", "tcp [2001:db8::7]:4711 > [2001:db8::80]:443 PA ttl 64 nop mss 1460 nop ts 1/2 len 9"},
	{"TCP, partial", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 len 99 partial"},
	{"TCP, damaged", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 len 99 bad-sum"},
	{"UDP", "udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 len 9"},
	{"UDP over IPv6", "udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 len 9"},
	{"UDP without checksum", "udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 len 9 no-sum"},
	{"IPv4 options", "udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 ipopt 0194040000 len 9"},
	{"extension headers", "udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 ext 0 ext 60 ext 43 ext 44 len 9"},
	{"first fragment", "udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 id 9 of 30 len 16"},
	{"later fragment", "frag 198.51.100.7 > 203.0.113.80 ttl 64 id 9 off 1480 len 25"},
	{"first fragment over IPv6", "udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 ext 60 id 9 of 30 len 16"},
	{"later fragment over IPv6", "frag 2001:db8::7 > 2001:db8::80 ttl 64 id 9 off 1240 more len 24"},
	{"first fragment of ICMPv6", "ip 2001:db8::7 > 2001:db8::80 proto 58 more ttl 64 len 16"},
	{"ping", "icmp 198.51.100.7 > 203.0.113.80 echo ttl 64 ident 7 seq 1 len 9"},
	{"ping over IPv6", "icmp 2001:db8::7 > 2001:db8::80 echo ttl 64 ident 7 seq 1 len 9"},
	{"error about TCP", fullest},
	{"error about TCP with its checksum", "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 1400 ( tcp 10.9.0.1:5120 > 10.0.0.11:80 A ttl 63 len 20 )"},
	{"error about UDP", "icmp 10.0.0.1 > 10.9.0.1 no-port ttl 64 ( udp 10.9.0.1:5120 > 10.0.0.11:80 ttl 63 ipopt 94040000 len 20 cut 8 )"},
	{"error about a fragment", "icmp 10.0.0.1 > 10.9.0.1 no-port ttl 64 ( frag 10.9.0.1 > 10.0.0.11 ttl 63 off 80 len 20 )"},
	{"error about a ping", "icmp 10.0.0.1 > 10.9.0.1 no-host ttl 64 ( icmp 10.9.0.1 > 10.0.0.11 echo ttl 63 ident 1 seq 1 )"},
	{"error over IPv6", "icmp fd00::1 > fd00::9 too-big ttl 64 mtu 1280 ( tcp [fd00::9]:5120 > [fd00::11]:80 A ttl 63 ext 60 len 20 cut 18 )"},
	{"error over IPv6 about a fragment", "icmp fd00::1 > fd00::9 no-port ttl 64 ( udp [fd00::9]:5120 > [fd00::11]:80 ttl 63 id 9 of 30 len 16 )"},
	{"error over IPv6 about a ping", "icmp fd00::1 > fd00::9 no-port ttl 64 ( icmp fd00::9 > fd00::11 echo ttl 63 ident 1 seq 1 )"},
	{"another protocol", "ip 198.51.100.7 > 203.0.113.80 ttl 64 proto 47 len 40"},
	{"another protocol, almost nothing of it", "ip 2001:db8::7 > 2001:db8::80 ttl 64 proto 47 len 1"},
	{"ARP", "arp who-has 203.0.113.80 tell 203.0.113.1"},
	{"solicitation", "nd who-has 2001:db8::80 tell 2001:db8::1"},
	{"solicitation from nobody", "nd who-has 2001:db8::80 tell ::"},
	{"advertisement", "nd 2001:db8::80 is-at 02:00:00:00:00:02 tell ff02::1 override"},
}

// fullest fills most fields of a Packet.
const fullest = "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 1400 ( tcp 10.9.0.1:5120 > 10.0.0.11:80 A ttl 63 len 1460 cut 8 )"

func addSeeds(f *testing.F, more ...any) {
	for _, s := range seeds {
		f.Add(append([]any{packettest.Frame(f, s.line), false}, more...)...)
		f.Add(append([]any{packettest.Frame(f, s.line), true}, more...)...)
	}
}

// mendIPv4 gives a fuzzed frame a true header checksum, without which few would
// get past the first check.
func mendIPv4(frame []byte) {
	if len(frame) < 34 || frame[12] != 8 || frame[13] != 0 {
		return
	}
	h := frame[14:min(len(frame), 14+max(20, int(frame[14]&15)*4))]
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:], ^sumWords(h))
}

// Parse never panics, changes nothing, and what it says lies inside the frame.
func FuzzParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, frame []byte, partial bool) {
		mendIPv4(frame)
		before := bytes.Clone(frame)
		frame = frame[:len(frame):len(frame)]
		var p packet.Packet
		// What an earlier frame left behind must not show.
		packet.Parse(packettest.Frame(t, fullest), !partial, &p)

		fault := packet.Parse(frame, partial, &p)
		if !bytes.Equal(frame, before) {
			t.Fatal("Parse changed the frame")
		}
		if fault >= packet.NumFaults {
			t.Fatalf("fault %d", fault)
		}
		if fault != packet.None {
			return
		}
		if !(14 <= p.L3 && p.L3 <= p.L4 && p.L4 <= p.Payload && p.Payload <= len(p.Frame) && len(p.Frame) <= len(frame)) {
			t.Fatalf("L3 %d, L4 %d, payload %d, frame %d of %d", p.L3, p.L4, p.Payload, len(p.Frame), len(frame))
		}
		var fresh packet.Packet
		packet.Parse(frame, partial, &fresh)
		if fresh.Kind != packet.Error {
			fresh.Inner = p.Inner // says nothing then
		}
		if say(&fresh) != say(&p) || fresh.Tuple != p.Tuple || fresh.Frag != p.Frag || fresh.Inner != p.Inner ||
			fresh.Flags != p.Flags || fresh.V6 != p.V6 || fresh.Partial != p.Partial {
			t.Fatalf("an earlier frame shows:\n%+v\n%+v", p, fresh)
		}
		if p.Kind != packet.ARP && p.Tuple.Src.Is4() == p.V6 {
			t.Fatalf("%v is of the wrong family", p.Tuple)
		}
		if in := p.Inner; p.Kind == packet.Error && !(p.Payload == in.L3 && in.L3 < in.L4 && in.L4 <= len(p.Frame)) {
			t.Fatalf("quote: L3 %d, L4 %d of %d", in.L3, in.L4, len(p.Frame))
		}
		exercise(t, &p)
	})
}

// exercise does to a parsed packet all that may be done to it.
func exercise(t *testing.T, p *packet.Packet) {
	var buf [packet.MaxBuilt]byte
	sound := func(n int) {
		if n == 0 {
			return
		}
		var q packet.Packet
		if fault := packet.Parse(buf[:n], false, &q); fault != packet.None {
			t.Errorf("built %x: %v", buf[:n], fault)
		}
		if l4(&q) != nil && deviation(&q) != 0 {
			t.Errorf("built %x: checksum is wrong", buf[:n])
		}
	}
	from := addr("192.0.2.1")
	if p.V6 {
		from = addr("2001:db8:ffff::1")
	}
	if p.Tuple.Src != from {
		sound(packet.PutError(buf[:], p, from, packet.TooBig, 1400))
	}
	if p.Tuple.Dst[0] != 0xff && !(p.Tuple.Dst.Is4() && p.Tuple.Dst[12] >= 224) {
		sound(packet.PutRefusal(buf[:], p))
	}
	if _, ok := p.Asked(); ok {
		packet.PutAnswer(buf[:], p, mac)
	}
	p.MSS()
	p.WindowScale()
	if p.Kind != packet.ARP {
		p.TTL()
	}
}

// l4 is what the L4 checksum covers beside the pseudo-header; nil if p has none.
func l4(p *packet.Packet) []byte {
	b := p.Frame[p.L4:]
	later := p.Frag.Offset > 0
	switch {
	case p.Kind == packet.ARP, later:
		return nil
	case p.Tuple.Protocol == packet.TCP, p.Tuple.Protocol == packet.UDP, p.Tuple.Protocol == packet.ICMPv6 && p.V6:
		return b
	case p.Tuple.Protocol == packet.ICMP && !p.V6 && p.Kind != packet.Fragment:
		return b
	}
	return nil
}

// deviation is how far the L4 checksum is from the truth, modulo 0xffff; 0 is
// right. Of a first fragment and of a quote only changes of it mean something.
func deviation(p *packet.Packet) uint16 {
	return deviationOf(l4(p), p.Tuple, p.Partial)
}

func deviationOf(b []byte, tu packet.Tuple, partial bool) uint16 {
	var pseudo []byte
	if tu.Protocol != packet.ICMP {
		pseudo = append(append(pseudo, tu.Src[:]...), tu.Dst[:]...)
		pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(b)))
		pseudo = append(pseudo, 0, tu.Protocol)
	}
	if partial {
		// The field holds the pseudo-header's sum as it is.
		field := binary.BigEndian.Uint16(b[field(tu.Protocol):])
		return uint16((uint32(field) + uint32(^sumWords(pseudo))) % 0xffff)
	}
	return uint16((uint32(sumWords(pseudo)) + uint32(sumWords(b))) % 0xffff)
}

// field is where the checksum stands in an L4 header.
func field(protocol uint8) int {
	switch protocol {
	case packet.TCP:
		return 16
	case packet.UDP:
		return 6
	}
	return 2
}

// blank returns frame with the checksums of p set to zero, and whether each
// UDP packet has one.
func blank(p *packet.Packet) []byte {
	b := bytes.Clone(p.Frame)
	zero := func(off int) {
		if off+2 <= len(b) {
			b[off], b[off+1] = 0, 0
		}
	}
	if !p.V6 {
		zero(p.L3 + 10)
	}
	if l4(p) != nil {
		zero(p.L4 + field(p.Tuple.Protocol))
	}
	if p.Kind == packet.Error {
		if !p.V6 {
			zero(p.Inner.L3 + 10)
		}
		zero(p.Inner.L4 + field(p.Inner.Tuple.Protocol))
	}
	return b
}

func udpWithoutChecksum(p *packet.Packet) bool {
	return l4(p) != nil && p.Tuple.Protocol == packet.UDP && p.UDP().Checksum() == 0
}

// pair makes two addresses of p's family from fuzzed bytes.
func pair(p *packet.Packet, a, b []byte) (src, dst packet.Addr) {
	src, dst = addr("192.0.2.1"), addr("192.0.2.2")
	if p.V6 {
		copy(src[:], a)
		copy(dst[:], b)
	} else {
		copy(src[12:], a)
		copy(dst[12:], b)
	}
	return src, dst
}

// A rewrite changes endpoints and checksums and nothing else; a checksum is as
// wrong as it was; rewriting back gives what there was.
func FuzzRewrite(f *testing.F) {
	addSeeds(f, []byte("\x0a\x09\x00\x01"), []byte("\xfd\x00\x00\x00\x00\x01"), uint16(5120), uint16(8443))
	f.Fuzz(func(t *testing.T, frame []byte, partial bool, a, b []byte, sport, dport uint16) {
		mendIPv4(frame)
		var p packet.Packet
		if packet.Parse(frame, partial, &p) != packet.None || p.Kind == packet.ARP {
			return
		}
		before, old := bytes.Clone(p.Frame), p.Tuple
		blanked, none := blank(&p), udpWithoutChecksum(&p)
		was := uint16(0)
		if l4(&p) != nil {
			was = deviation(&p)
		}
		src, dst := pair(&p, a, b)
		p.Rewrite(src, dst, sport, dport)

		if p.Tuple.Src != src || p.Tuple.Dst != dst {
			t.Fatalf("tuple %v", p.Tuple)
		}
		if !p.V6 && sumWords(p.Frame[14:p.L4]) != 0xffff {
			t.Fatal("IPv4 header checksum is wrong")
		}
		switch {
		case none && !partial:
			if !udpWithoutChecksum(&p) {
				t.Fatal("a UDP checksum came from nowhere")
			}
		case l4(&p) != nil:
			if udpWithoutChecksum(&p) && !partial {
				t.Fatal("the UDP checksum is gone")
			}
			if is := deviation(&p); is != was {
				t.Fatalf("the checksum was wrong by %d and is by %d", was, is)
			}
		}
		p.Rewrite(old.Src, old.Dst, old.SrcPort, old.DstPort)
		if p.Tuple != old || !bytes.Equal(blank(&p), blanked) {
			t.Fatalf("and back:\n got %x\nwant %x", p.Frame, before)
		}
		same(t, p.Frame, before, p.L3+10, p.L4+field(p.Tuple.Protocol))
	})
}

// same compares frames that may differ only in the sign of a zero sum, 0 or
// 0xffff, at these offsets.
func same(t *testing.T, got, want []byte, fields ...int) {
	t.Helper()
	got, want = bytes.Clone(got), bytes.Clone(want)
	for _, off := range fields {
		for _, b := range [][]byte{got, want} {
			if off+2 <= len(b) && b[off] == 0xff && b[off+1] == 0xff {
				b[off], b[off+1] = 0, 0
			}
		}
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("and back:\n got %x\nwant %x", got, want)
	}
}

// The same for the packet that an ICMP error quotes.
func FuzzRewriteInner(f *testing.F) {
	addSeeds(f, []byte("\x0a\x09\x00\x01"), []byte("\xfd\x00\x00\x00\x00\x01"), uint16(5120), uint16(8443))
	f.Fuzz(func(t *testing.T, frame []byte, partial bool, a, b []byte, sport, dport uint16) {
		mendIPv4(frame)
		var p packet.Packet
		if packet.Parse(frame, partial, &p) != packet.None || p.Kind != packet.Error {
			return
		}
		before, old, outer := bytes.Clone(p.Frame), p.Inner.Tuple, p.Tuple
		quoted := func() (b []byte, ok bool) {
			b = p.Frame[p.Inner.L4:]
			tu := p.Inner.Tuple
			ok = !p.Inner.Fragment && len(b) >= field(tu.Protocol)+2 &&
				(tu.Protocol == packet.TCP || tu.Protocol == packet.UDP || tu.Protocol == packet.ICMPv6 && p.V6)
			return b, ok
		}
		header := func() uint16 { return sumWords(p.Frame[p.Inner.L3:p.Inner.L4]) % 0xffff }

		wasOuter, wasHeader, wasInner := deviation(&p), header(), uint16(0)
		b4, has := quoted()
		none := has && p.Inner.Tuple.Protocol == packet.UDP && b4[6] == 0 && b4[7] == 0
		if has {
			wasInner = deviationOf(b4, p.Inner.Tuple, false)
		}
		src, dst := pair(&p, a, b)
		p.RewriteInner(src, dst, sport, dport)

		if p.Inner.Tuple.Src != src || p.Inner.Tuple.Dst != dst || p.Tuple != outer {
			t.Fatalf("tuples %v and %v", p.Tuple, p.Inner.Tuple)
		}
		if is := deviation(&p); is != wasOuter {
			t.Fatalf("the checksum was wrong by %d and is by %d", wasOuter, is)
		}
		if is := header(); !p.V6 && is != wasHeader {
			t.Fatalf("the quoted header's checksum was wrong by %d and is by %d", wasHeader, is)
		}
		switch {
		case none:
			if b4[6] != 0 || b4[7] != 0 {
				t.Fatal("a quoted UDP checksum came from nowhere")
			}
		case has:
			if is := deviationOf(b4, p.Inner.Tuple, false); is != wasInner {
				t.Fatalf("the quoted checksum was wrong by %d and is by %d", wasInner, is)
			}
		}
		p.RewriteInner(old.Src, old.Dst, old.SrcPort, old.DstPort)
		if p.Inner.Tuple != old {
			t.Fatalf("and back: %v, want %v", p.Inner.Tuple, old)
		}
		same(t, p.Frame, before, p.L4+2, p.Inner.L3+10, p.Inner.L4+field(old.Protocol))
	})
}

// Changing TCP options leaves the checksum as wrong as it was, and the list as
// long.
func FuzzTCPOptions(f *testing.F) {
	addSeeds(f, uint16(1400))
	f.Fuzz(func(t *testing.T, frame []byte, partial bool, mss uint16) {
		mendIPv4(frame)
		var p packet.Packet
		if packet.Parse(frame, partial, &p) != packet.None || p.Tuple.Protocol != packet.TCP || l4(&p) == nil {
			return
		}
		was := deviation(&p)
		p.ClampMSS(mss)
		if p.MSS() > mss {
			t.Fatalf("MSS %d, want at most %d", p.MSS(), mss)
		}
		p.StripTimestamps()
		if opt := p.TCPOption(8); len(opt) == 10 {
			t.Fatal("timestamps are still there")
		}
		if is := deviation(&p); is != was {
			t.Fatalf("the checksum was wrong by %d and is by %d", was, is)
		}
		var q packet.Packet
		if fault := packet.Parse(p.Frame, partial, &q); fault != packet.None || q.Payload != p.Payload {
			t.Fatalf("%v, payload at %d and not %d", fault, q.Payload, p.Payload)
		}
	})
}
