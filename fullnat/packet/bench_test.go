package packet_test

import (
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
)

// 64-byte TCP frames and what FULLNAT makes of them.
var frames = []struct{ name, line, ends string }{
	{"v4", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 len 10", "10.9.0.1:5120 > 10.0.0.11:8443"},
	{"v6", "tcp [2001:db8::7]:4711 > [2001:db8::80]:443 A ttl 64 len 10", "[fd00::9:1]:5120 > [fd00::11]:8443"},
}

func BenchmarkParse(b *testing.B) {
	for _, f := range frames {
		b.Run(f.name, func(b *testing.B) {
			frame := packettest.Frame(b, f.line)
			var p packet.Packet
			b.ReportAllocs()
			for b.Loop() {
				packet.Parse(frame, false, &p)
			}
		})
	}
}

func BenchmarkRewrite(b *testing.B) {
	for _, f := range frames {
		b.Run(f.name, func(b *testing.B) {
			p := view(b, f.line)
			src, dst, sport, dport := ends(b, f.ends)
			b.ReportAllocs()
			for b.Loop() {
				p.Rewrite(src, dst, sport, dport)
			}
		})
	}
}

// Both and the hop, over a batch of frames: what a packet of a known session
// costs here.
func BenchmarkForward(b *testing.B) {
	for _, f := range frames {
		b.Run(f.name, func(b *testing.B) {
			var batch [64][]byte
			for i := range batch {
				batch[i] = packettest.Frame(b, f.line)
			}
			src, dst, sport, dport := ends(b, f.ends)
			var p packet.Packet
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				packet.Parse(batch[i&63], false, &p)
				p.Rewrite(src, dst, sport, dport)
				p.DecTTL()
			}
		})
	}
}
