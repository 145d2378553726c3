package packet

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func benchFrame4() []byte {
	f := make([]byte, 64)
	copy(f, unhex("020000000002 020000000001 0800 4500 0032 0001 4000 4006 0000 c6336407 cb007150"))
	copy(f[34:], unhex("1267 01bb 00000001 00000002 5010 1000 0000 0000"))
	h := (*IPv4Header)(f[14:])
	h.setChecksum(h.sum().checksum())
	return f
}

func benchFrame6() []byte {
	f := make([]byte, 74)
	copy(f, unhex("020000000002 020000000001 86dd 60000000 0014 06 40 20010db8000000000000000000000001 20010db8000000000000000000000080"))
	copy(f[54:], unhex("1267 01bb 00000001 00000002 5010 1000 0000 0000"))
	return f
}

func BenchmarkParse(b *testing.B) {
	for name, f := range map[string][]byte{"v4": benchFrame4(), "v6": benchFrame6()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var p Packet
			for b.Loop() {
				if fault := Parse(f, false, &p); fault != None {
					b.Fatal(fault)
				}
			}
		})
	}
}

func BenchmarkRewrite(b *testing.B) {
	a := func(s string) Addr { return AddrFrom(netip.MustParseAddr(s)) }
	for _, tt := range []struct {
		name   string
		f      []byte
		s1, d1 Addr
		s2, d2 Addr
	}{
		{"v4", benchFrame4(), a("10.9.0.1"), a("10.0.0.11"), a("198.51.100.7"), a("203.0.113.80")},
		{"v6", benchFrame6(), a("fd00::1"), a("fd00::2"), a("2001:db8::1"), a("2001:db8::80")},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			var p Packet
			if fault := Parse(tt.f, false, &p); fault != None {
				b.Fatal(fault)
			}
			for i := 0; b.Loop(); i++ {
				if i&1 == 0 {
					p.Rewrite(tt.s1, tt.d1, 5120, 8443)
				} else {
					p.Rewrite(tt.s2, tt.d2, 4711, 443)
				}
			}
		})
	}
}

// Both, on one frame: what an established session costs here.
func BenchmarkParseAndRewrite(b *testing.B) {
	a := func(s string) Addr { return AddrFrom(netip.MustParseAddr(s)) }
	for _, tt := range []struct {
		name   string
		f      []byte
		s1, d1 Addr
	}{
		{"v4", benchFrame4(), a("10.9.0.1"), a("10.0.0.11")},
		{"v6", benchFrame6(), a("fd00::1"), a("fd00::2")},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			var p Packet
			for b.Loop() {
				if Parse(tt.f, false, &p) == None {
					p.Rewrite(tt.s1, tt.d1, 5120, 8443)
				}
			}
		})
	}
}
