package service

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"fleetlb/fullnat/packet"
	"pgregory.net/rapid"
)

func TestFind(t *testing.T) {
	built := table(t, nil,
		"web tcp 203.0.113.10:80 rr 10.3.0.11:80=1",
		"dns udp 203.0.113.10:53 rr 10.3.0.11:53=1",
		"dns-tcp tcp 203.0.113.10:53 rr 10.3.0.11:53=1",
		"six tcp [2001:db8::10]:80 rr [2001:db8:3::11]:80=1",
		"mapped tcp [::ffff:203.0.113.11]:80 rr 10.3.0.11:80=1",
	)
	tests := []struct {
		protocol    uint8
		destination string
		want        string
		vip         bool
	}{
		{packet.TCP, "203.0.113.10:80", "web", true},
		{packet.UDP, "203.0.113.10:53", "dns", true},
		{packet.TCP, "203.0.113.10:53", "dns-tcp", true},
		{packet.TCP, "[2001:db8::10]:80", "six", true},
		{packet.TCP, "203.0.113.11:80", "mapped", true},
		{packet.UDP, "203.0.113.10:80", "", true},
		{packet.TCP, "203.0.113.10:0", "", true},
		{0, "203.0.113.10:0", "", true},
		{packet.TCP, "203.0.113.12:80", "", false},
		{packet.TCP, "[::203.0.113.10]:80", "", false},
		{packet.TCP, "10.3.0.11:80", "", false},
	}
	for _, tt := range tests {
		got := ""
		if s := find(built, tt.protocol, tt.destination); s != nil {
			got = s.Name
		}
		if got != tt.want {
			t.Errorf("protocol %d, %s: service %q, want %q", tt.protocol, tt.destination, got, tt.want)
		}
		if vip := built.HasVIP(packet.AddrFrom(netip.MustParseAddrPort(tt.destination).Addr())); vip != tt.vip {
			t.Errorf("%s is a vip: %v, want %v", tt.destination, vip, tt.vip)
		}
	}
	if got, want := fmt.Sprint(built.VIPs()), "[203.0.113.10/32 203.0.113.11/32 2001:db8::10/128]"; got != want {
		t.Errorf("vips %s, want %s", got, want)
	}
}

// The zero table, and the table of nothing, answer like any other.
func TestEmptyTable(t *testing.T) {
	for _, empty := range []*Table{new(Table), table(t, nil)} {
		if find(empty, packet.TCP, "203.0.113.10:80") != nil || empty.HasVIP(packet.Addr{}) || len(empty.VIPs()) != 0 {
			t.Error("a table without services has some")
		}
	}
}

// Whatever is in it, the index answers as a Go map does.
func TestIndexIsAMap(t *testing.T) {
	type destination struct {
		protocol uint8
		vip      packet.Addr
		port     uint16
	}
	draw := rapid.Custom(func(t *rapid.T) destination {
		d := destination{protocol: rapid.SampledFrom([]uint8{packet.TCP, packet.UDP}).Draw(t, "protocol")}
		d.vip[15] = rapid.Uint8Max(7).Draw(t, "vip")
		d.port = rapid.Uint16Range(1, 5).Draw(t, "port")
		return d
	})
	rapid.Check(t, func(t *rapid.T) {
		want := make(map[destination]*Service)
		var services []*Service
		for _, d := range rapid.SliceOfNDistinct(draw, 0, 60, rapid.ID).Draw(t, "services") {
			s := &Service{Protocol: d.protocol, VIP: d.vip, Port: d.port}
			services, want[d] = append(services, s), s
		}
		built := (&Table{Services: services}).indexed()
		for range 20 {
			d := draw.Draw(t, "destination")
			if got := built.Find(d.protocol, d.vip, d.port); got != want[d] {
				t.Fatalf("%v: %v, want %v", d, got, want[d])
			}
			has := slices.ContainsFunc(services, func(s *Service) bool { return s.VIP == d.vip })
			if built.HasVIP(d.vip) != has {
				t.Fatalf("%v is a vip: %v, want %v", d.vip, !has, has)
			}
		}
	})
}

func TestFindAllocatesNothing(t *testing.T) {
	built := table(t, nil, "web tcp 203.0.113.10:80 rr 10.3.0.11:80=1", "run udp 203.0.113.10:1-9 rr 10.3.0.11:80=1")
	vip := built.Services[0].VIP
	n := testing.AllocsPerRun(1000, func() {
		built.Find(packet.TCP, vip, 80)
		built.Find(packet.TCP, vip, 81)
		built.Find(packet.UDP, vip, 7)
		built.HasVIP(vip)
	})
	if n != 0 {
		t.Errorf("finding allocates %v times, want 0", n)
	}
}

// many makes n services on n/4 VIPs.
func many(n int) []*Service {
	services := make([]*Service, n)
	for i := range services {
		vip := packet.AddrFrom(netip.AddrFrom4([4]byte{203, 0, byte(i / 4 >> 8), byte(i / 4)}))
		services[i] = &Service{Protocol: packet.TCP, VIP: vip, Port: uint16(80 + i%4)}
	}
	return services
}

// One port goes before a range, a range before any, whatever their order.
func TestFindRanges(t *testing.T) {
	lines := []string{
		"any tcp 203.0.113.10:0-65535 rr 10.3.0.11:0=1",
		"high tcp 203.0.113.10:9000-9999 rr 10.3.0.11:0=1",
		"one tcp 203.0.113.10:8080 rr 10.3.0.11:80=1",
		"low tcp 203.0.113.10:8000-8999 rr 10.3.0.11:0=1",
		"udp udp 203.0.113.10:1-65535 rr 10.3.0.11:0=1",
		"other tcp 203.0.113.11:443 rr 10.3.0.11:0=1 +tcp/203.0.113.12:0-65535 +udp/203.0.113.11:5000-5009",
	}
	tests := []struct {
		protocol    uint8
		destination string
		want        string
	}{
		{packet.TCP, "203.0.113.10:8080", "one"},
		{packet.TCP, "203.0.113.10:7999", "any"},
		{packet.TCP, "203.0.113.10:8000", "low"},
		{packet.TCP, "203.0.113.10:8999", "low"},
		{packet.TCP, "203.0.113.10:9000", "high"},
		{packet.TCP, "203.0.113.10:9999", "high"},
		{packet.TCP, "203.0.113.10:10000", "any"},
		{packet.TCP, "203.0.113.10:0", "any"},
		{packet.UDP, "203.0.113.10:0", ""},
		{packet.UDP, "203.0.113.10:1", "udp"},
		{packet.UDP, "203.0.113.10:65535", "udp"},
		{packet.TCP, "203.0.113.11:443", "other"},
		{packet.TCP, "203.0.113.11:444", ""},
		{packet.TCP, "203.0.113.12:1", "other"},
		{packet.UDP, "203.0.113.11:5009", "other"},
		{packet.UDP, "203.0.113.11:5010", ""},
		{packet.UDP, "203.0.113.12:1", ""},
	}
	for range 2 {
		built := table(t, nil, lines...)
		for _, tt := range tests {
			got := ""
			if s := find(built, tt.protocol, tt.destination); s != nil {
				got = s.Name
			}
			if got != tt.want {
				t.Errorf("protocol %d, %s: service %q, want %q", tt.protocol, tt.destination, got, tt.want)
			}
		}
		if got, want := fmt.Sprint(built.VIPs()), "[203.0.113.10/32 203.0.113.11/32 203.0.113.12/32]"; got != want {
			t.Errorf("vips %s, want %s", got, want)
		}
		slices.Reverse(lines)
	}
}

func BenchmarkFindRange(b *testing.B) {
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf("s%d tcp 203.0.113.10:%d-%d rr 10.3.0.11:0=1", i, 1000+100*i, 1050+100*i))
	}
	built := table(b, nil, lines...)
	vip := built.Services[0].VIP
	for b.Loop() {
		if built.Find(packet.TCP, vip, 5020) == nil {
			b.Fatal("not found")
		}
	}
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{1, 10, 1000, 10000} {
		services := many(n)
		built := (&Table{Services: services}).indexed()
		b.Run(fmt.Sprintf("hit/%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				s := services[i%n]
				if built.Find(s.Protocol, s.VIP, s.Port) != s {
					b.Fatal("not found")
				}
			}
		})
		b.Run(fmt.Sprintf("miss/%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				s := services[i%n]
				if built.Find(packet.UDP, s.VIP, s.Port) != nil {
					b.Fatal("found")
				}
			}
		})
		b.Run(fmt.Sprintf("vip/%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if !built.HasVIP(services[i%n].VIP) {
					b.Fatal("not found")
				}
			}
		})
	}
}

// What the index is instead of.
func BenchmarkFindInMap(b *testing.B) {
	for _, n := range []int{1, 10, 1000, 10000} {
		services := many(n)
		byKey := make(map[[20]byte]*Service)
		bytes := func(s *Service) (k [20]byte) {
			copy(k[:], s.VIP[:])
			k[16], k[17], k[18] = s.Protocol, byte(s.Port>>8), byte(s.Port)
			return k
		}
		for _, s := range services {
			byKey[bytes(s)] = s
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if s := services[i%n]; byKey[bytes(s)] != s {
					b.Fatal("not found")
				}
			}
		})
	}
}
