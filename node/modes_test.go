package node

import (
	"net/netip"
	"strings"
	"testing"

	"fleetlb/fullnat"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
	"fleetlb/node/config"
)

// TestServerBehindARouter: by direct routing it gets nothing new, by any other
// mode it does not matter.
func TestServerBehindARouter(t *testing.T) {
	behind := netip.MustParseAddr("10.3.0.12")
	for mode, want := range map[string]int{"dr": 1, "tun": 2, "fullnat": 2} {
		services := []config.Service{{
			Name: "web", VIP: netip.MustParseAddrPort("203.0.113.10:80"), Protocol: "tcp", Mode: mode, Scheduler: "rr", Quorum: 1,
			Servers: []config.Server{
				{Address: netip.MustParseAddrPort("10.3.0.11:80"), Weight: 1, Enabled: true},
				{Address: netip.MustParseAddrPort("10.3.0.12:80"), Weight: 1, Enabled: true},
			},
		}}
		in := sound(services, "11 up, 12 up")
		in.routed = func(a netip.Addr) bool { return a == behind }
		p := newPlan(in)
		if p.services[0].up != want {
			t.Errorf("mode %s: %d servers up, want %d", mode, p.services[0].up, want)
		}
		if drains := p.specs[0].Servers[1].Drain; drains != (mode == "dr") {
			t.Errorf("mode %s: the server behind the router drains: %v", mode, drains)
		}
	}
}

func TestWaysTo(t *testing.T) {
	table, err := service.Build([]service.Spec{{
		Name: "web", VIP: netip.MustParseAddrPort("203.0.113.10:80"), Protocol: packet.TCP, Mode: service.NAT, Scheduler: "rr",
		Servers: []service.ServerSpec{
			{Address: netip.MustParseAddrPort("10.3.0.11:8080"), Weight: 1, Up: true},
			{Address: netip.MustParseAddrPort("10.3.0.12:8080"), Weight: 1, Up: true},
			{Address: netip.MustParseAddrPort("10.3.0.13:80"), Mode: service.DR, Weight: 1, Up: true},
			{Address: netip.MustParseAddrPort("10.4.0.14:80"), Mode: service.DR, Weight: 1, Up: true},
			{Address: netip.MustParseAddrPort("10.4.0.15:80"), Mode: service.TUN, Weight: 1, Up: true},
		},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	network := nexthop.Network{
		Ports:     []nexthop.Port{{Interface: nexthop.Interface{Name: "eth0", MTU: 1500}, Up: true}},
		Addresses: [][]netip.Prefix{{netip.MustParsePrefix("10.3.0.201/24")}},
		Routes:    []nexthop.Route{{Prefix: netip.MustParsePrefix("10.4.0.0/24"), Gateway: netip.MustParseAddr("10.3.0.1")}},
		Neighbors: []map[netip.Addr][6]byte{{}},
	}
	s := table.Services[0]
	c := &fullnat.Counters{Servers: map[fullnat.ServerID]fullnat.Traffic{
		fullnat.IDOf(s.Servers[0]): {PacketsIn: 100},
		fullnat.IDOf(s.Servers[1]): {PacketsIn: 100, PacketsOut: 1},
	}}
	var got []string
	for _, f := range waysTo(s, network.Table(1), c) {
		got = append(got, f.State+" "+f.Check+": "+f.Found)
	}
	want := `fail mode dr of web: 10.4.0.14:80 is behind router 10.3.0.1
warn mode nat of web: no answer has come by here from 10.3.0.11:8080
ok mode tun of web: its servers need the VIP, a tunnel device that takes packets out, and rp_filter=0 on that; that cannot be seen from here`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}
