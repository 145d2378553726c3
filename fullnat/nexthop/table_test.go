package nexthop

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"fleetlb/fullnat/packet"
)

// ip makes a mirror of lines as `ip route` and `ip address` print them, for two
// ports, eth0 and eth1, with index 1 and 2 and MTU 1500 and 9000; eth7, index 7,
// is not ours.
func ip(t testing.TB, lines string) *mirror {
	t.Helper()
	m := &mirror{ports: []Port{
		{Interface{"eth0", 1, [6]byte{2, 0, 0, 0, 0, 1}, 1500}, true},
		{Interface{"eth1", 2, [6]byte{2, 0, 0, 0, 0, 2}, 9000}, true},
	}}
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "inet":
			p := netip.MustParsePrefix(f[1])
			m.addresses = append(m.addresses, address{
				index: indexOf(f[3]), prefix: p, peer: p.Masked(), usable: f[len(f)-1] != "deprecated", global: !p.Addr().IsLinkLocalUnicast(),
			})
			m.routes = append(m.routes, route{prefix: netip.PrefixFrom(p.Addr(), p.Addr().BitLen()), own: true, void: true})
		default:
			m.routes = append(m.routes, routeLine(t, f))
		}
	}
	return m
}

func indexOf(name string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "eth"))
	if n == 7 {
		return n
	}
	return n + 1
}

func routeLine(t testing.TB, f []string) route {
	t.Helper()
	var r route
	if r.void = f[0] == "unreachable" || f[0] == "blackhole"; r.void {
		f = f[1:]
	}
	switch f[0] {
	case "default":
		r.prefix = netip.MustParsePrefix("0.0.0.0/0")
	case "default6":
		r.prefix = netip.MustParsePrefix("::/0")
	default:
		r.prefix = netip.MustParsePrefix(f[0])
	}
	if r.void {
		return r
	}
	mtu := 0
	p := path{weight: 1}
	for i := 1; i < len(f); i += 2 {
		n, _ := strconv.Atoi(f[min(i+1, len(f)-1)])
		switch f[i] {
		case "via":
			p.gateway = netip.MustParseAddr(f[i+1])
		case "dev":
			p.index = indexOf(f[i+1])
		case "weight":
			p.weight = n
		case "metric":
			r.metric = n
		case "mtu":
			mtu = n
		case "nexthop":
			if p.index != 0 {
				r.paths = append(r.paths, p)
			}
			p = path{weight: 1}
			i--
		case "linkdown":
			p.down = true
			i--
		default:
			t.Fatalf("%q: what is %q?", f, f[i])
		}
	}
	r.paths = append(r.paths, p)
	for i := range r.paths {
		r.paths[i].mtu = mtu
	}
	return r
}

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

// say prints what Lookup says of a destination.
func say(t *Table, dst string) string {
	id := t.Lookup(addr(dst))
	h := t.Hop(id)
	if h == nil {
		return "none"
	}
	s := fmt.Sprintf("eth%d mtu %d", h.Port, h.MTU)
	switch {
	case id >= unknown:
		s += " unknown"
	default:
		s += " " + h.Gateway.String()
	}
	if h.Resolved {
		s += " resolved"
	}
	return s
}

func TestLookup(t *testing.T) {
	m := ip(t, `
		inet 10.0.0.1/24 dev eth0
		inet 10.1.0.1/16 dev eth1
		inet 2001:db8::1/64 dev eth0
		inet 192.0.2.7/24 dev eth7
		10.0.0.0/24 dev eth0
		10.1.0.0/16 dev eth1
		192.0.2.0/24 dev eth7
		default via 192.0.2.254 dev eth7 metric 10
		default via 10.0.0.254 dev eth0 metric 100
		default via 10.1.0.254 dev eth1 metric 200
		172.16.0.0/12 via 10.1.0.253 dev eth1 mtu 1400
		172.16.9.0/24 via 10.1.0.253 dev eth1
		unreachable 172.17.0.0/16
		blackhole 203.0.113.0/24
		198.51.100.0/24 via 10.0.0.253 dev eth0 linkdown
		100.64.0.0/10 via fe80::9 dev eth1
		10.0.0.77/32 dev eth1
		2001:db8::/64 dev eth0
		2001:db8:5::/48 via fe80::5 dev eth0
		default6 via 2001:db8::fe dev eth0`)
	neighbors := map[neighborKey]neighbor{
		{1, addr("10.0.0.254")}: {[6]byte{2, 1}, netlink.NUD_STALE},
		{1, addr("10.0.0.11")}:  {[6]byte{2, 2}, netlink.NUD_REACHABLE},
		{1, addr("10.0.0.12")}:  {[6]byte{}, netlink.NUD_FAILED},
		{2, addr("fe80::9")}:    {[6]byte{2, 3}, netlink.NUD_REACHABLE},
		{2, addr("fe80::5")}:    {[6]byte{2, 4}, netlink.NUD_REACHABLE}, // on the other port
	}
	table := build(m, neighbors, newHops(), []packet.Addr{addr("10.0.0.11"), addr("10.0.0.12"), addr("8.8.8.8")})

	tests := []struct{ name, dst, want string }{
		{"by the default gateway", "8.8.8.8", "eth0 mtu 1500 10.0.0.254 resolved"},
		{"on-link and kept", "10.0.0.11", "eth0 mtu 1500 10.0.0.11 resolved"},
		{"on-link, kept, but gone", "10.0.0.12", "eth0 mtu 1500 10.0.0.12"},
		{"on-link and never asked for", "10.0.0.13", "eth0 mtu 1500 unknown"},
		{"on-link by a host route", "10.0.0.77", "eth1 mtu 9000 unknown"},
		{"the route's own MTU", "172.16.0.1", "eth1 mtu 1400 10.1.0.253"},
		{"a longer prefix", "172.16.9.1", "eth1 mtu 9000 10.1.0.253"},
		{"unreachable", "172.17.0.1", "none"},
		{"blackhole", "203.0.113.1", "none"},
		{"the path is down: the next shorter prefix", "198.51.100.1", "eth0 mtu 1500 10.0.0.254 resolved"},
		{"IPv4 by an IPv6 gateway", "100.64.0.1", "eth1 mtu 9000 fe80::9 resolved"},
		{"not ours: the interface does not exist", "192.0.2.9", "eth0 mtu 1500 10.0.0.254 resolved"},
		{"the host itself", "10.1.0.1", "none"},
		{"the host itself, elsewhere", "192.0.2.7", "none"},
		{"IPv6 on-link", "2001:db8::77", "eth0 mtu 1500 unknown"},
		{"IPv6 by a link-local gateway", "2001:db8:5::1", "eth0 mtu 1500 fe80::5"},
		{"IPv6 by the default gateway", "2001:db8:99::1", "eth0 mtu 1500 2001:db8::fe"},
		{"an IPv4 destination in IPv6 clothes is not IPv4", "::8.8.8.8", "eth0 mtu 1500 2001:db8::fe"},
	}
	for _, tt := range tests {
		if got := say(table, tt.dst); got != tt.want {
			t.Errorf("%s: %s: got %q, want %q", tt.name, tt.dst, got, tt.want)
		}
	}
	if n := testing.AllocsPerRun(1000, func() {
		for i := range tests[:4] {
			table.Hop(table.Lookup(kept[i]))
		}
	}); n != 0 {
		t.Errorf("Lookup and Hop allocate %v times, want 0", n)
	}
}

var kept = []packet.Addr{addr("8.8.8.8"), addr("10.0.0.11"), addr("10.0.0.13"), addr("172.17.0.1")}

func TestPortDown(t *testing.T) {
	m := ip(t, `
		10.0.0.0/24 dev eth0
		default via 10.0.0.254 dev eth0 metric 100
		default via 10.1.0.254 dev eth1 metric 200`)
	neighbors := map[neighborKey]neighbor{{1, addr("10.0.0.254")}: {[6]byte{2, 1}, netlink.NUD_STALE}}
	h := newHops()
	before := build(m, neighbors, h, nil)
	m.ports[0].Up = false
	after := build(m, neighbors, h, nil)
	if got, want := say(before, "8.8.8.8"), "eth0 mtu 1500 10.0.0.254 resolved"; got != want {
		t.Errorf("port up: got %q, want %q", got, want)
	}
	if got, want := say(after, "8.8.8.8"), "eth1 mtu 9000 10.1.0.254"; got != want {
		t.Errorf("port down: got %q, want %q", got, want)
	}
	if id := before.Lookup(addr("8.8.8.8")); after.Hop(id).Gateway != addr("10.0.0.254") || after.Hop(id).Resolved {
		t.Errorf("port down: hop %d became %+v", id, after.Hop(id))
	}
}

func TestEqualCost(t *testing.T) {
	m := ip(t, `default nexthop via 10.0.0.253 dev eth0 weight 1 nexthop via 10.1.0.254 dev eth1 weight 3`)
	h := newHops()
	shares := func() map[string]int {
		table := build(m, nil, h, nil)
		n := map[string]int{}
		r := rand.New(rand.NewPCG(1, 1))
		for range 10000 {
			dst := netip.AddrFrom4([4]byte{198, 51, byte(r.Uint32()), byte(r.Uint32())})
			n[table.Hop(table.Lookup(packet.AddrFrom(dst))).Gateway.String()]++
		}
		return n
	}
	got := shares()
	if a, b := got["10.0.0.253"], got["10.1.0.254"]; a+b != 10000 || a < 2300 || a > 2700 {
		t.Errorf("weights 1 and 3 divide 10000 destinations %d : %d", a, b)
	}
	h.known[h.ids[hopKey{addr: addr("10.1.0.254"), port: 1}]].failed = true
	if got := shares(); got["10.0.0.253"] != 10000 {
		t.Errorf("one of two gateways failed: %v", got)
	}
	h.known[h.ids[hopKey{addr: addr("10.0.0.253"), port: 0}]].failed = true
	if got := shares(); len(got) != 2 {
		t.Errorf("both gateways failed: %v, want both tried", got)
	}
}

func TestAddresses(t *testing.T) {
	m := ip(t, `
		inet fe80::1/64 dev eth0
		inet 2001:db8::9/64 dev eth0 deprecated
		inet 2001:db8::1/64 dev eth0
		inet 10.0.0.1/24 dev eth0
		inet 10.0.0.2/24 dev eth0
		inet fe80::2/64 dev eth1
		inet 192.0.2.7/24 dev eth7
		10.9.0.0/24 dev eth1
		default dev eth1`)
	table := build(m, nil, newHops(), nil)
	for _, tt := range []struct {
		port uint8
		v6   bool
		want string
	}{
		{0, false, "10.0.0.1"},
		{0, true, "2001:db8::1"},
		{1, false, "10.0.0.1"}, // has none of its own
		{1, true, "fe80::2"},
	} {
		if got := table.SourceFor(tt.port, tt.v6); got != addr(tt.want) {
			t.Errorf("SourceFor(%d, %v) = %v, want %v", tt.port, tt.v6, got, tt.want)
		}
	}
	for _, tt := range []struct {
		port uint8
		addr string
		want bool
	}{
		{0, "10.0.0.200", true}, {0, "10.0.1.1", false}, {1, "10.0.0.200", false},
		{1, "10.9.0.1", true}, {1, "8.8.8.8", false}, {0, "2001:db8::77", true},
	} {
		if got := table.OnLink(tt.port, addr(tt.addr)); got != tt.want {
			t.Errorf("OnLink(%d, %s) = %v, want %v", tt.port, tt.addr, got, tt.want)
		}
	}
	for a, want := range map[string]bool{"10.0.0.2": true, "192.0.2.7": true, "10.0.0.3": false, "fe80::2": true} {
		if got := table.HostAddress(addr(a)); got != want {
			t.Errorf("HostAddress(%s) = %v, want %v", a, got, want)
		}
	}
}

// TestForget fills the hops with on-link clients, kept ones among them.
func TestForget(t *testing.T) {
	m := ip(t, "10.0.0.0/8 dev eth0")
	h := newHops()
	keep := []packet.Addr{addr("10.0.0.1")}
	build(m, nil, h, keep)
	id := h.ids[hopKey{addr: keep[0]}]
	for i := 0; !h.full(); i++ {
		h.id(hopKey{addr: packet.AddrFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))})
	}
	if h.id(hopKey{addr: addr("10.2.0.1")}) != None {
		t.Errorf("more than %d hops", maxHops)
	}
	h.forget()
	if h.ids[hopKey{addr: keep[0]}] != id || len(h.ids) != 1 {
		t.Errorf("after forget: %d hops, the kept one is %d, want 1 and %d", len(h.ids), h.ids[hopKey{addr: keep[0]}], id)
	}
	table := build(m, nil, h, keep)
	if table.Lookup(keep[0]) != id || table.Lookup(addr("10.1.0.0")) < unknown {
		t.Error("after forget: a forgotten hop is found, or the kept one is not")
	}
}

// TestKept: those behind a router are the router's, and take no place; of those on
// our links there is one.
func TestKept(t *testing.T) {
	m := ip(t, "10.0.0.0/8 dev eth0\n172.16.0.0/12 via 10.0.0.1 dev eth0")
	h := newHops()
	var keep []packet.Addr
	for i := range maxKept + 3 {
		for _, network := range []byte{172, 10} {
			keep = append(keep, packet.AddrFrom(netip.AddrFrom4([4]byte{network, 16, byte(i >> 8), byte(i)})))
		}
	}
	if table := build(m, nil, h, keep[:2*maxKept]); table.Unkept() != 0 {
		t.Errorf("%d are not kept", table.Unkept())
	}
	last := keep[2*maxKept-1]
	if id := h.ids[hopKey{addr: last}]; id == None || !h.known[id].kept {
		t.Errorf("%v is not kept", last.Netip())
	}
	if table := build(m, nil, h, keep); table.Unkept() != 3 {
		t.Errorf("%d are not kept, want 3", table.Unkept())
	}
}

func FuzzLongestPrefix(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64) {
		r := rand.New(rand.NewPCG(seed1, seed2))
		random := func() netip.Addr {
			return netip.AddrFrom4([4]byte{10, byte(r.IntN(4)), byte(r.IntN(4)), byte(r.IntN(256))})
		}
		routes := map[netip.Prefix]*entry{}
		for range r.IntN(40) {
			p, _ := random().Prefix(r.IntN(33))
			routes[p] = &entry{}
		}
		table := newLPM(routes)
		for range 100 {
			a := random()
			var want *entry
			longest := -1
			for p, e := range routes {
				if p.Contains(a) && p.Bits() > longest {
					longest, want = p.Bits(), e
				}
			}
			if got := table.find(packet.AddrFrom(a)); got != want {
				t.Fatalf("%v: not the route of length %d", a, longest)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	m := ip(b, `
		10.0.0.0/24 dev eth0
		10.1.0.0/16 dev eth1
		default via 10.0.0.254 dev eth0 metric 100
		172.16.0.0/12 via 10.1.0.253 dev eth1 mtu 1400
		172.16.9.0/24 via 10.1.0.253 dev eth1
		172.17.0.0/16 via 10.1.0.252 dev eth1
		203.0.113.0/24 via 10.1.0.252 dev eth1
		198.51.100.0/24 via 10.0.0.253 dev eth0
		100.64.0.0/10 via fe80::9 dev eth1
		192.168.0.0/16 via 10.1.0.252 dev eth1
		10.0.0.77/32 dev eth1
		10.2.0.0/15 via 10.1.0.252 dev eth1`)
	table := build(m, nil, newHops(), []packet.Addr{addr("10.0.0.11")})
	for _, dst := range []string{"8.8.8.8", "10.0.0.11", "10.0.0.77"} {
		a := addr(dst)
		b.Run(dst, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Hop(table.Lookup(a))
			}
		})
	}
}
