package packet_test

import (
	"testing"

	"fleetlb/fullnat/packet/packettest"
)

func TestRaiseMTU(t *testing.T) {
	const (
		quote4 = " ( udp 10.9.0.1:5120 > 10.0.0.11:80 ttl 63 len 100 cut 8 )"
		quote6 = " ( udp [fd00::9]:5120 > [fd00::11]:80 ttl 63 len 100 )"
	)
	for _, tt := range []struct{ name, in, out string }{
		{"an honest MTU stays", "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 1400" + quote4, "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 1400" + quote4},
		{"dust is refused", "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 68" + quote4, "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 552" + quote4},
		{"the floor stays", "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 552" + quote4, "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 552" + quote4},
		{"an old router tells none", "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64" + quote4, "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64" + quote4},
		{"another error has none", "icmp 10.0.0.1 > 10.9.0.1 no-port ttl 64 mtu 68" + quote4, "icmp 10.0.0.1 > 10.9.0.1 no-port ttl 64 mtu 68" + quote4},
		{"dust over IPv6", "icmp fd00::1 > fd00::9 too-big ttl 64 mtu 68" + quote6, "icmp fd00::1 > fd00::9 too-big ttl 64 mtu 1280" + quote6},
		{"none over IPv6 is dust, too", "icmp fd00::1 > fd00::9 too-big ttl 64" + quote6, "icmp fd00::1 > fd00::9 too-big ttl 64 mtu 1280" + quote6},
		{"an MTU beyond 65535 over IPv6", "icmp fd00::1 > fd00::9 too-big ttl 64 mtu 65540" + quote6, "icmp fd00::1 > fd00::9 too-big ttl 64 mtu 65540" + quote6},
		{"another error over IPv6", "icmp fd00::1 > fd00::9 no-port ttl 64 mtu 68" + quote6, "icmp fd00::1 > fd00::9 no-port ttl 64 mtu 68" + quote6},
		{"what was wrong stays wrong", "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 68 bad-sum" + quote4, "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 552 bad-sum" + quote4},
		{"a partial checksum covers no MTU", "icmp fd00::1 > fd00::9 too-big ttl 64 mtu 68 partial" + quote6, "icmp fd00::1 > fd00::9 too-big ttl 64 mtu 1280 partial" + quote6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := view(t, tt.in)
			p.RaiseMTU()
			if got := packettest.Print(p.Frame); got != tt.out {
				t.Errorf("\n got %s\nwant %s", got, tt.out)
			}
		})
	}
}
