package bgp_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"net/netip"

	"fleetlb/bgp"
	"fleetlb/bgp/bgptest"
)

func ptr[T any](v T) *T { return &v }

func TestRoutesArriveAsTold(t *testing.T) {
	plain := bgp.Route{Prefix: vip4}
	full := bgp.Route{Prefix: vip4, Prepend: 2, MED: 5, Communities: []string{"65001:80", "no-export"}, LargeCommunities: []string{"65001:1:2"}}
	tests := []struct {
		name     string
		route    bgp.Route
		neighbor func(*bgp.Neighbor)
		want     bgptest.Route
	}{
		{"a plain route has the session's own next hop and our asn once", plain, func(*bgp.Neighbor) {},
			bgptest.Route{Path: []uint32{ourASN}}},
		{"a route's own attributes", full, func(*bgp.Neighbor) {},
			bgptest.Route{Path: []uint32{ourASN, ourASN, ourASN}, MED: ptr[uint32](5), Communities: []string{"65001:80", "65535:65281"}, LargeCommunities: []string{"65001:1:2"}}},
		{"a neighbour's attributes", plain, func(n *bgp.Neighbor) {
			n.Prepend, n.MED, n.Communities, n.LargeCommunities = 1, ptr[uint32](10), []string{"65000:1", "graceful-shutdown"}, []string{"65000:7:8"}
		}, bgptest.Route{Path: []uint32{ourASN, ourASN}, MED: ptr[uint32](10), Communities: []string{"65000:1", "65535:0"}, LargeCommunities: []string{"65000:7:8"}}},
		{"both together", full, func(n *bgp.Neighbor) {
			n.Prepend, n.MED, n.Communities, n.LargeCommunities = 1, ptr[uint32](10), []string{"65000:1"}, []string{"65000:7:8"}
		}, bgptest.Route{Path: []uint32{ourASN, ourASN, ourASN, ourASN}, MED: ptr[uint32](15), Communities: []string{"65001:80", "65535:65281", "65000:1"}, LargeCommunities: []string{"65001:1:2", "65000:7:8"}}},
		{"med 0 is a med", plain, func(n *bgp.Neighbor) { n.MED = ptr[uint32](0) },
			bgptest.Route{Path: []uint32{ourASN}, MED: ptr[uint32](0)}},
		{"a next hop of its own", plain, func(n *bgp.Neighbor) { n.NextHop4 = netip.MustParseAddr("192.0.2.99") },
			bgptest.Route{Path: []uint32{ourASN}, NextHop: netip.MustParseAddr("192.0.2.99")}},
		{"an IPv6 prefix over IPv4, with its next hop", bgp.Route{Prefix: vip6, Communities: []string{"65001:6"}},
			func(n *bgp.Neighbor) { n.NextHop6 = netip.MustParseAddr("2001:db8:1::2") },
			bgptest.Route{Path: []uint32{ourASN}, NextHop: netip.MustParseAddr("2001:db8:1::2"), Communities: []string{"65001:6"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPair()
			peer := p.start(t, bgptest.Neighbor{})
			n := p.neighbor()
			tt.neighbor(&n)
			s := start(t, config(n))
			announce(t, s, tt.route)

			got, err := peer.WaitRoute(within(t, 30*time.Second), tt.route.Prefix, 1)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Prefix, tt.want.From = tt.route.Prefix, p.director
			if !tt.want.NextHop.IsValid() {
				tt.want.NextHop = p.director
			}
			if diff := cmp.Diff([]bgptest.Route{tt.want}, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
				t.Errorf("the router learned (-want +got)\n%s", diff)
			}
		})
	}
}
