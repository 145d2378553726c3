package packet_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
)

// ends reads "198.51.100.7:4711 > 203.0.113.80:443".
func ends(tb testing.TB, s string) (src, dst packet.Addr, srcPort, dstPort uint16) {
	tb.Helper()
	a, b, _ := strings.Cut(s, " > ")
	from, err1 := netip.ParseAddrPort(a)
	to, err2 := netip.ParseAddrPort(b)
	if err1 != nil || err2 != nil {
		tb.Fatalf("%s: not two endpoints", s)
	}
	return packet.AddrFrom(from.Addr()), packet.AddrFrom(to.Addr()), from.Port(), to.Port()
}

// view parses the frame that line describes.
func view(tb testing.TB, line string) *packet.Packet {
	tb.Helper()
	p := new(packet.Packet)
	if fault := packet.Parse(packettest.Frame(tb, line), strings.Contains(line, "partial"), p); fault != packet.None {
		tb.Fatalf("%s: %v", line, fault)
	}
	return p
}

func TestRewrite(t *testing.T) {
	const (
		ends4 = "10.9.0.1:5120 > 10.0.0.11:8443"
		ends6 = "[fd00::9:1]:5120 > [fd00::11]:8443"
	)
	tests := []struct{ name, in, ends, out string }{
		{"TCP",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 9 mss 1460", ends4,
			"tcp 10.9.0.1:5120 > 10.0.0.11:8443 S ttl 64 seq 9 mss 1460"},
		{"TCP over IPv6",
			"tcp [2001:db8::7]:4711 > [2001:db8::80]:443 PA ttl 64 seq 9 len 101", ends6,
			"tcp [fd00::9:1]:5120 > [fd00::11]:8443 PA ttl 64 seq 9 len 101"},
		{"UDP",
			"udp 198.51.100.7:4711 > 203.0.113.80:443 ttl 64 len 9", ends4,
			"udp 10.9.0.1:5120 > 10.0.0.11:8443 ttl 64 len 9"},
		{"options and extension headers stay",
			"udp 198.51.100.7:4711 > 203.0.113.80:443 ttl 64 ipopt 94040000 len 9", ends4,
			"udp 10.9.0.1:5120 > 10.0.0.11:8443 ttl 64 ipopt 94040000 len 9"},
		{"options and extension headers stay over IPv6",
			"udp [2001:db8::7]:4711 > [2001:db8::80]:443 ttl 64 ext 0 ext 44 len 9", ends6,
			"udp [fd00::9:1]:5120 > [fd00::11]:8443 ttl 64 ext 0 ext 44 len 9"},
		{"a wrong checksum stays wrong",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 len 9 bad-sum", ends4,
			"tcp 10.9.0.1:5120 > 10.0.0.11:8443 A ttl 64 len 9 bad-sum"},
		{"no UDP checksum stays none",
			"udp 198.51.100.7:4711 > 203.0.113.80:443 ttl 64 len 9 no-sum", ends4,
			"udp 10.9.0.1:5120 > 10.0.0.11:8443 ttl 64 len 9 no-sum"},
		{"also where it is not allowed",
			"udp [2001:db8::7]:4711 > [2001:db8::80]:443 ttl 64 len 9 no-sum", ends6,
			"udp [fd00::9:1]:5120 > [fd00::11]:8443 ttl 64 len 9 no-sum"},
		{"a partial checksum stays partial",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 len 60000 partial", ends4,
			"tcp 10.9.0.1:5120 > 10.0.0.11:8443 A ttl 64 len 60000 partial"},
		{"a partial checksum stays partial over IPv6",
			"udp [2001:db8::7]:4711 > [2001:db8::80]:443 ttl 64 len 60000 partial", ends6,
			"udp [fd00::9:1]:5120 > [fd00::11]:8443 ttl 64 len 60000 partial"},
		{"the first fragment has ports and a checksum over all of them",
			"udp 198.51.100.7:4711 > 203.0.113.80:443 ttl 64 id 9 of 3000 len 1472", ends4,
			"udp 10.9.0.1:5120 > 10.0.0.11:8443 ttl 64 id 9 of 3000 len 1472"},
		{"a later fragment has addresses only",
			"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 9 off 1480 len 25", ends4,
			"frag 10.9.0.1 > 10.0.0.11 ttl 64 id 9 off 1480 len 25"},
		{"a later fragment over IPv6",
			"frag 2001:db8::7 > 2001:db8::80 ttl 64 id 9 off 1480 more len 24", ends6,
			"frag fd00::9:1 > fd00::11 ttl 64 id 9 off 1480 more len 24"},
		{"ICMP has no ports",
			"icmp 198.51.100.7 > 203.0.113.80 echo ttl 64 ident 7 seq 1 len 56", ends4,
			"icmp 10.9.0.1 > 10.0.0.11 echo ttl 64 ident 7 seq 1 len 56"},
		{"ICMPv6 has a checksum over its addresses",
			"icmp 2001:db8::7 > 2001:db8::80 echo ttl 64 ident 7 seq 1 len 56", ends6,
			"icmp fd00::9:1 > fd00::11 echo ttl 64 ident 7 seq 1 len 56"},
		{"other protocols have addresses only",
			"ip 198.51.100.7 > 203.0.113.80 ttl 64 proto 47 len 40", ends4,
			"ip 10.9.0.1 > 10.0.0.11 ttl 64 proto 47 len 40"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := view(t, tt.in)
			src, dst, sport, dport := ends(t, tt.ends)
			back := p.Tuple
			p.Rewrite(src, dst, sport, dport)
			if got := packettest.Print(p.Frame); got != tt.out {
				t.Errorf("\n got %s\nwant %s", got, tt.out)
			}
			var again packet.Packet
			if packet.Parse(p.Frame, p.Partial, &again); again.Tuple != p.Tuple {
				t.Errorf("the tuple says %v, the frame %v", p.Tuple, again.Tuple)
			}
			p.Rewrite(back.Src, back.Dst, back.SrcPort, back.DstPort)
			if got := packettest.Print(p.Frame); got != tt.in {
				t.Errorf("and back:\n got %s\nwant %s", got, tt.in)
			}
			if n := testing.AllocsPerRun(100, func() { p.Rewrite(src, dst, sport, dport) }); n != 0 {
				t.Errorf("Rewrite allocates %v times, want 0", n)
			}
		})
	}
}

// A UDP checksum that comes out as zero is sent as 0xffff: zero says none.
func TestRewriteUDPToZero(t *testing.T) {
	src, dst, _, dport := ends(t, "10.9.0.1:1 > 10.0.0.11:8443")
	seen := 0
	for sport := range 1 << 16 {
		p := view(t, "udp 198.51.100.7:4711 > 203.0.113.80:443 ttl 64")
		p.Rewrite(src, dst, uint16(sport), dport)
		switch p.UDP().Checksum() {
		case 0:
			t.Fatalf("source port %d: no checksum", sport)
		case 0xffff:
			seen++
		}
	}
	if seen == 0 {
		t.Error("no port gave a zero")
	}
}

func TestRewriteError(t *testing.T) {
	// A server's router complains about what a director sent in a client's
	// place; the client shall hear it from its VIP.
	const (
		outer4 = "203.0.113.80:0 > 198.51.100.7:0"
		inner4 = "198.51.100.7:4711 > 203.0.113.80:443"
		outer6 = "[2001:db8::80]:0 > [2001:db8::7]:0"
		inner6 = "[2001:db8::7]:4711 > [2001:db8::80]:443"
	)
	tests := []struct{ name, in, outer, inner, out string }{
		{"too big, eight bytes of TCP quoted",
			"icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 1400 ( tcp 10.9.0.1:5120 > 10.0.0.11:8443 - ttl 63 df seq 7 len 1460 cut 8 )", outer4, inner4,
			"icmp 203.0.113.80 > 198.51.100.7 too-big ttl 64 mtu 1400 ( tcp 198.51.100.7:4711 > 203.0.113.80:443 - ttl 63 df seq 7 len 1460 cut 8 )"},
		{"too big, all of the TCP header quoted",
			"icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 1400 ( tcp 10.9.0.1:5120 > 10.0.0.11:8443 A ttl 63 df seq 7 len 1460 cut 500 )", outer4, inner4,
			"icmp 203.0.113.80 > 198.51.100.7 too-big ttl 64 mtu 1400 ( tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 df seq 7 len 1460 cut 500 )"},
		{"a quote that ends inside the TCP checksum",
			"icmp 10.0.0.1 > 10.9.0.1 ttl-exceeded ttl 64 ( tcp 10.9.0.1:5120 > 10.0.0.11:8443 - ttl 63 seq 7 cut 17 )", outer4, inner4,
			"icmp 203.0.113.80 > 198.51.100.7 ttl-exceeded ttl 64 ( tcp 198.51.100.7:4711 > 203.0.113.80:443 - ttl 63 seq 7 cut 17 )"},
		{"nobody listens, UDP",
			"icmp 10.0.0.11 > 10.9.0.1 no-port ttl 64 ( udp 10.9.0.1:5120 > 10.0.0.11:8443 ttl 63 len 100 cut 8 )", outer4, inner4,
			"icmp 203.0.113.80 > 198.51.100.7 no-port ttl 64 ( udp 198.51.100.7:4711 > 203.0.113.80:443 ttl 63 len 100 cut 8 )"},
		{"over IPv6",
			"icmp fd00::1 > fd00::9 too-big ttl 64 mtu 1280 ( tcp [fd00::9]:5120 > [fd00::11]:8443 A ttl 63 seq 7 len 1400 cut 1100 )", outer6, inner6,
			"icmp 2001:db8::80 > 2001:db8::7 too-big ttl 64 mtu 1280 ( tcp [2001:db8::7]:4711 > [2001:db8::80]:443 A ttl 63 seq 7 len 1400 cut 1100 )"},
		{"over IPv6, UDP behind extension headers",
			"icmp fd00::1 > fd00::9 no-port ttl 64 ( udp [fd00::9]:5120 > [fd00::11]:8443 ttl 63 ext 60 len 40 )", outer6, inner6,
			"icmp 2001:db8::80 > 2001:db8::7 no-port ttl 64 ( udp [2001:db8::7]:4711 > [2001:db8::80]:443 ttl 63 ext 60 len 40 )"},
		{"what was wrong stays wrong",
			"icmp 10.0.0.11 > 10.9.0.1 no-port ttl 64 bad-sum ( udp 10.9.0.1:5120 > 10.0.0.11:8443 ttl 63 len 100 cut 8 bad-ip-sum bad-sum )", outer4, inner4,
			"icmp 203.0.113.80 > 198.51.100.7 no-port ttl 64 bad-sum ( udp 198.51.100.7:4711 > 203.0.113.80:443 ttl 63 len 100 cut 8 bad-ip-sum bad-sum )"},
		{"no UDP checksum stays none",
			"icmp 10.0.0.11 > 10.9.0.1 no-port ttl 64 ( udp 10.9.0.1:5120 > 10.0.0.11:8443 ttl 63 len 100 cut 8 no-sum )", outer4, inner4,
			"icmp 203.0.113.80 > 198.51.100.7 no-port ttl 64 ( udp 198.51.100.7:4711 > 203.0.113.80:443 ttl 63 len 100 cut 8 no-sum )"},
		{"a partial checksum covers no quote",
			"icmp fd00::1 > fd00::9 no-port ttl 64 partial ( udp [fd00::9]:5120 > [fd00::11]:8443 ttl 63 len 40 )", outer6, inner6,
			"icmp 2001:db8::80 > 2001:db8::7 no-port ttl 64 partial ( udp [2001:db8::7]:4711 > [2001:db8::80]:443 ttl 63 len 40 )"},
		{"a later fragment quoted",
			"icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 1400 ( frag 10.9.0.1 > 10.0.0.11 ttl 63 id 7 off 1480 len 100 cut 8 )", outer4, inner4,
			"icmp 203.0.113.80 > 198.51.100.7 too-big ttl 64 mtu 1400 ( frag 198.51.100.7 > 203.0.113.80 ttl 63 id 7 off 1480 len 100 cut 8 )"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := view(t, tt.in)
			p.RewriteInner(ends(t, tt.inner))
			src, dst, _, _ := ends(t, tt.outer)
			p.RewriteOuter(src, dst)
			if got := packettest.Print(p.Frame); got != tt.out {
				t.Errorf("\n got %s\nwant %s", got, tt.out)
			}
			want := p.Inner.Tuple
			if packet.Parse(p.Frame, p.Partial, p); p.Inner.Tuple != want {
				t.Errorf("the tuple says %v, the frame %v", want, p.Inner.Tuple)
			}
			a, b, c, d := ends(t, tt.inner)
			if n := testing.AllocsPerRun(100, func() { p.RewriteInner(a, b, c, d); p.RewriteOuter(src, dst) }); n != 0 {
				t.Errorf("rewriting allocates %v times, want 0", n)
			}
		})
	}
}

func TestDecTTL(t *testing.T) {
	for _, tt := range []struct{ in, out string }{
		{"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64", "udp 198.51.100.7:1 > 203.0.113.80:2 ttl 63"},
		{"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 1", "udp 198.51.100.7:1 > 203.0.113.80:2 ttl 0"},
		{"udp [2001:db8::7]:1 > [2001:db8::80]:2 ttl 255", "udp [2001:db8::7]:1 > [2001:db8::80]:2 ttl 254"},
	} {
		p := view(t, tt.in)
		p.DecTTL()
		if got := packettest.Print(p.Frame); got != tt.out {
			t.Errorf("\n got %s\nwant %s", got, tt.out)
		}
	}
}

func TestTCPOptions(t *testing.T) {
	clamp := func(p *packet.Packet) bool { return p.ClampMSS(1400) }
	strip := (*packet.Packet).StripTimestamps
	tests := []struct {
		name, in string
		change   func(*packet.Packet) bool
		out      string
		changed  bool
	}{
		{"an MSS too great is lowered", " mss 1460 sackok ts 1/0 ws 7", clamp, " mss 1400 sackok ts 1/0 ws 7", true},
		{"also at an odd offset", " nop mss 1460", clamp, " mss 1400", true},
		{"an MSS that fits stays", " mss 1400", clamp, " mss 1400", false},
		{"no MSS", " sackok", clamp, " sackok", false},
		{"an MSS of five bytes is none", " opt 2/05b400", clamp, " opt 2/05b400", false},
		{"timestamps are overwritten", " mss 1460 sackok ts 1/0 ws 7", strip, " mss 1460 sackok ws 7", true},
		{"also at an odd offset", " nop ts 1/2 ws 7", strip, " ws 7", true},
		{"twice, if they are there twice", " ts 1/2 ts 3/4", strip, "", true},
		{"no timestamps", " mss 1460 sackok", strip, " mss 1460 sackok", false},
		{"timestamps of nine bytes are none", " opt 8/00000001000000", strip, " opt 8/00000001000000", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, form := range []string{
				"tcp 198.51.100.7:1 > 203.0.113.80:2 S ttl 64%s",
				"tcp [2001:db8::7]:1 > [2001:db8::80]:2 S ttl 64%s",
				"tcp 198.51.100.7:1 > 203.0.113.80:2 S ttl 64%s partial",
				"tcp 198.51.100.7:1 > 203.0.113.80:2 S ttl 64%s bad-sum",
			} {
				p := view(t, fmt.Sprintf(form, tt.in))
				if got := tt.change(p); got != tt.changed {
					t.Errorf("told %v, want %v", got, tt.changed)
				}
				want := fmt.Sprintf(form, tt.out)
				if got := packettest.Print(p.Frame); got != want {
					t.Errorf("\n got %s\nwant %s", got, want)
				}
				if n := testing.AllocsPerRun(100, func() { tt.change(p) }); n != 0 {
					t.Errorf("allocates %v times, want 0", n)
				}
			}
		})
	}
}

func TestReadTCPOptions(t *testing.T) {
	p := view(t, "tcp 198.51.100.7:1 > 203.0.113.80:2 S ttl 64 mss 1460 nop ws 15")
	if got := p.MSS(); got != 1460 {
		t.Errorf("MSS %d, want 1460", got)
	}
	if got, ok := p.WindowScale(); got != 14 || !ok {
		t.Errorf("window scale %d, %v; want 14, for there is none above", got, ok)
	}
	p = view(t, "udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 len 4")
	if p.MSS() != 0 || p.StripTimestamps() {
		t.Error("UDP has no options")
	}
}
