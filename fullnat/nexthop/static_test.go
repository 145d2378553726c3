package nexthop

import (
	"net/netip"
	"testing"
)

func TestNetwork(t *testing.T) {
	n := Network{
		Ports: []Port{
			{Interface{Name: "eth0", MAC: [6]byte{2, 0, 0, 0, 0, 1}, MTU: 1500}, true},
			{Interface{Name: "eth1", MAC: [6]byte{2, 0, 0, 0, 0, 2}, MTU: 9000}, true},
		},
		Addresses: [][]netip.Prefix{{netip.MustParsePrefix("192.0.2.1/24")}, {netip.MustParsePrefix("10.0.0.1/24")}},
		Routes: []Route{
			{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.254")},
			{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Gateway: netip.MustParseAddr("10.0.0.254"), Port: 1, MTU: 1400},
			{Prefix: netip.MustParsePrefix("172.16.0.0/12"), Port: -1},
		},
		Neighbors: []map[netip.Addr][6]byte{
			{netip.MustParseAddr("192.0.2.254"): {2, 1}},
			{netip.MustParseAddr("10.0.0.11"): {2, 2}},
		},
		Wanted: []netip.Addr{netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("10.0.0.12")},
	}
	table := n.Table(7)
	for dst, want := range map[string]string{
		"8.8.8.8":    "eth0 mtu 1500 192.0.2.254 resolved",
		"10.0.0.11":  "eth1 mtu 9000 10.0.0.11 resolved",
		"10.0.0.12":  "eth1 mtu 9000 10.0.0.12",
		"10.0.0.13":  "eth1 mtu 9000 unknown",
		"10.1.0.1":   "eth1 mtu 1400 10.0.0.254",
		"10.0.0.1":   "none",
		"172.16.9.9": "none",
	} {
		if got := say(table, dst); got != want {
			t.Errorf("%s: got %q, want %q", dst, got, want)
		}
	}
	if !table.OnLink(0, addr("192.0.2.80")) || !table.HostAddress(addr("10.0.0.1")) || table.Generation() != 7 {
		t.Error("connected prefixes, host addresses or the generation are missing")
	}
	if ports := table.Ports(); len(ports) != 2 || ports[1].Name != "eth1" {
		t.Errorf("ports: %+v", ports)
	}
}
