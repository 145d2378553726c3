package lab

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// announcer is a BIRD that stands in for a director: it connects to the router
// and announces one VIP of each family and the local-address blocks.
func announcer(n int) string {
	return fmt.Sprintf(`
router id 10.1.0.%[1]d;
protocol device { }
protocol static { ipv4; route 203.0.113.10/32 blackhole; route 10.2.%[1]d.0/28 blackhole; route 192.0.2.0/24 blackhole; }
protocol static { ipv6; route 2001:db8:f::10/128 blackhole; }
protocol bgp {
	local 10.1.0.%[1]d as 65001; neighbor 10.1.0.1 as 65000;
	connect retry time 1; connect delay time 1; error wait time 1,1;
	ipv4 { import none; export all; next hop self; };
}
protocol bgp {
	local 2001:db8:1::%[1]d as 65001; neighbor 2001:db8:1::1 as 65000;
	connect retry time 1; connect delay time 1; error wait time 1,1;
	ipv6 { import none; export all; next hop self; };
}
`, n)
}

func TestRouters(t *testing.T) {
	for _, kind := range RouterKinds {
		t.Run(kind, func(t *testing.T) {
			l := open(t, Layout{
				{Name: "router", Router: true, Plugs: []Plug{{LAN: "front", Addrs: []string{"10.1.0.1/24", "2001:db8:1::1/64"}}}},
				{Name: "lb1", Plugs: []Plug{{LAN: "front", Addrs: []string{"10.1.0.11/24", "2001:db8:1::11/64"}}}},
				{Name: "lb2", Plugs: []Plug{{LAN: "front", Addrs: []string{"10.1.0.12/24", "2001:db8:1::12/64"}}}},
			})
			host := l.Host("router")
			router, err := host.NewRouter(kind, "", false)
			if err != nil {
				t.Fatal(err)
			}
			if err := router.Start(); err != nil {
				t.Fatal(err)
			}
			var speakers []*bird
			for i, name := range []string{"lb1", "lb2"} {
				b := &bird{host: l.Host(name), config: announcer(11 + i)}
				if err := b.Start(); err != nil {
					t.Fatal(err)
				}
				speakers = append(speakers, b)
			}

			learned := func(prefix string, want ...string) {
				t.Helper()
				if err := host.AwaitLearned(15*time.Second, prefix, want...); err != nil {
					t.Error(err)
				}
			}
			learned("203.0.113.10/32", "lb1", "lb2") // ECMP
			learned("2001:db8:f::10/128", "lb1", "lb2")
			learned("10.2.11.0/28", "lb1")
			if kind == "bird" || kind == "frr" { // the embedded ones have no filter
				learned("192.0.2.0/24")
			}

			neighbors, err := router.Neighbors()
			if err != nil {
				t.Fatal(err)
			}
			established := 0
			for _, n := range neighbors {
				if n.Established && n.Prefixes > 0 && n.Address.IsValid() {
					established++
				}
			}
			if established != 4 {
				t.Errorf("%d sessions established, want 4: %+v", established, neighbors)
			}

			speakers[1].Kill() // its connections close with it
			learned("203.0.113.10/32", "lb1")
			learned("2001:db8:f::10/128", "lb1")

			if err := router.Reset(netip.Addr{}); err != nil {
				t.Fatal(err)
			}
			learned("203.0.113.10/32")
			learned("203.0.113.10/32", "lb1")
			router.Kill()
			if err := router.Start(); err != nil {
				t.Fatal(err)
			}
			learned("203.0.113.10/32", "lb1")
		})
	}
}
