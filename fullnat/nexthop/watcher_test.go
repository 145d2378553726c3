package nexthop

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"fleetlb/fullnat/internal/nettest"
	"fleetlb/fullnat/packet"
)

// A lan is a director with two interfaces and a neighbour behind each.
//
//	director eth0 10.0.0.1/24, 2001:db8::1/64 ── eth0 left  .2, ::2
//	director eth1 10.1.0.1/24                 ── eth0 right .2
type lan struct {
	t                     *testing.T
	director, left, right *nettest.Namespace
	watcher               *Watcher
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	l := &lan{t: t, director: nettest.New(t), left: nettest.New(t), right: nettest.New(t)}
	nettest.Veth(l.director, "eth0", l.left, "eth0")
	nettest.Veth(l.director, "eth1", l.right, "eth0")
	l.director.Address("eth0", "10.0.0.1/24", "2001:db8::1/64")
	l.director.Address("eth1", "10.1.0.1/24")
	l.left.Address("eth0", "10.0.0.2/24", "10.0.0.3/24", "2001:db8::2/64")
	l.right.Address("eth0", "10.1.0.2/24")
	return l
}

func (l *lan) watch() {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l.director.Do(func() {
		var err error
		if l.watcher, err = Watch(ctx, []Interface{{Name: "eth0"}, {Name: "eth1"}}); err != nil {
			l.t.Error(err)
		}
	})
	l.t.Cleanup(func() { cancel(); l.watcher.Wait() })
}

// expect waits until Lookup and Hop say of dst what is wanted: "none", or port,
// gateway and the namespace whose MAC address is known.
func (l *lan) expect(what, dst, want string) {
	l.t.Helper()
	l.expectWithin(10*time.Second, what, dst, want)
}

func (l *lan) expectWithin(limit time.Duration, what, dst, want string) {
	l.t.Helper()
	start := time.Now()
	got := l.say(dst)
	for got != want && time.Since(start) < limit {
		select {
		case <-l.watcher.Changes():
		case <-time.After(100 * time.Millisecond):
		}
		got = l.say(dst)
	}
	if got != want {
		l.t.Fatalf("%s: %s: %q, want %q", what, dst, got, want)
	}
	l.t.Logf("%s: after %v", what, time.Since(start).Round(100*time.Microsecond))
}

func (l *lan) say(dst string) string {
	table := l.watcher.Table()
	h := table.Hop(table.Lookup(addr(dst)))
	if h == nil {
		return "none"
	}
	who := "nobody"
	for name, n := range map[string]*nettest.Namespace{"left": l.left, "right": l.right} {
		link, err := n.LinkByName("eth0")
		if err == nil && h.Resolved && bytes.Equal(link.Attrs().HardwareAddr, h.Dst[:]) {
			who = name
		}
	}
	if h.Gateway == (packet.Addr{}) {
		return fmt.Sprintf("%d unknown", h.Port)
	}
	return fmt.Sprintf("%d %v %s", h.Port, h.Gateway, who)
}

func (l *lan) route(dst string, via ...string) *netlink.Route {
	l.t.Helper()
	r := &netlink.Route{}
	if dst != "default" {
		_, r.Dst, _ = net.ParseCIDR(dst)
	}
	if len(via) == 1 {
		r.Gw = net.ParseIP(via[0])
		return r
	}
	for _, gw := range via {
		r.MultiPath = append(r.MultiPath, &netlink.NexthopInfo{Gw: net.ParseIP(gw)})
	}
	return r
}

func (l *lan) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func TestGateway(t *testing.T) {
	l := newLAN(t)
	l.watch()
	if got := l.say("8.8.8.8"); got != "none" {
		t.Errorf("without a route: %q", got)
	}
	l.must(l.director.RouteAdd(l.route("default", "10.0.0.2")))
	l.expect("a default route appears", "8.8.8.8", "0 10.0.0.2 left")
	l.must(l.director.RouteReplace(l.route("default", "10.1.0.2")))
	l.expect("it changes", "8.8.8.8", "1 10.1.0.2 right")
	l.must(l.director.RouteDel(l.route("default", "10.1.0.2")))
	l.expect("it goes", "8.8.8.8", "none")
}

// TestRoutes has the kernel make routes of each kind and reads them back.
func TestRoutes(t *testing.T) {
	l := newLAN(t)
	l.director.Address("eth1", "2001:db8:1::1/64")
	l.right.Address("eth0", "2001:db8:1::2/64")
	eth1 := l.director.Link("eth1").Attrs().Index
	blackhole, onlink, via := l.route("203.0.113.0/24", ""), l.route("172.16.0.0/24", "10.77.0.1"), l.route("100.64.0.0/10", "")
	blackhole.Type = unix.RTN_BLACKHOLE
	onlink.Flags, onlink.LinkIndex = int(netlink.FLAG_ONLINK), eth1
	via.Via, via.LinkIndex = &netlink.Via{AddrFamily: netlink.FAMILY_V6, Addr: net.ParseIP("2001:db8:1::2")}, eth1
	narrow := l.route("198.18.0.0/15", "10.1.0.2")
	narrow.MTU = 1400
	for _, r := range []*netlink.Route{
		l.route("default", "10.0.0.2"), l.route("2000::/3", "2001:db8::2"), blackhole, onlink, via, narrow,
		l.route("2001:db8:7::/48", "2001:db8::2", "2001:db8:1::2"),
	} {
		l.must(l.director.RouteAdd(r))
	}
	l.watch()
	l.expect("IPv6 gateway", "2001:db8:5::1", "0 2001:db8::2 left")
	l.expect("blackhole", "203.0.113.1", "none")
	l.expect("IPv4 by an IPv6 gateway", "100.64.0.1", "1 2001:db8:1::2 right")
	l.expect("a gateway said to be on-link", "172.16.0.1", "1 10.77.0.1 nobody")
	l.expect("broadcast", "10.0.0.255", "none")
	l.expect("IPv6 multicast", "ff02::1", "none")
	l.expect("the director itself", "10.1.0.1", "none")
	l.expectSoon("IPv6 equal cost", func() bool {
		n := map[string]int{}
		for i := range 200 {
			n[l.say(fmt.Sprintf("2001:db8:7::%x", i))]++
		}
		return n["0 2001:db8::2 left"] > 60 && n["1 2001:db8:1::2 right"] > 60
	})
	table := l.watcher.Table()
	if mtu := table.Hop(table.Lookup(addr("198.18.0.1"))).MTU; mtu != 1400 {
		t.Errorf("the MTU of a route with one of its own is %d, want 1400", mtu)
	}
	l.must(l.director.LinkSetMTU(l.director.Link("eth0"), 1300))
	l.expectSoon("the interface's MTU", func() bool {
		table := l.watcher.Table()
		return table.Hop(table.Lookup(addr("8.8.8.8"))).MTU == 1300 && table.Hop(table.Lookup(addr("10.0.0.77"))).MTU == 1300
	})
}

func TestWant(t *testing.T) {
	l := newLAN(t)
	l.watch()
	for _, dst := range []string{"10.0.0.2", "2001:db8::2"} {
		l.expect("before anyone asks", dst, "0 unknown")
		generation := l.watcher.Table().Generation()
		l.watcher.Want(addr(dst))
		start := time.Now()
		l.expect("asked for", dst, "0 "+dst+" left")
		if took := time.Since(start); took > 4*time.Second { // the kernel may have to ask three times
			t.Errorf("%s: resolved after %v", dst, took)
		}
		if l.watcher.Table().Generation() == generation {
			t.Errorf("%s: got a hop of its own, and the generation is still %d", dst, generation)
		}
	}
	l.watcher.Want(addr("10.0.0.99")) // nobody's
	l.expect("asked for in vain", "10.0.0.99", "0 10.0.0.99 nobody")
	l.watcher.Want(addr("8.8.8.8")) // no route
}

func TestReplacedPeer(t *testing.T) {
	l := newLAN(t)
	l.watch()
	l.watcher.Keep([]packet.Addr{addr("10.0.0.2"), addr("2001:db8::2")})
	l.expect("kept", "10.0.0.2", "0 10.0.0.2 left")
	l.expect("kept", "2001:db8::2", "0 2001:db8::2 left")
	generation := l.watcher.Table().Generation()
	id := l.watcher.Table().Lookup(addr("10.0.0.2"))

	l.must(l.left.LinkSetHardwareAddr(l.left.Link("eth0"), net.HardwareAddr{2, 0, 0, 0, 9, 9}))
	l.must(l.director.NeighSet(&netlink.Neigh{ // as a gratuitous ARP would
		LinkIndex: l.director.Link("eth0").Attrs().Index, IP: net.ParseIP("10.0.0.2"),
		HardwareAddr: l.left.MAC("eth0"), State: netlink.NUD_STALE,
	}))
	l.expectWithin(time.Second, "another MAC address", "10.0.0.2", "0 10.0.0.2 left")
	table := l.watcher.Table()
	if table.Generation() != generation || table.Lookup(addr("10.0.0.2")) != id {
		t.Errorf("another MAC address: generation %d and hop %d became %d and %d", generation, id, table.Generation(), table.Lookup(addr("10.0.0.2")))
	}
}

// TestGone takes a server away from behind a live link.
func TestGone(t *testing.T) {
	l := newLAN(t)
	l.director.Sysctl("net/ipv4/neigh/eth0/delay_first_probe_time", "1")
	l.director.Sysctl("net/ipv4/neigh/eth0/retrans_time_ms", "100")
	l.director.Sysctl("net/ipv4/neigh/eth0/base_reachable_time_ms", "1000")
	l.watch()
	l.watcher.Keep([]packet.Addr{addr("10.0.0.3")})
	l.expect("kept", "10.0.0.3", "0 10.0.0.3 left")
	a, _ := netlink.ParseAddr("10.0.0.3/24")
	l.must(l.left.AddrDel(l.left.Link("eth0"), a))
	l.expect("gone", "10.0.0.3", "0 10.0.0.3 nobody")
	l.left.Address("eth0", "10.0.0.3/24")
	l.expect("back", "10.0.0.3", "0 10.0.0.3 left")
}

func TestInterfaceDown(t *testing.T) {
	l := newLAN(t)
	cheap, dear := l.route("default", "10.0.0.2"), l.route("default", "10.1.0.2")
	cheap.Priority, dear.Priority = 10, 20
	l.must(l.director.RouteAdd(cheap))
	l.must(l.director.RouteAdd(dear))
	l.watch()
	l.watcher.Keep([]packet.Addr{addr("2001:db8::2")})
	l.expect("up", "8.8.8.8", "0 10.0.0.2 left")
	l.expect("up", "2001:db8::2", "0 2001:db8::2 left")

	l.left.Down("eth0")
	l.expect("no carrier", "8.8.8.8", "1 10.1.0.2 right")
	l.left.Up("eth0")
	l.expect("carrier", "8.8.8.8", "0 10.0.0.2 left")

	l.director.Down("eth0")
	l.expect("down", "8.8.8.8", "1 10.1.0.2 right")
	l.expect("down", "2001:db8::2", "none")
	l.director.Up("eth0")
	l.must(l.director.RouteAdd(cheap)) // the kernel has forgotten it
	l.expect("up again", "8.8.8.8", "0 10.0.0.2 left")

	l.must(l.director.LinkDel(l.director.Link("eth0")))
	l.expect("removed", "8.8.8.8", "1 10.1.0.2 right")
	nettest.Veth(l.director, "eth0", l.left, "eth0")
	l.director.Address("eth0", "10.0.0.1/24")
	l.left.Address("eth0", "10.0.0.2/24")
	l.must(l.director.RouteAdd(cheap))
	l.expect("made again", "8.8.8.8", "0 10.0.0.2 left")
	if got, want := l.watcher.Table().Port(0).Index, l.director.Link("eth0").Attrs().Index; got != want {
		t.Errorf("port 0 has index %d, want %d", got, want)
	}
}

func TestMultipath(t *testing.T) {
	l := newLAN(t)
	for key, value := range map[string]string{"delay_first_probe_time": "1", "retrans_time_ms": "100", "base_reachable_time_ms": "1000"} {
		l.director.Sysctl("net/ipv4/neigh/eth1/"+key, value)
	}
	l.must(l.director.RouteAdd(l.route("198.51.100.0/24", "10.0.0.2", "10.1.0.2")))
	l.watch()
	both := func() map[string]int {
		n := map[string]int{}
		for i := range 250 {
			n[l.say(fmt.Sprintf("198.51.100.%d", i))]++
		}
		return n
	}
	l.expectSoon("both gateways", func() bool {
		n := both()
		return len(n) == 2 && n["0 10.0.0.2 left"] > 80 && n["1 10.1.0.2 right"] > 80
	})
	a, _ := netlink.ParseAddr("10.1.0.2/24")
	l.must(l.right.AddrDel(l.right.Link("eth0"), a))
	l.expectSoon("one gateway gone", func() bool { return both()["0 10.0.0.2 left"] == 250 })
	l.right.Address("eth0", "10.1.0.2/24")
	l.expectSoon("both gateways again", func() bool { return len(both()) == 2 })
}

func (l *lan) expectSoon(what string, ok func() bool) {
	l.t.Helper()
	for start := time.Now(); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			l.t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// TestFlood changes routes faster than the watcher reads them and lets messages
// be lost on the way.
func TestFlood(t *testing.T) {
	l := newLAN(t)
	l.watch()
	for i := range 2000 {
		l.must(l.director.RouteAdd(l.route(fmt.Sprintf("172.%d.%d.0/24", 16+i/256, i%256), "10.0.0.2")))
	}
	l.watcher.news.messages <- nil // an overflow
	l.must(l.director.RouteAdd(l.route("198.51.100.0/24", "10.1.0.2")))
	l.expect("the last of many", "198.51.100.1", "1 10.1.0.2 right")
	l.expect("one of many", "172.20.7.1", "0 10.0.0.2 left")
}

func TestLeaks(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	n := nettest.New(t)
	cycle := func() {
		ctx, cancel := context.WithCancel(context.Background())
		n.Do(func() {
			w, err := Watch(ctx, []Interface{{Name: "lo"}})
			cancel()
			if err != nil {
				t.Error(err)
				return
			}
			w.Wait()
		})
	}
	cycle()
	before := descriptors(t)
	cycle()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
