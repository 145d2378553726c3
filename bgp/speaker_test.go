package bgp_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"fleetlb/bgp"
	"fleetlb/bgp/bgptest"
)

func ptr[T any](v T) *T { return &v }

func TestRoutesArriveAsTold(t *testing.T) {
	t.Parallel()
	plain := bgp.Route{Prefix: vip4}
	full := bgp.Route{Prefix: vip4, Prepend: 2, MED: 5, Communities: []string{"65001:80", "no-export"}, LargeCommunities: []string{"65001:1:2"}}
	tests := []struct {
		name     string
		route    bgp.Route
		neighbor func(*bgp.Neighbor)
		want     bgptest.Route
	}{
		{"to a neighbour of our own asn the path is empty, and the preference goes down", bgp.Route{Prefix: vip4, Prepend: 3, Communities: []string{"65001:80"}},
			func(n *bgp.Neighbor) { n.ASN = ourASN },
			bgptest.Route{LocalPref: ptr[uint32](97), Communities: []string{"65001:80"}}},
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
		{"an IPv6 prefix over IPv6", bgp.Route{Prefix: vip6, MED: 1}, func(*bgp.Neighbor) {},
			bgptest.Route{Path: []uint32{ourASN}, MED: ptr[uint32](1)}},
		{"an IPv4 prefix over IPv6, with its next hop", plain, func(n *bgp.Neighbor) { n.NextHop4 = netip.MustParseAddr("192.0.2.2") },
			bgptest.Route{Path: []uint32{ourASN}, NextHop: netip.MustParseAddr("192.0.2.2")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPair()
			if strings.Contains(tt.name, "over IPv6") {
				p = newPair6()
			}
			n := p.neighbor()
			tt.neighbor(&n)
			peer := p.start(t, bgptest.Neighbor{}, n.ASN)
			s := start(t, config(n))
			announce(t, s, tt.route)

			ctx := within(t, 30*time.Second)
			got, err := peer.WaitRoute(ctx, tt.route.Prefix, 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Flush(ctx); err != nil {
				t.Errorf("flush: %v; neighbor %+v", err, s.Neighbors()[0])
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

// A family without a next hop is not announced, and not waited for.
func TestOtherFamilyStaysHome(t *testing.T) {
	t.Parallel()
	p := newPair()
	peer := p.start(t, bgptest.Neighbor{})
	s := start(t, config(p.neighbor()))
	announce(t, s, bgp.Route{Prefix: vip6}, bgp.Route{Prefix: vip4})
	ctx := within(t, 30*time.Second)
	if _, err := peer.WaitRoute(ctx, vip4, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); err != nil {
		t.Error(err)
	}
	if got := peer.State().Routes; len(got) != 1 {
		t.Errorf("the router knows %v", got)
	}
}

func TestWithdrawal(t *testing.T) {
	t.Parallel()
	p := newPair()
	peer := p.start(t, bgptest.Neighbor{})
	s := start(t, config(p.neighbor()))
	ctx := within(t, 30*time.Second)

	announce(t, s, bgp.Route{Prefix: vip4}, bgp.Route{Prefix: vip4b})
	for _, prefix := range []netip.Prefix{vip4, vip4b} {
		if _, err := peer.WaitRoute(ctx, prefix, 1); err != nil {
			t.Fatal(err)
		}
	}
	announce(t, s, bgp.Route{Prefix: vip4b})
	if _, err := peer.WaitRoute(ctx, vip4, 0); err != nil {
		t.Fatal(err)
	}
	if got := peer.State().Routes; len(got) != 1 || got[0].Prefix != vip4b {
		t.Errorf("after withdrawing one of two the router knows %v", got)
	}
	announce(t, s, bgp.Route{Prefix: vip4b, MED: 7})
	err := peer.Wait(ctx, "the new med", func(st *bgptest.State) bool {
		return len(st.Routes) == 1 && st.Routes[0].MED != nil && *st.Routes[0].MED == 7
	})
	if err != nil {
		t.Error(err)
	}
	announce(t, s)
	if _, err := peer.WaitRoute(ctx, vip4b, 0); err != nil {
		t.Error(err)
	}
	if n := peer.State().Session(p.director); n.Count != 1 || !n.Up {
		t.Errorf("the session went down meanwhile: %+v", n)
	}
}

// Flush is what stands between the last withdrawal and the last packet.
func TestFlush(t *testing.T) {
	t.Parallel()
	p := newPair()
	peer := p.start(t, bgptest.Neighbor{})
	s := start(t, config(p.neighbor()))
	ctx := within(t, 30*time.Second)

	if err := s.Flush(ctx); err != nil {
		t.Fatalf("flush of nothing: %v", err)
	}
	until(t, s, "established", func() bool { return established(s, p.router) })
	var routes []bgp.Route
	for i := range 200 {
		routes = append(routes, bgp.Route{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32)})
	}
	announce(t, s, routes...)
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if n := s.Neighbors()[0]; n.Announced != 200 {
		t.Errorf("flushed with %d of 200 prefixes announced", n.Announced)
	}
	announce(t, s)
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if n := s.Neighbors()[0]; n.Announced != 0 {
		t.Errorf("flushed with %d prefixes still announced", n.Announced)
	}
	// What was written arrives even if the child is killed now, and before the
	// connection is seen to close.
	kill(t, s.Process().PID)
	err := peer.Wait(ctx, "an empty table or the end of the session", func(st *bgptest.State) bool {
		return len(st.Routes) == 0 || !st.Session(p.director).Up
	})
	if err != nil {
		t.Fatal(err)
	}
	if st := peer.State(); !st.Session(p.director).Up && len(st.Routes) > 0 {
		t.Errorf("the session ended with %d routes in it", len(st.Routes))
	}
}

func TestFlushDoesNotWaitForTheDead(t *testing.T) {
	t.Parallel()
	p := newPair() // nobody listens
	s := start(t, config(p.neighbor()))
	announce(t, s, bgp.Route{Prefix: vip4})
	if err := s.Flush(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	until(t, s, "a reason why not", func() bool { return s.Neighbors()[0].LastError != "" })
	if n := s.Neighbors()[0]; n.State != bgp.Connect || n.LastError != "connect: connection refused" {
		t.Errorf("state %s, last error %q", n.State, n.LastError)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	p := newPair()
	peer := p.start(t, bgptest.Neighbor{})
	s := start(t, config(p.neighbor()))
	announce(t, s, bgp.Route{Prefix: vip4})
	ctx := within(t, 60*time.Second)

	until(t, s, "one prefix announced", func() bool { return s.Neighbors()[0].Announced == 1 })
	n := s.Neighbors()[0]
	if n.State != bgp.Established || n.ASN != theirASN || n.Address != p.router {
		t.Errorf("neighbor %+v", n)
	}
	if up := n.Uptime(time.Now()); up <= 0 || up > time.Minute {
		t.Errorf("uptime %v", up)
	}
	<-time.After(time.Until(n.Since.Add(4 * time.Second))) // a steady session comes back sooner
	from := time.Now()
	if err := peer.Reset(ctx, p.director); err != nil {
		t.Fatal(err)
	}
	until(t, s, "down", func() bool { return !established(s, p.router) })
	if n := s.Neighbors()[0]; n.LastError != "received cease: administrative reset" || n.Announced != 0 {
		t.Errorf("after a reset by the router: last error %q, %d announced", n.LastError, n.Announced)
	}
	until(t, s, "up again", func() bool { return established(s, p.router) })
	if took := time.Since(from); took > 4500*time.Millisecond {
		t.Errorf("up again %v after a reset", took)
	}
	if _, err := peer.WaitRoute(ctx, vip4, 1); err != nil {
		t.Error(err)
	}
	if err := peer.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	until(t, s, "down again", func() bool { return !established(s, p.router) })
	if err := peer.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.WaitRoute(ctx, vip4, 1); err != nil {
		t.Error(err)
	}
}

func TestSessionOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		router bgptest.Neighbor
		ours   func(*bgp.Neighbor)
		up     bool
	}{
		{"the right password", bgptest.Neighbor{Password: "s3cret"}, func(n *bgp.Neighbor) { n.Password = "s3cret" }, true},
		{"a wrong password", bgptest.Neighbor{Password: "s3cret"}, func(n *bgp.Neighbor) { n.Password = "secret" }, false},
		{"no password where one is wanted", bgptest.Neighbor{Password: "s3cret"}, func(*bgp.Neighbor) {}, false},
		{"a password of 80 bytes", bgptest.Neighbor{Password: long[:80]}, func(n *bgp.Neighbor) { n.Password = long[:80] }, true},
		{"gtsm on both sides", bgptest.Neighbor{MinTTL: 255}, func(n *bgp.Neighbor) { n.TTLSecurity = 1 }, true},
		{"gtsm on the router's side only", bgptest.Neighbor{MinTTL: 255}, func(*bgp.Neighbor) {}, false},
		{"a multihop ttl reaches over hops", bgptest.Neighbor{Multihop: true}, func(n *bgp.Neighbor) { n.Multihop = 64 }, true},
		{"another hold time", bgptest.Neighbor{}, func(n *bgp.Neighbor) { n.HoldTime = 3 * time.Second }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPair()
			peer := p.start(t, tt.router)
			n := p.neighbor()
			tt.ours(&n)
			s := start(t, config(n))
			announce(t, s, bgp.Route{Prefix: vip4})
			if !tt.up {
				until(t, s, "a reason why not", func() bool { return s.Neighbors()[0].LastError != "" })
				if st := s.Neighbors()[0]; st.State == bgp.Established || st.LastError == "" || len(peer.State().Routes) > 0 {
					t.Errorf("neighbor %+v, router knows %v", st, peer.State().Routes)
				}
				if tt.router.MinTTL > 0 {
					return // the router half accepted the connection, and waits for the rest of it
				}
				n.Password = tt.router.Password // once it is told what is right
				if err := s.Configure(config(n)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := peer.WaitRoute(within(t, 30*time.Second), vip4, 1); err != nil {
				t.Errorf("%v; neighbor %+v", err, s.Neighbors()[0])
			}
		})
	}
}

const long = "a password that is far longer than anybody would type but which a machine might well have made"
