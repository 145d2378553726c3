package fullnat

import (
	"encoding/binary"
	"strings"
	"testing"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/link/linktest"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
)

// fuzzSeeds are frames of the conversations that FuzzWorker has begun, and
// others of all kinds.
var fuzzSeeds = []struct{ name, line string }{
	{"SYN", "tcp 198.51.100.9:4711 > 203.0.113.80:443 S ttl 64 seq 1 mss 1460 ws 7"},
	{"data", "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1001 ack 5001 len 99"},
	{"data back", "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 PA ttl 64 seq 5001 ack 1001 len 99"},
	{"partial", "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1001 ack 5001 len 99 partial"},
	{"FIN", "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 FA ttl 64 seq 5001 ack 1001"},
	{"reset", "tcp 198.51.100.7:4711 > 203.0.113.80:443 R ttl 64 seq 1001"},
	{"no hops left", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 1 seq 1001 ack 5001"},
	{"too big", "eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 A ttl 64 df seq 5001 ack 1001 len 1461"},
	{"to be cut", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 2000"},
	{"datagram", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 9"},
	{"datagram without a checksum", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 9 no-sum"},
	{"datagram back", "eth1 udp 10.0.0.11:5353 > 10.9.0.1:5238 ttl 64 len 9"},
	{"no server", "udp 198.51.100.7:4711 > 203.0.113.54:53 ttl 64 len 9"},
	{"first fragment", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 7 of 40 len 8"},
	{"later fragment", "frag 198.51.100.7 > 203.0.113.53 ttl 64 id 8 off 16 len 24"},
	{"IPv6", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 A ttl 64 seq 1001 ack 5001 len 9"},
	{"IPv6 with extension headers", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64 ext 0 ext 60"},
	{"IPv6 back", "eth1 tcp [fd00::11]:8443 > [2001:db8:9::1]:5154 SA ttl 64 seq 5000 ack 1001"},
	{"IPv6 fragment", "frag 2001:db8:7::7 > 2001:db8::80 proto 6 ttl 64 id 9 off 1240 len 24"},
	{"error", "icmp 198.51.100.1 > 203.0.113.80 too-big ttl 60 mtu 1400 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 df seq 5001 ack 1001 len 1460 cut 8 )"},
	{"error from the server", "eth1 icmp 10.0.0.11 > 10.9.0.1 no-port ttl 64 ( udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 len 33 )"},
	{"error, IPv6", "icmp 2001:db8:7::1 > 2001:db8::80 too-big ttl 60 mtu 1300 ( tcp [2001:db8::80]:443 > [2001:db8:7::7]:4711 A ttl 55 len 1440 cut 100 )"},
	{"ping", "icmp 198.51.100.7 > 203.0.113.80 echo ttl 64 ident 7 seq 1 len 56"},
	{"ping, IPv6", "icmp 2001:db8:7::7 > 2001:db8::80 echo ttl 64 ident 7 seq 1 len 56"},
	{"ARP", "arp who-has 192.0.2.80 tell 192.0.2.7"},
	{"solicitation", "nd who-has 2001:db8:2::80 tell 2001:db8:2::7"},
	{"another protocol", "ip 198.51.100.7 > 203.0.113.80 proto 47 ttl 64 len 40"},
	{"of a range", "tcp 198.51.100.7:4711 > 203.0.113.80:1234 S ttl 64 seq 1000"},
	{"of any port", "udp 198.51.100.7:4711 > 203.0.113.53:7 ttl 64 len 9"},
	{"from a VIP", "tcp 203.0.113.53:53 > 203.0.113.80:443 S ttl 64"},
}

// newFuzzBench has a conversation of each kind under way.
func newFuzzBench(t *testing.T) *bench {
	w := newBench(t, 1, 8,
		"vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1",
		"udp 203.0.113.53:53 → 10.0.0.11:5353",
		"udp 203.0.113.54:53 → !10.0.0.11:5353",
		"vip 203.0.113.80:1000-1999 → 10.0.0.11:0 10.0.0.12:0,u1 persist=1m prefix4=24",
		"udp 203.0.113.53:0-65535 → 10.0.0.12:0 persist=1m",
		"vip 192.0.2.80:443 → 10.0.0.12:8443",
		"vip [2001:db8::80]:443 → [fd00::11]:8443 via 2001:db8:9::1",
		"vip [2001:db8:2::80]:443 → [fd00::11]:8443")
	w.workers[0].report = func(panicked any) { t.Fatalf("panic: %v", panicked) }
	w.inject(
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000",
		"eth1 tcp 10.0.0.11:8443 > 10.9.0.1:5235 SA ttl 64 seq 5000 ack 1001",
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001",
		"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 9",
		"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64 seq 1000",
		"frag 198.51.100.7 > 203.0.113.53 ttl 64 id 7 off 16 len 24",
		"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 8 of 40 len 8")
	w.settle()
	w.frames()
	w.verdictsSince()
	return w
}

// FuzzWorker gives a worker with sessions any frame, twice. It never panics,
// holds no frame but those it has parked, sends to nobody but the ends of its
// sessions and whoever sent the frame, and changes no checksum by more or less
// than it changed in the packet.
func FuzzWorker(f *testing.F) {
	const (
		byPort1 = 1 << iota
		partial
		mend // the IPv4 header's checksum, without which few get past the first check
	)
	for _, s := range fuzzSeeds {
		seed := frameOf(f, s.line)
		how := uint8(mend) | seed.Port*byPort1
		if seed.Offload.NeedsChecksum() {
			how |= partial
		}
		f.Add(seed.Bytes, how)
	}
	f.Fuzz(func(t *testing.T, frame []byte, how uint8) {
		if len(frame) > 65000 {
			return
		}
		if how&mend != 0 {
			mendIPv4(frame)
		}
		in := linktest.Frame{Port: how & byPort1, Bytes: frame}
		if how&partial != 0 {
			in.Offload = link.Offload{Flags: 1}
		}
		w := newFuzzBench(t)
		for range 2 {
			w.queues[0].InjectFrame(in)
			w.settle()
			w.conserved("frame")
			checkSent(t, &in, w.frames(), w.verdictsSince())
		}
		w.now += fragmentTimeout
		w.settle()
		if held := w.queues[0].Held(); held != 0 {
			t.Errorf("holds %d frames in the end", held)
		}
	})
}

// The stations that a fuzzed worker may speak to beside the sender, and as whom.
var (
	fuzzOthers = []packet.Addr{addr("198.51.100.7"), addr("2001:db8:7::7"), addr("10.0.0.11"), addr("10.0.0.12"), addr("fd00::11"), addr("ff02::1")}
	fuzzOurs   = []packet.Addr{
		addr("203.0.113.80"), addr("203.0.113.53"), addr("203.0.113.54"), addr("192.0.2.80"), addr("10.9.0.1"),
		addr("2001:db8::80"), addr("2001:db8:2::80"), addr("2001:db8:9::1"),
		addr("192.0.2.1"), addr("10.0.0.1"), addr("2001:db8:2::1"), addr("fd00::1"), // the host, for ICMP errors
	}
)

func checkSent(t *testing.T, in *linktest.Frame, sent []linktest.Frame, verdicts string) {
	t.Helper()
	var was packet.Packet
	fault := packet.Parse(in.Bytes, in.Offload.NeedsChecksum(), &was)
	if fault != packet.None {
		if len(sent) > 0 {
			t.Fatalf("%v, and yet sent %s", fault, packettest.Print(sent[0].Bytes))
		}
		return
	}
	among := func(a packet.Addr, all []packet.Addr) bool {
		for _, b := range all {
			if a == b {
				return true
			}
		}
		return false
	}
	for _, f := range sent {
		var p packet.Packet
		if fault := packet.Parse(f.Bytes, f.Offload.NeedsChecksum(), &p); fault != packet.None {
			t.Fatalf("sent %x: %v", f.Bytes, fault)
		}
		if p.Tuple.Dst != was.Tuple.Src && !among(p.Tuple.Dst, fuzzOthers) {
			t.Errorf("sent to %v: %s", p.Tuple.Dst, packettest.Print(f.Bytes))
		}
		if !among(p.Tuple.Src, fuzzOurs) {
			t.Errorf("sent as %v: %s", p.Tuple.Src, packettest.Print(f.Bytes))
		}
		if was.Kind == packet.Fragment || p.Kind == packet.Fragment || p.Kind == packet.ARP {
			continue
		}
		want := 0
		if verdicts == "forwarded" || verdicts == "answered" && p.Kind != packet.Neighbor {
			want = deviation(&was)
		}
		if got := deviation(&p); got != want {
			t.Errorf("the checksum was off by %#x and is by %#x: %s\nsent as %s", want, got, packettest.Print(in.Bytes), packettest.Print(f.Bytes))
		}
	}
	if len(sent) > 0 && strings.HasPrefix(packettest.Print(sent[0].Bytes), "raw") != strings.HasPrefix(packettest.Print(in.Bytes), "raw") && verdicts == "forwarded" {
		t.Errorf("%s was sent as %s", packettest.Print(in.Bytes), packettest.Print(sent[0].Bytes))
	}
}

// deviation is by how much the L4 checksum of a whole packet differs from what
// it should be, modulo 65535; -1 if it has none.
func deviation(p *packet.Packet) int {
	l4 := p.Frame[p.L4:]
	at := map[uint8]int{packet.TCP: 16, packet.UDP: 6, packet.ICMP: 2, packet.ICMPv6: 2}[p.Tuple.Protocol]
	if at == 0 || len(l4) < at+2 || p.Tuple.Protocol == packet.UDP && binary.BigEndian.Uint16(l4[at:]) == 0 {
		return -1
	}
	sum := 0
	if p.Tuple.Protocol != packet.ICMP {
		sum += sumWords(p.Tuple.Src[:]) + sumWords(p.Tuple.Dst[:]) + int(p.Tuple.Protocol) + len(l4)
	}
	if p.Partial {
		return (int(binary.BigEndian.Uint16(l4[at:])) + 65535*9 - sum%65535) % 65535
	}
	return (sum + sumWords(l4)) % 65535
}

func sumWords(b []byte) (sum int) {
	for i, c := range b {
		sum += int(c) << (8 * (1 - i&1))
	}
	return sum
}

func mendIPv4(frame []byte) {
	if len(frame) < 34 || frame[12] != 8 || frame[13] != 0 {
		return
	}
	h := frame[14:min(len(frame), 14+max(20, int(frame[14]&15)*4))]
	h[10], h[11] = 0, 0
	sum := sumWords(h)
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(h[10:], ^uint16(sum))
}
