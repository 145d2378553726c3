package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"fleetlb/bgp"
	"fleetlb/node/config"
)

const web = "web 203.0.113.10:80 > 11 12"

func TestPlan(t *testing.T) {
	tests := []struct {
		name     string
		services string
		health   string
		set      func(*inputs)
		want     string
	}{
		{"all is well", web, "11 up, 12 up", nil, `
			web up 2 up announced: 11 12
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web`},
		{"one server is enough", web, "11 down, 12 up", nil, `
			web up 1 up announced: 11 down 12
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web`},
		{"nothing is known yet: nothing is announced, and nobody is taken for dead", web, "", nil, `
			web down 0 up: 11 drains 12 drains
			10.2.1.0/28 for local addresses`},
		{"no server is left", web, "11 down, 12 down", nil, `
			web down 0 up: 11 down 12 down
			10.2.1.0/28 for local addresses`},
		{"two are needed", "web 203.0.113.10:80 quorum=2 > 11 12", "11 up, 12 down", nil, `
			web down 1 up: 11 12 down
			10.2.1.0/28 for local addresses`},
		{"none is needed", "web 203.0.113.10:80 quorum=0 > 11", "11 down", nil, `
			web down 0 up announced: 11 down
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web`},
		{"a healthy server whose next hop nobody knows", web, "11 up, 12 up",
			func(in *inputs) { in.reachable = func(a netip.Addr) bool { return a != server(11).Addr() } }, `
			web up 1 up announced: 11 12
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web`},
		{"nor of any other", web, "11 up, 12 up",
			func(in *inputs) { in.reachable = func(netip.Addr) bool { return false } }, `
			web down 0 up: 11 12
			10.2.1.0/28 for local addresses`},
		{"a server that drains is healthy", "web 203.0.113.10:80 quorum=2 > 11 12!", "11 up, 12 up", nil, `
			web up 1 up announced: 11 12 drains
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web`},
		{"so is one of weight 0", "web 203.0.113.10:80 quorum=2 > 11=3 12=0", "11 up, 12 up", nil, `
			web up 1 up announced: 11=3 12=0
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web`},
		{"yet somebody must take what is new", "web 203.0.113.10:80 > 11=0 12!", "11 up, 12 up", nil, `
			web down 0 up: 11=0 12 drains
			10.2.1.0/28 for local addresses`},
		{"a disabled server does not exist", "web 203.0.113.10:80 > 11 12-", "11 up, 12 up", nil, `
			web up 1 up announced: 11
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web`},
		{"one that flaps gets nothing, and keeps what it has", web, "11 up, 12 flapping", nil, `
			web up 1 up announced: 11 12 drains
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web`},
		{"but is better than none", web, "11 down, 12 flapping", nil, `
			web up 1 up announced: 11 down 12
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web`},
		{"or than one that drains", "web 203.0.113.10:80 > 11! 12", "11 up, 12 flapping", nil, `
			web up 1 up announced: 11 drains 12
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web`},
		{"the sorry server will do", `web 203.0.113.10:80 sorry_server="10.3.0.99:80" > 11`, "11 down", nil, `
			web sorry 0 up announced: 11 down
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web`},
		{"if it can be reached", `web 203.0.113.10:80 sorry_server="10.3.0.99:80" > 11`, "11 down",
			func(in *inputs) { in.reachable = func(a netip.Addr) bool { return a != server(99).Addr() } }, `
			web down 0 up: 11 down
			10.2.1.0/28 for local addresses`},
		{"services share a VIP: one that is up keeps it", `
			web 203.0.113.10:80 > 11
			tls 203.0.113.10:443 > 12
			dns 203.0.113.53:53 protocol="udp" > 13`, "11 down, 12 up, 13 up", nil, `
			web down 0 up: 11 down
			tls up 1 up announced: 12
			dns up 1 up announced: 13
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for tls
			203.0.113.53/32 for dns`},
		{"both families", `
			web 203.0.113.10:80 > 11
			web6 [2001:db8::10]:80 quorum=0`, "11 up", nil, `
			web up 1 up announced: 11
			web6 down 0 up announced:
			10.2.1.0/28 for local addresses
			203.0.113.10/32 for web
			2001:db8::10/128 for web6`},
		{"the workers are stuck", web, "11 up, 12 up", func(in *inputs) { in.alive = false }, `
			web up 2 up: 11 12`},
		{"the node drains: new connections go elsewhere, answers still find it", web, "11 up, 12 up",
			func(in *inputs) { in.draining = true }, `
			web up 2 up: 11 12
			10.2.1.0/28 for local addresses`},
		{"the node leaves", web, "11 up, 12 up", func(in *inputs) { in.draining, in.leaving = true, true }, `
			web up 2 up: 11 12`},
		{"nothing to do", "", "", func(in *inputs) { in.locals = nil }, ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := sound(several(t, tt.services), tt.health)
			if tt.set != nil {
				tt.set(in)
			}
			if got, want := shown(newPlan(in)), unindent(tt.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestQuorum follows one service through what befalls its servers: each row is
// what comes after the row before it.
func TestQuorum(t *testing.T) {
	services := several(t, "web 203.0.113.10:80 quorum=3 hysteresis=1 > 11 12 13 14 15")
	busy := false
	var before *plan
	for i, row := range []struct {
		health string
		busy   bool
		want   bool
		why    string
	}{
		{"", false, false, "nothing is known"},
		{"11 up, 12 up", false, false, "two of three"},
		{"11 up, 12 up, 13 up", false, true, "at first the quorum itself will do: nothing has been lost yet"},
		{"11 up, 12 up, 13 up, 14 up", false, true, ""},
		{"11 up, 12 up", false, true, "one less is forgiven"},
		{"11 up", false, false, "two less are not"},
		{"11 up, 12 up, 13 up", false, false, "the quorum is not enough to come back"},
		{"11 up, 12 up, 13 up, 14 up", false, true, "one more is"},
		{"11 up, 12 up", false, true, ""},
		{"", true, false, "sessions do not keep a VIP whose servers are down"},
	} {
		busy = row.busy
		in := sound(services, row.health)
		in.busy = func(*config.Service) bool { return busy }
		if before != nil {
			in.stood = before.standings()
		}
		p := newPlan(in)
		if p.services[0].announced != row.want {
			t.Errorf("row %d, %q: announced: %v, want %v: %s", i+1, row.health, p.services[0].announced, row.want, row.why)
		}
		before = p
	}
}

// TestLinger: what drains its last server keeps the VIP for the sessions it has,
// and no longer.
func TestLinger(t *testing.T) {
	in := sound(several(t, web), "11 up, 12 up")
	before := newPlan(in)
	for _, row := range []struct {
		services string
		busy     bool
		want     string
	}{
		{"web 203.0.113.10:80 > 11! 12", false, "web up 1 up announced: 11 drains 12"},
		{"web 203.0.113.10:80 > 11! 12!", true, "web draining 0 up announced: 11 drains 12 drains"},
		{"web 203.0.113.10:80 > 11! 12!", true, "web draining 0 up announced: 11 drains 12 drains"},
		{"web 203.0.113.10:80 > 11! 12!", false, "web down 0 up: 11 drains 12 drains"},
		{"web 203.0.113.10:80 > 11! 12!", true, "web down 0 up: 11 drains 12 drains"},
		{"web 203.0.113.10:80 > 11! 12", true, "web up 1 up announced: 11 drains 12"},
	} {
		in := sound(several(t, row.services), "11 up, 12 up")
		in.busy = func(*config.Service) bool { return row.busy }
		in.stood = before.standings()
		before = newPlan(in)
		got, _, _ := strings.Cut(shown(before), "\n")
		if got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
		if before.lingers() != strings.Contains(got, "draining") {
			t.Errorf("%s: lingers: %v", got, before.lingers())
		}
	}
}

func TestBoth(t *testing.T) {
	routes := func(s string) (all []bgp.Route) {
		for _, w := range strings.Fields(s) {
			all = append(all, bgp.Route{Prefix: netip.MustParsePrefix(w)})
		}
		return all
	}
	for _, tt := range []struct{ a, b, want string }{
		{"", "", ""},
		{"10.0.0.0/28 192.0.2.1/32", "", ""},
		{"10.0.0.0/28 192.0.2.1/32", "10.0.0.0/28 192.0.2.1/32", "10.0.0.0/28 192.0.2.1/32"},
		{"10.0.0.0/28 192.0.2.1/32 192.0.2.2/32", "10.0.0.0/27 192.0.2.1/32 192.0.2.3/32", "192.0.2.1/32"},
	} {
		if got := both(routes(tt.a), routes(tt.b)); !slices.EqualFunc(got, routes(tt.want), bgp.Route.Equal) {
			t.Errorf("both(%s; %s) = %v", tt.a, tt.b, got)
		}
	}
	prepended := routes("192.0.2.1/32")
	prepended[0].Prepend = 1
	if got := both(prepended, routes("192.0.2.1/32")); got != nil {
		t.Errorf("a route that changes stays announced: %v", got)
	}
}

// sound is a director that has nothing to complain of.
func sound(services []config.Service, health string) *inputs {
	return &inputs{
		services:  services,
		locals:    []netip.Prefix{netip.MustParsePrefix("10.2.1.0/28")},
		verdicts:  verdicts(services, health),
		reachable: func(netip.Addr) bool { return true },
		busy:      func(*config.Service) bool { return false },
		alive:     true,
	}
}

// unindent makes lines of an indented text.
func unindent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// BenchmarkPlan is a thousand services with ten servers each: what every change
// of health costs before the workers hear of it.
func BenchmarkPlan(b *testing.B) {
	var services []config.Service
	for i := range 1000 {
		s, err := config.ReadService(fmt.Sprintf("name = \"s%d\"\nvip = \"203.0.%d.%d:80\"", i, i/250, 1+i%250))
		if err != nil {
			b.Fatal(err)
		}
		for n := range 10 {
			s.Servers = append(s.Servers, config.NewServer(server(n+1)))
		}
		services = append(services, s)
	}
	in := sound(services, "1 up, 2 up, 3 up, 4 up, 5 up, 6 up, 7 up, 8 up, 9 up, 10 down")
	in.stood = newPlan(in).standings()
	for b.Loop() {
		newPlan(in)
	}
}
