package node

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlb/fullnat/nexthop"
	"fleetlb/node/admin"
	"fleetlb/node/vrrp"
	"fleetlb/session"
)

func ips(all ...string) (as []netip.Addr) {
	for _, a := range all {
		as = append(as, netip.MustParseAddr(a))
	}
	return as
}

// lanGroup is a group of both VIPs that the services here have.
func lanGroup(vips ...string) vrrp.Group {
	return vrrp.Group{Name: "lan", Interface: "eth0", ID: 51, Priority: 100, Interval: time.Second, Preempt: true, Addresses: ips(vips...)}
}

// TestStand: who takes part, who holds, and what the workers and the routers are
// told of it.
func TestStand(t *testing.T) {
	const three = `
		web 203.0.113.10:80 > 11
		tls 203.0.113.11:443 > 12
		dns 203.0.113.53:53 protocol="udp" > 13`
	tests := []struct {
		name   string
		health string
		state  vrrp.State
		change func(*inputs)
		ready  bool
		want   string // held; elsewhere; backup; announced
	}{
		{"a backup holds nothing of the group", "11 up, 12 up, 13 up", vrrp.Backup, nil, true,
			"holds 53; elsewhere 10 11; backup 10 11; routes 53"},
		{"the active one holds all of it", "11 up, 12 up, 13 up", vrrp.Active, nil, true,
			"holds 10 11 53; elsewhere ; backup ; routes 10 11 53"},
		{"and of what has no server too, if of one it can serve", "11 up, 13 up", vrrp.Active, nil, true,
			"holds 10 11 53; elsewhere ; backup ; routes 10 53"},
		{"but not if of none", "13 up", vrrp.Active, nil, false,
			"holds 53; elsewhere 10 11; backup ; routes 53"},
		{"nor when it drains", "11 up, 12 up, 13 up", vrrp.Active, func(in *inputs) { in.draining = true }, false,
			"holds ; elsewhere 10 11; backup ; routes "},
		{"nor when it may not serve yet", "11 up, 12 up, 13 up", vrrp.Active, func(in *inputs) { in.held = true }, false,
			"holds ; elsewhere 10 11; backup ; routes "},
		{"nor when the workers are stuck", "11 up, 12 up, 13 up", vrrp.Active, func(in *inputs) { in.alive = false }, false,
			"holds ; elsewhere 10 11; backup ; routes "},
		{"nor when the interface is down", "11 up, 12 up, 13 up", vrrp.Active, func(in *inputs) { in.linked = func(string) bool { return false } }, false,
			"holds 53; elsewhere 10 11; backup ; routes 53"},
		{"given away, and carried until another has it", "11 up, 12 up, 13 up", vrrp.Initialize, func(in *inputs) { in.draining = true }, false,
			"holds ; elsewhere 10 11; backup ; routes "},
		{"in a fleet the rest is for rendezvous", "11 up, 12 up, 13 up", vrrp.Backup, func(in *inputs) {
			in.self = session.NodeIDOf("lb1")
			in.others = nil
		}, true, "holds 53; elsewhere 10 11; backup 10 11; routes 53"},
		{"where another director could hold it just as well", "11 up, 12 up, 13 up", vrrp.Active, func(in *inputs) {
			in.self = session.NodeIDOf("lb1")
			in.others = append(in.others, member("lb2", "10.2.2.0/28"))
			in.offers = map[session.NodeID]map[netip.Addr]bool{session.NodeIDOf("lb2"): {
				ips("203.0.113.10")[0]: true, ips("203.0.113.11")[0]: true,
			}}
		}, true, "holds 10 11 53; elsewhere ; backup ; routes 10 11 53"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := sound(several(t, three), tt.health)
			in.locals = nil
			g := lanGroup("203.0.113.10", "203.0.113.11")
			in.groups = []vrrp.Group{g}
			in.polls = map[vrrp.Place]vrrp.Status{g.Place(): {State: tt.state, Claims: 3}}
			in.linked = func(ifname string) bool { return ifname == "eth0" }
			if tt.change != nil {
				tt.change(in)
			}
			p := newPlan(in)
			var held, routes []netip.Addr
			for vip, here := range p.held {
				if here {
					held = append(held, vip)
				}
			}
			slices.SortFunc(held, netip.Addr.Compare)
			for _, r := range p.routes {
				if r.Prefix.IsSingleIP() {
					routes = append(routes, r.Prefix.Addr())
				}
			}
			got := fmt.Sprintf("holds %s; elsewhere %s; backup %s; routes %s", tails(held), tails(p.lan.Elsewhere), tails(p.lan.Backup), tails(routes))
			if got != tt.want || p.groups[0].Ready != tt.ready {
				t.Errorf("%s, ready %v\nwant %s, %v", got, p.groups[0].Ready, tt.want, tt.ready)
			}
			if announced := slices.ContainsFunc(routes, func(a netip.Addr) bool { return a == g.Addresses[0] }); p.services[0].announced != announced {
				t.Errorf("the service says that it is announced: %v", p.services[0].announced)
			}
			if claims := p.lan.Claims[g.Addresses[0]]; (claims == 3) != p.held[g.Addresses[0]] {
				t.Errorf("%d claims", claims)
			}
		})
	}
}

// tails are the last bytes of addresses.
func tails(all []netip.Addr) string {
	var words []string
	for _, a := range all {
		b := a.As4()
		words = append(words, fmt.Sprint(b[3]))
	}
	return strings.Join(words, " ")
}

// A ballot is what VRRP would be.
type ballot struct {
	*world
	all  []vrrp.Status
	news chan struct{}
}

func (b *ballot) Set(groups []vrrp.Group) error {
	var said []string
	for _, g := range groups {
		word := "resigns"
		if g.Ready {
			word = "stands"
		}
		said = append(said, fmt.Sprintf("%s %s", g.Name, word))
	}
	return b.note("vrrp", strings.Join(said, ", "))
}
func (b *ballot) Groups() []vrrp.Status       { return b.all }
func (b *ballot) Changes() <-chan struct{}    { return b.news }
func (b *ballot) Close(context.Context) error { return b.note("resign", "") }

type cabled struct{ hops }

func (c cabled) Table() *nexthop.Table {
	n := nexthop.Network{
		Ports:     []nexthop.Port{{Interface: nexthop.Interface{Name: "eth0", MTU: 1500}, Up: true}},
		Addresses: [][]netip.Prefix{{netip.MustParsePrefix("203.0.113.1/24")}},
	}
	return n.Table(1)
}

const onLAN = `
[[vrrp]]
name = "lan"
id = 51
interval = "500ms"
vips = ["203.0.113.10"]
`

// TestElection: the director resigns when its workers answer no more, and not
// before; and what VRRP decides is heard.
func TestElection(t *testing.T) {
	w, d := newWorld(t, write(t, t.TempDir(), carrier+onLAN+tomls(t, web)))
	own := groupsOf(d.config)[0]
	b := &ballot{world: w, news: make(chan struct{}, 1), all: []vrrp.Status{{
		Name: "lan", Interface: "eth0", ID: 51, Addresses: own.Addresses, Own: own, State: vrrp.Active, Priority: 100, Interval: 500 * time.Millisecond,
	}}}
	d.elector, d.hops = b, cabled{hops{w}}
	if want := lanGroup("203.0.113.10"); own.Name != want.Name || own.Interface != want.Interface || own.Interval != 500*time.Millisecond || own.Checksum != vrrp.Pseudo {
		t.Errorf("%+v", own)
	}
	w.health(d, "11 up")
	d.settle()
	if got := w.since(); got != "publish web(1)\nvrrp lan stands" || d.plan.lan.Elsewhere != nil {
		t.Errorf("%s, elsewhere %v", got, d.plan.lan.Elsewhere)
	}
	if !d.heard() || d.movable() != nil {
		t.Error("it cannot be drained")
	}
	d.draining = true
	d.settle()
	if got := w.since(); got != "publish web(1)\nvrrp lan resigns" || len(d.plan.lan.Elsewhere) != 1 {
		t.Errorf("%s, elsewhere %v", got, d.plan.lan.Elsewhere)
	}
	d.draining = false
	d.settle()
	w.since()
	b.all[0].State = vrrp.Backup
	b.news <- struct{}{}
	d.turn(t.Context(), nil)
	if got := w.since(); got != "publish web(1)\nvrrp lan stands" || len(d.plan.lan.Backup) != 1 {
		t.Errorf("%s, backup %v", got, d.plan.lan.Backup)
	}
	d.farewell()
	if got := w.since(); got != "resign" {
		t.Error(got)
	}
	if err := Check(d.config); err != nil {
		t.Error(err)
	}
}

// TestElectionRows: what the operator reads of it.
func TestElectionRows(t *testing.T) {
	w, d := newWorld(t, write(t, t.TempDir(), carrier+onLAN+tomls(t, web)))
	own := groupsOf(d.config)[0]
	b := &ballot{world: w}
	d.elector, d.hops = b, cabled{hops{w}}
	now := time.Now()
	other := vrrp.Other{Address: ips("10.1.0.9")[0], Priority: 150, Interval: own.Interval, Addresses: own.Addresses, Last: now, Count: 9}
	with := func(f func(*vrrp.Other)) []vrrp.Other {
		o := other
		f(&o)
		return []vrrp.Other{o}
	}
	second := other
	second.Address = ips("10.1.0.8")[0]
	tests := []struct {
		name   string
		status vrrp.Status
		want   string // doctor
		where  string // explain
	}{
		{"active", vrrp.Status{State: vrrp.Active}, "ok active, with priority 100", "this director holds 203.0.113.10 on eth0 (vrrp lan)"},
		{"backup", vrrp.Status{State: vrrp.Backup, Others: []vrrp.Other{other}}, "ok backup to 10.1.0.9, which has priority 150",
			"router 10.1.0.9 holds 203.0.113.10 on eth0 (vrrp lan): its priority is 150, ours 100"},
		{"nobody", vrrp.Status{State: vrrp.Backup}, "ok backup, and soon active: no other router is heard",
			"nobody is known to hold 203.0.113.10 on eth0 (vrrp lan): see fleetlb vrrp"},
		{"not ready", vrrp.Status{State: vrrp.Initialize, Reason: "not ready"}, "warn takes no part: not ready", ""},
		{"no address", vrrp.Status{Problem: "interface eth0 has no IPv4 address to speak from"}, "fail interface eth0 has no IPv4 address to speak from", ""},
		{"two", vrrp.Status{State: vrrp.Active, Others: []vrrp.Other{other}}, "fail active here and at 10.1.0.9 (priority 150)", ""},
		{"a moment ago", vrrp.Status{State: vrrp.Active, Others: with(func(o *vrrp.Other) { o.Last = now.Add(-10 * time.Second) })}, "ok active, with priority 100", ""},
		{"a handover", vrrp.Status{State: vrrp.Active, Others: with(func(o *vrrp.Other) { o.Count = 1 })}, "ok active, with priority 100", ""},
		{"two others", vrrp.Status{State: vrrp.Backup, Others: []vrrp.Other{other, second}}, "fail active at 10.1.0.9 (priority 150) and 10.1.0.8 (priority 150)", ""},
		{"another interval", vrrp.Status{State: vrrp.Backup, Others: with(func(o *vrrp.Other) { o.Interval = time.Second })},
			"warn 10.1.0.9 advertises every 1s, and here interval is 500ms", ""},
		{"other addresses", vrrp.Status{State: vrrp.Backup, Others: with(func(o *vrrp.Other) { o.Addresses = ips("203.0.113.10", "203.0.113.11") })},
			"warn 10.1.0.9 holds 203.0.113.10, 203.0.113.11, and here vips are 203.0.113.10", ""},
		{"another checksum", vrrp.Status{State: vrrp.Backup, Others: with(func(o *vrrp.Other) { o.Checksum = vrrp.Plain })},
			"warn 10.1.0.9 makes its checksums as in rfc9568, and here checksum is rfc5798", ""},
		{"another version", vrrp.Status{State: vrrp.Active, Drops: map[string]uint64{"bad_version": 7}}, "warn 7 advertisements of another version than 3", ""},
	}
	for _, tt := range tests {
		s := tt.status
		s.Name, s.Interface, s.ID, s.Addresses, s.Own, s.Priority, s.Interval, s.Since = "lan", "eth0", 51, own.Addresses, own, 100, own.Interval, now.Add(-time.Minute)
		s.Address = ips("10.1.0.11")[0]
		b.all = []vrrp.Status{s}
		var got []string
		for _, f := range (backend{d}).elections() {
			if f.Check != "vrrp lan" || f.State != "ok" && f.Advice == "" {
				t.Errorf("%s: %+v", tt.name, f)
			}
			got = append(got, f.State+" "+f.Found)
		}
		if strings.Join(got, "\n") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if where := (backend{d}).whereElected(own.Addresses[0]); tt.where != "" && where != tt.where {
			t.Errorf("%s: %s, want %s", tt.name, where, tt.where)
		}
	}
	if where := (backend{d}).whereElected(ips("203.0.113.99")[0]); where != "" {
		t.Error(where)
	}
	b.all[0].Others, b.all[0].State, b.all[0].Sent = []vrrp.Other{other}, vrrp.Backup, 7
	rows, err := backend{d}.VRRP(t.Context())
	want := admin.VRRP{Name: "lan", Interface: "eth0", ID: 51, VIPs: own.Addresses, State: "backup", SinceS: 60, Priority: 100, Active: other.Address, ActivePriority: 150,
		IntervalMS: 500, Sent: 7, Dropped: 7}
	if err != nil || len(rows) != 1 || fmt.Sprint(rows[0]) != fmt.Sprint(want) {
		t.Errorf("%+v, %v", rows, err)
	}
}
