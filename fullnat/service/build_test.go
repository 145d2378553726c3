package service

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/schedule"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestBuild(t *testing.T) {
	s := spec(t, "web tcp 203.0.113.10:80 wrr 10.3.0.11:8080=3 !10.3.0.12:8080=2 ~10.3.0.13:8080=1 10.3.0.14:8080=0 sorry=10.3.0.99:80")
	s.Timeouts.Established = time.Hour
	s.Options = Options{ResetOnExpiry: true, DeadServer: Keep, RemovedServer: Expire, MSS: 1400}
	built, err := Build([]Spec{s, spec(t, "dns udp [2001:db8::10]:53 mh [2001:db8:3::11]:53=1")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	web, dns := built.Services[0], built.Services[1]
	if web.ID != 0 || dns.ID != 1 || web.Name != "web" || web.Port != 80 || web.Protocol != packet.TCP || web.Mode != FULLNAT {
		t.Errorf("services %+v, %+v", web, dns)
	}
	if web.Options != s.Options {
		t.Errorf("options %+v, want %+v", web.Options, s.Options)
	}
	if web.Timeouts.Established != time.Hour || web.Timeouts.SynSent != 2*time.Minute || dns.Timeouts.UDP != 5*time.Minute {
		t.Errorf("timeouts %+v, %+v", web.Timeouts, dns.Timeouts)
	}
	for _, d := range dns.Timeouts.named() {
		if d.Duration <= 0 {
			t.Errorf("timeout %s is %v", d.name, d.Duration)
		}
	}
	var got []string
	for i, v := range built.Servers {
		if int(v.Ordinal) != i || v.Load == nil {
			t.Errorf("server %s: ordinal %d at %d, load %v", v.Name, v.Ordinal, i, v.Load)
		}
		got = append(got, fmt.Sprintf("%s %s %v", v.Service.Name, v.Name, v.State))
	}
	want := []string{
		"web 10.3.0.11:8080 up",
		"web 10.3.0.12:8080 down",
		"web 10.3.0.13:8080 draining",
		"web 10.3.0.14:8080 up",
		"web 10.3.0.99:80 up",
		"dns [2001:db8:3::11]:53 up",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("servers (-want +got):\n%s", diff)
	}
}

// Who gets new connections.
func TestMembers(t *testing.T) {
	const web = "web tcp 203.0.113.10:80 "
	tests := []struct {
		name, line string
		inhibit    bool
		members    string // by the last byte of their address
		picked     string
	}{
		{"all who may", web + "rr 10.3.0.1:80=1 10.3.0.2:80=1", false, "1 2", "1 2"},
		{"not the down, the draining, the weightless", web + "rr 10.3.0.1:80=1 !10.3.0.2:80=1 ~10.3.0.3:80=1 10.3.0.4:80=0", false, "1", "1"},
		{"the sorry server while there are others", web + "rr 10.3.0.1:80=1 !10.3.0.2:80=1 sorry=10.3.0.9:80", false, "1", "1"},
		{"and while there are none", web + "rr !10.3.0.1:80=1 ~10.3.0.2:80=1 sorry=10.3.0.9:80", false, "9", "9"},
		{"also of a service without any", web + "mh sorry=10.3.0.9:80", false, "9", "9"},
		{"nobody at all", web + "rr !10.3.0.1:80=1", false, "", "-"},
		{"mh: clients of a dead server move", web + "mh 10.3.0.1:80=1 !10.3.0.2:80=1", false, "1", "1"},
		{"mh-fallback: they fall to others", web + "mh,mh-fallback 10.3.0.1:80=1 !10.3.0.2:80=1", false, "1 2", "1"},
		{"inhibited: they are refused", web + "mh 10.3.0.1:80=1 !10.3.0.2:80=1", true, "1 2", "- 1"},
		{"inhibited, and all dead: still sorry", web + "mh !10.3.0.1:80=1 sorry=10.3.0.9:80", true, "9", "9"},
		{"inhibited rr just skips", web + "rr 10.3.0.1:80=1 !10.3.0.2:80=1", true, "1 2", "1"},
	}
	short := func(name string) string {
		return strings.TrimSuffix(strings.TrimPrefix(name, "10.3.0."), ":80")
	}
	for _, tt := range tests {
		s := spec(t, tt.line)
		s.InhibitOnFailure = tt.inhibit
		built, err := Build([]Spec{s}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var members, picked []string
		for _, v := range built.Services[0].Members {
			members = append(members, short(v.Name))
		}
		for _, name := range picks(built.Services[0], 100) {
			picked = append(picked, short(name))
		}
		slices.Sort(picked)
		picked = slices.Compact(picked)
		if got := strings.Join(members, " "); got != tt.members {
			t.Errorf("%s: members %s, want %s", tt.name, got, tt.members)
		}
		if got := strings.Join(picked, " "); got != tt.picked {
			t.Errorf("%s: picked %s, want %s", tt.name, got, tt.picked)
		}
	}
}

// A rebuild that changes nothing continues the scheduler's turn; so does one
// that changes everything but the address of the service.
func TestRebuildContinues(t *testing.T) {
	var got []string
	prev := table(t, nil, "web tcp 203.0.113.10:80 rr 10.3.0.1:80=1 10.3.0.2:80=1 10.3.0.3:80=1")
	got = append(got, picks(prev.Services[0], 1)...)
	same := table(t, prev, "web tcp 203.0.113.10:80 rr 10.3.0.1:80=1 10.3.0.2:80=1 10.3.0.3:80=1")
	if same.Services[0].Scheduler != prev.Services[0].Scheduler {
		t.Error("nothing changed, but the scheduler was built anew")
	}
	got = append(got, picks(same.Services[0], 1)...)
	other := table(t, same, "new tcp 203.0.113.11:80 rr", "renamed tcp 203.0.113.10:80 wrr 10.3.0.1:80=2 10.3.0.2:80=2 10.3.0.3:80=2")
	got = append(got, picks(other.Services[1], 1)...)
	if want := "[10.3.0.1:80 10.3.0.2:80 10.3.0.3:80]"; fmt.Sprint(got) != want {
		t.Errorf("over three tables %v, want %s", got, want)
	}
}

// Loads stay with servers and states with services over any sequence of tables,
// for as long as they are listed; nobody shares either.
func TestRebuildKeepsIdentity(t *testing.T) {
	type place struct{ service, server string }
	names := schedule.Names()
	rapid.Check(t, func(t *rapid.T) {
		var prev *Table
		loads := make(map[place]*schedule.Load)
		states := make(map[string]*schedule.State)
		for range rapid.IntRange(1, 6).Draw(t, "tables") {
			var specs []Spec
			for i := range 4 {
				if !rapid.Bool().Draw(t, "listed") {
					continue
				}
				s := Spec{
					Name:      fmt.Sprint("s", rapid.IntRange(0, 9).Draw(t, "name"), "-", i),
					VIP:       netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i / 2)}), 80),
					Protocol:  []uint8{packet.TCP, packet.UDP}[i%2],
					Mode:      FULLNAT,
					Scheduler: rapid.SampledFrom(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "mh" })).Draw(t, "scheduler"),
				}
				for _, j := range rapid.Permutation([]int{1, 2, 3, 4, 5}).Draw(t, "order")[:rapid.IntRange(0, 5).Draw(t, "servers")] {
					s.Servers = append(s.Servers, ServerSpec{
						Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 3, 0, byte(j)}), 80),
						Weight:  rapid.IntRange(0, 3).Draw(t, "weight"),
						Up:      rapid.Bool().Draw(t, "up"),
						Drain:   rapid.Bool().Draw(t, "drain"),
					})
				}
				if rapid.Bool().Draw(t, "sorry") {
					s.Sorry = netip.MustParseAddrPort("10.3.0.99:80")
				}
				specs = append(specs, s)
			}
			built, err := Build(specs, prev)
			if err != nil {
				t.Fatal(err)
			}

			nowLoads, nowStates := make(map[place]*schedule.Load), make(map[string]*schedule.State)
			seen := make(map[*schedule.Load]bool)
			for i, s := range built.Services {
				at := fmt.Sprint(s.Protocol, s.VIP)
				nowStates[at] = s.made.state
				if old, ok := states[at]; ok && old != s.made.state {
					t.Fatalf("service %s lost its state", at)
				}
				if int(s.ID) != i || built.Find(s.Protocol, s.VIP, s.Port) != s {
					t.Fatalf("service %s is not found at %d", at, i)
				}
				for _, v := range s.all() {
					nowLoads[place{at, v.Name}] = v.Load
					if old, ok := loads[place{at, v.Name}]; ok && old != v.Load {
						t.Fatalf("server %s of %s lost its load", v.Name, at)
					}
					if seen[v.Load] {
						t.Fatalf("server %s of %s shares a load", v.Name, at)
					}
					seen[v.Load] = true
					if built.Servers[v.Ordinal] != v || v.Service != s {
						t.Fatalf("server %s of %s is not at its ordinal", v.Name, at)
					}
				}
			}
			if len(seen) != len(built.Servers) {
				t.Fatalf("%d servers, %d of them in services", len(built.Servers), len(seen))
			}
			prev, loads, states = built, nowLoads, nowStates
		}
	})
}

// A table that was built is not touched by what is built from it.
func TestBuildLeavesPrevAlone(t *testing.T) {
	prev := table(t, nil, "web tcp 203.0.113.10:80 rr 10.3.0.1:80=1 10.3.0.2:80=1", "dns udp 203.0.113.10:53 rr 10.3.0.1:53=1")
	print := func() (lines []string) {
		for _, v := range prev.Servers {
			lines = append(lines, fmt.Sprint(v.Name, v.Ordinal, v.Service.ID, v.Weight, v.State))
		}
		return lines
	}
	before := print()
	table(t, prev, "dns udp 203.0.113.10:53 rr 10.3.0.1:53=7", "web tcp 203.0.113.10:80 rr !10.3.0.2:80=1")
	if diff := cmp.Diff(before, print()); diff != "" {
		t.Errorf("the table before changed:\n%s", diff)
	}
	if s := find(prev, packet.TCP, "203.0.113.10:80"); s == nil || len(s.Members) != 2 {
		t.Error("the table before no longer answers as it did")
	}
}

func TestBuildRefuses(t *testing.T) {
	edit := func(line string, change func(s *Spec)) []Spec {
		s := spec(t, line)
		change(&s)
		return []Spec{s}
	}
	const web = "web tcp 203.0.113.10:80 rr 10.3.0.11:80=1"
	tests := []struct {
		specs []Spec
		want  string
	}{
		{edit(web, func(s *Spec) { s.Name = "" }), `service 1: name is empty`},
		{[]Spec{spec(t, web), spec(t, "web udp 203.0.113.10:80 rr")}, `service "web": name is taken`},
		{[]Spec{spec(t, web), spec(t, "www tcp [::ffff:203.0.113.10]:80 rr")},
			`service "www": vip 203.0.113.10:80/tcp: belongs to service "web"`},
		{edit(web, func(s *Spec) { s.Protocol = 1 }), `service "web": protocol 1: neither tcp nor udp`},
		{edit(web, func(s *Spec) { s.Mode = 0 }), `service "web": mode 0: unknown`},
		{edit(web, func(s *Spec) { s.Mode = 9 }), `service "web": mode 9: unknown`},
		{edit(web, func(s *Spec) { s.DeadServer = 4 }), `service "web": fate 4: unknown`},
		{edit(web, func(s *Spec) { s.VIP = netip.AddrPort{} }), `service "web": vip invalid AddrPort: not an address`},
		{edit(web, func(s *Spec) { s.VIP = netip.MustParseAddrPort("224.0.0.1:80") }), `service "web": vip 224.0.0.1:80: a multicast address`},
		{edit(web, func(s *Spec) { s.VIP = netip.MustParseAddrPort("203.0.113.10:0") }), `service "web": vip 203.0.113.10:0: port 0 is not between 1 and 65535`},
		{edit(web, func(s *Spec) { s.Timeouts.FinWait = -time.Second }), `service "web": timeout fin_wait: -1s is below zero`},
		{edit(web, func(s *Spec) { s.Scheduler = "wr" }),
			`service "web": scheduler "wr": unknown; there are dh fo lblc lblcr lc mh nq ovf rr sed sh twos wlc wrr`},
		{edit(web, func(s *Spec) { s.Flags = []string{"sh-port"} }), `service "web": scheduler rr: flag "sh-port": unknown; it takes none`},
		{[]Spec{spec(t, web+" 10.3.0.12:80=-1")}, `service "web": server 10.3.0.12:80: weight -1 is not between 0 and 65535`},
		{[]Spec{spec(t, web+" [::ffff:10.3.0.11]:80=1")}, `service "web": server 10.3.0.11:80: listed twice`},
		{[]Spec{spec(t, web+" sorry=10.3.0.11:80")}, `service "web": sorry server 10.3.0.11:80: listed twice`},
		{[]Spec{spec(t, web+" 203.0.113.10:8080=1")}, `service "web": server 203.0.113.10:8080: is the vip itself`},
		{[]Spec{spec(t, web+" [fe80::1%eth0]:80=1")}, `service "web": server [fe80::1%eth0]:80: a zone does not travel on the wire`},
		{[]Spec{spec(t, web+" [2001:db8::1]:80=1")},
			`service "web": server [2001:db8::1]:80: is not of the vip's address family, which mode fullnat cannot change`},
		{edit(web+" 10.3.0.12:8080=1", func(s *Spec) { s.Mode = DR }),
			`service "web": server 10.3.0.12:8080: port differs from the vip's, which mode dr cannot change`},
		{[]Spec{spec(t, "run tcp 203.0.113.10:8000-8999 rr"), spec(t, "over tcp 203.0.113.10:8999-9000 rr")},
			`service "over": vip 203.0.113.10:8999-9000/tcp: overlaps 203.0.113.10:8000-8999/tcp of service "run"`},
		{[]Spec{spec(t, "any tcp 203.0.113.10:0-65535 rr"), spec(t, "web tcp 203.0.113.10:80 rr +tcp/203.0.113.10:0-65535")},
			`service "web": vip 203.0.113.10:0/tcp: overlaps 203.0.113.10:0/tcp of service "any"`},
		{[]Spec{spec(t, web+" +tcp/203.0.113.10:80")}, `service "web": vip 203.0.113.10:80/tcp: belongs to service "web"`},
		{[]Spec{spec(t, "run tcp 203.0.113.10:9-8 rr")}, `service "run": vip 203.0.113.10:9: its ports end at 8`},
		{[]Spec{spec(t, web+" 10.3.0.12:0=1")}, `service "web": server 10.3.0.12:0: port 0 is not between 1 and 65535`},
		{edit(web+" +tcp/203.0.113.10:443", func(s *Spec) { s.Mode = DR }),
			`service "web": server 10.3.0.11:80: port differs from the vip's, which mode dr cannot change`},
		{edit(web, func(s *Spec) { s.Servers[0].Lower = 1 }), `service "web": server 10.3.0.11:80: lower threshold 1 is above the upper one, 0`},
		{edit(web, func(s *Spec) { s.Persistence.Prefix4 = 33 }), `service "web": persistence for 0s with prefixes of 33 and 0 bits: impossible`},
		{edit("dns udp 203.0.113.10:53 rr 10.3.0.11:53=1", func(s *Spec) { s.OnePacket = true }),
			`service "dns": server 10.3.0.11:53: one packet scheduling: the answers of mode fullnat find their client by a session`},
		{edit("dns udp 203.0.113.10:53 rr 10.3.0.11:53=1 +udp/203.0.113.11:53", func(s *Spec) { s.OnePacket, s.Mode = true, NAT }),
			`service "dns": server 10.3.0.11:53: one packet scheduling in mode nat: its answers do not tell which of the service's addresses they are from`},
		{edit("dns udp 203.0.113.10:53-54 rr 10.3.0.11:53=1", func(s *Spec) { s.OnePacket, s.Mode = true, NAT }),
			`service "dns": server 10.3.0.11:53: one packet scheduling in mode nat: its answers do not tell which of the service's ports they are from; give the server port 0`},
		{append(edit("dns udp 203.0.113.10:53 rr 10.3.0.11:53=1", func(s *Spec) { s.OnePacket, s.Mode = true, NAT }),
			edit("dns6 udp 203.0.113.11:50-60 rr 10.3.0.11:0=1", func(s *Spec) { s.OnePacket, s.Mode = true, NAT })...),
			`service "dns6": server 10.3.0.11:0: one packet scheduling in mode nat: its answers could be service "dns"'s as well`},
		{edit(web, func(s *Spec) { s.OnePacket, s.Mode = true, DR }), `service "web": tcp: only datagrams can be scheduled one by one`},
		{edit("web tcp 203.0.113.10:80 wr 10.3.0.11:0=1 10.3.0.12:80=70000", func(s *Spec) { s.Mode = 7 }), strings.Join([]string{
			`service "web": mode 7: unknown`,
			`service "web": server 10.3.0.11:0: port 0 is not between 1 and 65535`,
			`service "web": server 10.3.0.12:80: weight 70000 is not between 0 and 65535`}, "\n")},
	}
	for _, tt := range tests {
		built, err := Build(tt.specs, nil)
		if err == nil || err.Error() != tt.want || built != nil {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
}

// What listens at several places is one service: one scheduler, one load for each
// server, and the same again over a rebuild.
func TestBeside(t *testing.T) {
	const line = "shop tcp 203.0.113.10:80 rr 10.3.0.11:0=1 10.3.0.12:0=1 sorry=10.3.0.99:0 +tcp/203.0.113.10:443 +udp/203.0.113.11:5000-5009"
	before := table(t, nil, "web tcp 203.0.113.9:80 rr 10.3.0.11:80=1", line)
	shop := before.Services[1]
	if len(before.Services) != 2 || len(shop.Beside) != 2 || len(before.Servers) != 1+3*3 {
		t.Fatalf("%d services, %d beside, %d servers", len(before.Services), len(shop.Beside), len(before.Servers))
	}
	for i, v := range before.Servers {
		if int(v.Ordinal) != i {
			t.Errorf("server %s: ordinal %d at %d", v.Name, v.Ordinal, i)
		}
	}
	for _, o := range shop.Beside {
		if o.Scheduler != shop.Scheduler || o.Name != "shop" || o.ID != shop.ID || len(o.Members) != 2 || o.Sorry == shop.Sorry {
			t.Errorf("%+v does not go with %+v", o, shop)
		}
		for i, v := range o.Servers {
			if v.Service != o || v.Load != shop.Servers[i].Load || v == shop.Servers[i] || o.Members[i] != v {
				t.Errorf("server %+v does not go with %+v", v, shop.Servers[i])
			}
		}
	}
	if got := shop.Servers[1].Beside; len(got) != 2 || got[0] != shop.Beside[0].Servers[1] || got[1] != shop.Beside[1].Servers[1] {
		t.Errorf("beside the second server: %v", got)
	}
	if got := shop.Beside[0].Sorry.Beside; len(got) != 2 || got[0] != shop.Sorry || got[1] != shop.Beside[1].Sorry {
		t.Errorf("beside the sorry server of the second listener: %v", got)
	}
	after := table(t, before, line)
	if after.Services[0].Beside[1].Servers[0].Load != shop.Servers[0].Load || after.Services[0].Scheduler != shop.Scheduler {
		t.Error("a rebuild begins anew")
	}
}

// What a mode can do, it may.
func TestModesReach(t *testing.T) {
	tests := []struct {
		mode   Mode
		server string
	}{
		{FULLNAT, "10.3.0.11:8080"}, {NAT, "10.3.0.11:8080"},
		{DR, "10.3.0.11:80"}, {TUN, "10.3.0.11:80"}, {TUN, "[2001:db8::11]:80"},
	}
	for _, tt := range tests {
		s := spec(t, "web tcp 203.0.113.10:80 rr "+tt.server+"=1")
		s.Mode = tt.mode
		if _, err := Build([]Spec{s}, nil); err != nil {
			t.Errorf("mode %v: %v", tt.mode, err)
		}
	}
}

// 1000 connections over ten tables land 3:2:1 within one.
func TestSharesOverRebuilds(t *testing.T) {
	const line = "web tcp 203.0.113.10:80 wrr 10.3.0.1:80=3 10.3.0.2:80=2 10.3.0.3:80=1"
	counts := make(map[string]int)
	var built *Table
	for range 10 {
		built = table(t, built, line)
		for _, name := range picks(built.Services[0], 100) {
			counts[name]++
		}
	}
	want := map[string]int{"10.3.0.1:80": 500, "10.3.0.2:80": 334, "10.3.0.3:80": 166}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("1000 connections (-want +got):\n%s", diff)
	}
}

// Workers look up, pick and store loads while tables are built from the one they
// read: run with -race.
func TestReadWhileBuilding(t *testing.T) {
	lines := func(n int) (lines []string) {
		for i, scheduler := range []string{"wrr", "wlc", "mh,mh-fallback", "lblcr"} {
			down := []string{"", "!", "~"}[(n+i)%3]
			lines = append(lines, fmt.Sprintf("s%d tcp 203.0.113.%d:80 %s 10.3.0.1:80=%d %s10.3.0.2:80=2 sorry=10.3.0.9:80", i, i, scheduler, 1+n%4, down))
		}
		return lines
	}
	var current atomic.Pointer[Table]
	current.Store(table(t, nil, lines(0)...))
	var stop atomic.Bool
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				s := find(current.Load(), packet.TCP, fmt.Sprintf("203.0.113.%d:80", n%4))
				k := &schedule.Key{VIP: s.VIP, VIPPort: s.Port, Protocol: s.Protocol, ClientPort: uint16(n)}
				if at := s.Scheduler.Pick(k); at >= 0 {
					s.Members[at].Load.Cell(worker).Set(uint32(n), 0)
				}
			}
		})
	}
	for n := range 100 {
		current.Store(table(t, current.Load(), lines(n)...))
	}
	stop.Store(true)
	wg.Wait()
}

func BenchmarkBuild(b *testing.B) {
	var lines []string
	for i := range 100 {
		line := fmt.Sprintf("s%d tcp 203.0.113.%d:80 wrr", i, i)
		for j := range 10 {
			line += fmt.Sprintf(" 10.3.%d.%d:80=%d", i, j, j+1)
		}
		lines = append(lines, line)
	}
	var specs []Spec
	for _, line := range lines {
		specs = append(specs, spec(b, line))
	}
	prev := table(b, nil, lines...)
	for b.Loop() {
		if _, err := Build(specs, prev); err != nil {
			b.Fatal(err)
		}
	}
}
