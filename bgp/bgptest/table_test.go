package bgptest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func ptr[T any](v T) *T { return &v }

func TestBest(t *testing.T) {
	route := func(hop string, path int, med, pref *uint32) Route {
		return Route{Prefix: netip.MustParsePrefix("203.0.113.10/32"), NextHop: netip.MustParseAddr(hop), Path: make([]uint32, path), MED: med, LocalPref: pref}
	}
	tests := []struct {
		name   string
		routes []Route
		want   []netip.Addr
	}{
		{"equal paths share", []Route{route("10.0.0.2", 1, nil, nil), route("10.0.0.1", 1, nil, nil)}, addrs("10.0.0.1", "10.0.0.2")},
		{"one next hop from two neighbours is one", []Route{route("10.0.0.1", 1, nil, nil), route("10.0.0.1", 1, nil, nil)}, addrs("10.0.0.1")},
		{"the shorter path wins", []Route{route("10.0.0.1", 3, nil, nil), route("10.0.0.2", 1, nil, nil), route("10.0.0.3", 2, nil, nil)}, addrs("10.0.0.2")},
		{"a lower med wins, none is 0", []Route{route("10.0.0.1", 1, ptr[uint32](5), nil), route("10.0.0.2", 1, nil, nil), route("10.0.0.3", 1, ptr[uint32](0), nil)}, addrs("10.0.0.2", "10.0.0.3")},
		{"preference comes before the path", []Route{route("10.0.0.1", 0, nil, ptr[uint32](97)), route("10.0.0.2", 5, nil, ptr[uint32](100))}, addrs("10.0.0.2")},
		{"a next hop of the other family is none", []Route{route("2001:db8::1", 1, nil, nil)}, nil},
	}
	for _, tt := range tests {
		if got := best(tt.routes)[netip.MustParsePrefix("203.0.113.10/32")]; !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// namespace puts the test into a network namespace of its own, with one
// interface that has 10.0.0.254/24 and 2001:db8:1::fe/64.
func namespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for a network namespace; try: sudo -E go test ./bgp/bgptest")
	}
	runtime.LockOSThread() // and never unlock: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "lan"}, PeerName: "far"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lan", "far", "lo"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	}
	lan, err := netlink.LinkByName("lan")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"10.0.0.254/24", "2001:db8:1::fe/64"} {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			t.Fatal(err)
		}
		addr.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(lan, addr); err != nil {
			t.Fatal(err)
		}
	}
}

// kernel lists the routes of protocol bgp as "prefix via hop hop".
func kernel(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Protocol: unix.RTPROT_BGP}, netlink.RT_FILTER_PROTOCOL)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range routes {
			var hops []string
			if r.Gw != nil {
				hops = append(hops, r.Gw.String())
			}
			for _, h := range r.MultiPath {
				hops = append(hops, h.Gw.String())
			}
			slices.Sort(hops)
			list = append(list, fmt.Sprintf("%v via %s", r.Dst, strings.Join(hops, " ")))
		}
	}
	slices.Sort(list)
	return list
}

func TestTable(t *testing.T) {
	t.Run("multipath", func(t *testing.T) { testTable(t, false) })
	t.Run("resilient", func(t *testing.T) { testTable(t, true) })
}

func testTable(t *testing.T, resilient bool) {
	namespace(t)
	v4, v6 := netip.MustParsePrefix("203.0.113.10/32"), netip.MustParsePrefix("2001:db8::10/128")
	stale := kernelRoute(netip.MustParsePrefix("198.51.100.0/24"), addrs("10.0.0.9"))
	if err := netlink.RouteAdd(stale); err != nil {
		t.Fatal(err)
	}
	table, err := newTable(resilient)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		v4, v6 []netip.Addr
		want   []string
	}{
		{"what was left over is gone", nil, nil, nil},
		{"three next hops", addrs("10.0.0.1", "10.0.0.2", "10.0.0.3"), addrs("2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::3"),
			[]string{"2001:db8::10/128 via 2001:db8:1::1 2001:db8:1::2 2001:db8:1::3", "203.0.113.10/32 via 10.0.0.1 10.0.0.2 10.0.0.3"}},
		{"two", addrs("10.0.0.1", "10.0.0.3"), addrs("2001:db8:1::1", "2001:db8:1::3"),
			[]string{"2001:db8::10/128 via 2001:db8:1::1 2001:db8:1::3", "203.0.113.10/32 via 10.0.0.1 10.0.0.3"}},
		{"one", addrs("10.0.0.3"), addrs("2001:db8:1::3"),
			[]string{"2001:db8::10/128 via 2001:db8:1::3", "203.0.113.10/32 via 10.0.0.3"}},
		{"two again, one of them new", addrs("10.0.0.3", "10.0.0.4"), addrs("2001:db8:1::3", "2001:db8:1::4"),
			[]string{"2001:db8::10/128 via 2001:db8:1::3 2001:db8:1::4", "203.0.113.10/32 via 10.0.0.3 10.0.0.4"}},
		{"one family", nil, addrs("2001:db8:1::4"), []string{"2001:db8::10/128 via 2001:db8:1::4"}},
		{"none", nil, nil, nil},
	}
	for _, tt := range tests {
		want := map[netip.Prefix][]netip.Addr{v4: tt.v4, v6: tt.v6}
		for p, hops := range want {
			if hops == nil {
				delete(want, p)
			}
		}
		if err := table.set(want); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := kernel(t); !slices.Equal(got, tt.want) {
			t.Errorf("%s: the kernel has\n%s\nwant\n%s", tt.name, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}

	// The kernel removes routes whose interface goes down, and does not say so.
	both := map[netip.Prefix][]netip.Addr{v4: addrs("10.0.0.1", "10.0.0.2")}
	if err := table.set(both); err != nil {
		t.Fatal(err)
	}
	lan, err := netlink.LinkByName("lan")
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(netlink.Link) error{netlink.LinkSetDown, netlink.LinkSetUp} {
		if err := change(lan); err != nil {
			t.Fatal(err)
		}
	}
	if got := kernel(t); got != nil {
		t.Fatalf("after the interface was down the kernel has %v", got)
	}
	if err := errors.Join(table.audit(), table.set(both)); err != nil {
		t.Error(err)
	}
	if got := kernel(t); len(got) != 1 {
		t.Errorf("after an audit the kernel has %v", got)
	}

	unreachable := map[netip.Prefix][]netip.Addr{v4: addrs("10.9.9.9")}
	if err := table.set(unreachable); err == nil {
		t.Error("a next hop that nothing leads to: no error")
	}
	way := kernelRoute(netip.MustParsePrefix("10.9.9.0/24"), nil)
	way.Protocol, way.Scope = unix.RTPROT_STATIC, netlink.SCOPE_LINK
	way.LinkIndex = lan.Attrs().Index
	if err := netlink.RouteAdd(way); err != nil {
		t.Fatal(err)
	}
	if err := table.set(unreachable); err != nil {
		t.Errorf("once it is reachable: %v", err)
	}
	table.close()
	if got := kernel(t); got != nil {
		t.Errorf("after close the kernel has %v", got)
	}
}
