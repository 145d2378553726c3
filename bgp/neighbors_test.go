package bgp_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"fleetlb/bgp"
	"fleetlb/bgp/bgptest"
)

// Of two neighbours one is changed in every way there is; the other's session
// must not notice.
func TestOnlyTheChangedNeighborIsTouched(t *testing.T) {
	t.Parallel()
	still, moved := newPair(), newPair()
	quiet := still.start(t, bgptest.Neighbor{})
	peer := moved.start(t, bgptest.Neighbor{})
	s := start(t, config(still.neighbor(), moved.neighbor()))
	announce(t, s, bgp.Route{Prefix: vip4})
	ctx := within(t, 90*time.Second)

	for _, p := range []*bgptest.Peer{quiet, peer} {
		if _, err := p.WaitRoute(ctx, vip4, 1); err != nil {
			t.Fatal(err)
		}
	}
	until(t, s, "both established", func() bool { return established(s, still.router) && established(s, moved.router) })
	since := func() time.Time {
		i := slices.IndexFunc(s.Neighbors(), func(n bgp.NeighborStatus) bool { return n.Address == still.router })
		return s.Neighbors()[i].Since
	}
	before := since()

	configure := func(c bgp.Config) {
		t.Helper()
		if err := s.Configure(c); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	n := moved.neighbor()

	// What a neighbour is told changes within the session.
	n.MED, n.Prepend, n.Communities = ptr[uint32](20), 2, []string{"65000:7"}
	configure(config(still.neighbor(), n))
	err := peer.Wait(ctx, "the new attributes", func(st *bgptest.State) bool {
		return len(st.Routes) == 1 && st.Routes[0].MED != nil && *st.Routes[0].MED == 20 &&
			len(st.Routes[0].Path) == 3 && slices.Equal(st.Routes[0].Communities, []string{"65000:7"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if c := peer.State().Session(moved.director).Count; c != 1 {
		t.Errorf("%d sessions after a change of attributes", c)
	}

	// How it is spoken to takes a new session.
	n.HoldTime = 30 * time.Second
	configure(config(still.neighbor(), n))
	err = peer.Wait(ctx, "a second session with the route", func(st *bgptest.State) bool {
		return st.Session(moved.director).Count == 2 && len(st.Routes) == 1 && len(st.Routes[0].Path) == 3
	})
	if err != nil {
		t.Fatal(err)
	}

	// And it can go and come.
	configure(config(still.neighbor()))
	if _, err := peer.WaitRoute(ctx, vip4, 0); err != nil {
		t.Fatal(err)
	}
	if got := s.Neighbors(); len(got) != 1 || got[0].Address != still.router {
		t.Errorf("neighbors after the removal: %+v", got)
	}
	configure(config(still.neighbor(), moved.neighbor()))
	if r, err := peer.WaitRoute(ctx, vip4, 1); err != nil || len(r[0].Path) != 1 {
		t.Fatalf("routes %v, %v", r, err)
	}

	if after := since(); !after.Equal(before) {
		t.Errorf("the other session is of %v, was of %v", after, before)
	}
	if c := quiet.State().Session(still.director).Count; c != 1 {
		t.Errorf("the other session came up %d times", c)
	}
	if r := s.Process().Restarts; r != 0 {
		t.Errorf("%d restarts", r)
	}
}

// A session that has to end is replaced at once, and no other notices.
func TestReset(t *testing.T) {
	t.Parallel()
	still, ended := newPair(), newPair()
	quiet := still.start(t, bgptest.Neighbor{})
	peer := ended.start(t, bgptest.Neighbor{})
	s := start(t, config(still.neighbor(), ended.neighbor()))
	announce(t, s, bgp.Route{Prefix: vip4})
	ctx := within(t, 90*time.Second)
	for _, p := range []*bgptest.Peer{quiet, peer} {
		if _, err := p.WaitRoute(ctx, vip4, 1); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		s.Reset(ended.router, "it is silent")
		s.Reset(netip.MustParseAddr("192.0.2.77"), "it is nobody")
		err := peer.Wait(ctx, "one more session, with the route", func(st *bgptest.State) bool {
			return st.Session(ended.director).Count == i+2 && len(st.Routes) == 1
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	until(t, s, "established again, and why it was not", func() bool {
		i := slices.IndexFunc(s.Neighbors(), func(n bgp.NeighborStatus) bool { return n.Address == ended.router })
		n := s.Neighbors()[i]
		return n.State == bgp.Established && n.LastError == "it is silent"
	})
	if c := quiet.State().Session(still.director).Count; c != 1 {
		t.Errorf("the other session came up %d times", c)
	}
	if r := s.Process().Restarts; r != 0 {
		t.Errorf("%d restarts", r)
	}
}

// A speaker that listens, and whose router connects. The key on a listening
// socket outlives the neighbour that it was for unless it is removed.
func TestPassive(t *testing.T) {
	t.Parallel()
	p := newPair()
	n := p.neighbor()
	n.Passive, n.Password = true, "s3cret"
	c := config(n)
	c.ListenPort = 1791
	s := start(t, c)
	announce(t, s, bgp.Route{Prefix: vip4})
	if err := s.Flush(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	if n := s.Neighbors()[0]; n.State != bgp.Active && n.State != bgp.Idle {
		t.Errorf("before the router has connected: %s", n.State)
	}
	connect := func(password string) {
		t.Helper()
		peer, err := bgptest.Start(bgptest.Config{
			ASN: theirASN, RouterID: p.router, Listen: []netip.Addr{p.router}, Port: p.port,
			Neighbors: []bgptest.Neighbor{{Prefix: netip.PrefixFrom(p.director, 32), ASN: ourASN, Password: password, Connect: 1791}},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		if _, err := peer.WaitRoute(within(t, 30*time.Second), vip4, 1); err != nil {
			t.Errorf("with password %q: %v; neighbor %+v", password, err, s.Neighbors()[0])
		}
	}
	connect("s3cret")
	for _, password := range []string{"another", ""} {
		c.Neighbors[0].Password = password
		if err := s.Configure(c); err != nil {
			t.Fatal(err)
		}
		connect(password)
	}
}

// A new identity takes new sessions with everybody, but not a new child.
func TestNewIdentity(t *testing.T) {
	t.Parallel()
	p := newPair()
	peer := p.start(t, bgptest.Neighbor{})
	s := start(t, config(p.neighbor()))
	announce(t, s, bgp.Route{Prefix: vip4})
	ctx := within(t, 60*time.Second)
	if _, err := peer.WaitRoute(ctx, vip4, 1); err != nil {
		t.Fatal(err)
	}
	c := config(p.neighbor())
	c.RouterID = netip.MustParseAddr("192.0.2.2")
	if err := s.Configure(c); err != nil {
		t.Fatal(err)
	}
	err := peer.Wait(ctx, "a second session with the route", func(st *bgptest.State) bool {
		return st.Session(p.director).Count == 2 && len(st.Routes) == 1
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Process().Restarts; r != 0 {
		t.Errorf("%d restarts", r)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	p := newPair()
	n := p.neighbor()
	n.Passive = true
	c := config(n)
	c.ListenPort = 1792
	first := start(t, c)
	if err := first.Flush(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	second := start(t, c)
	until(t, second, "the problem", func() bool { return second.Process().Problem != "" })
	if got, want := second.Process().Problem, "listen on port 1792: listen tcp4 0.0.0.0:1792: bind: address already in use"; got != want {
		t.Errorf("problem %q, want %q", got, want)
	}
	if err := first.Close(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := second.Flush(within(t, 30*time.Second)); err != nil {
		t.Fatalf("once the port is free: %v", err)
	}
	if p := second.Process(); p.Problem != "" || p.Restarts != 0 {
		t.Errorf("process %+v", p)
	}
}
