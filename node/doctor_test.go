package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fleetlb/fullnat"
	"fleetlb/fullnat/nexthop"
	"fleetlb/node/admin"
	"fleetlb/session"
)

// TestCrowded: who has more servers on a link than can be kept is told.
func TestCrowded(t *testing.T) {
	link := nexthop.Network{
		Ports:     []nexthop.Port{{Up: true}},
		Addresses: [][]netip.Prefix{{netip.MustParsePrefix("10.3.0.1/8")}},
	}
	a := netip.MustParseAddr("10.3.0.1")
	for range nexthop.MaxKept {
		a = a.Next()
		link.Wanted = append(link.Wanted, a)
	}
	if f := crowded(link.Table(1)); f != nil {
		t.Errorf("found %+v", f)
	}
	link.Wanted = append(link.Wanted, a.Next())
	if f := crowded(link.Table(2)); len(f) != 1 || f[0].State != "fail" || f[0].Found != "1 are beyond the 16384 whose MAC addresses are kept" {
		t.Errorf("found %+v", f)
	}
}

// TestDoctor holds what is found in a director in trouble to testdata/doctor.txt.
// What is found of the host is this machine's, and only looked at for advice.
func TestDoctor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := troubled(t)
		w := d.plane.(*world)
		w.stuck(3 * time.Second)
		w.counters.Sessions, w.counters.Room = 2_850_000, 1_000_000
		w.counters.Fleet.Roles[session.Home] = 950_000
		w.pools[0].BusiestPorts = 64_000
		serving(t, d)
		findings, err := backend{d}.Doctor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		about := func(f admin.Finding) bool {
			first, _, _ := strings.Cut(f.Check, " ")
			return strings.Contains("workers worker steering configuration sessions local service bgp", first)
		}
		var out bytes.Buffer
		for _, f := range findings {
			if f.State != "ok" && f.Advice == "" {
				t.Errorf("%s: %s: no advice", f.Check, f.Found)
			}
			if about(f) {
				fmt.Fprintf(&out, "%-4s %s: %s\n", f.State, f.Check, f.Found)
				if f.Advice != "" {
					fmt.Fprintf(&out, "     → %s\n", f.Advice)
				}
			}
		}
		golden(t, "doctor", bytes.ReplaceAll(out.Bytes(), []byte(d.config.File), []byte("lb.toml")))
	})
}

// TestDoctorReadsTheFile: what is on the disk is what the next start will get.
func TestDoctorReadsTheFile(t *testing.T) {
	dir := t.TempDir()
	good := carrier + speaks + tomls(t, web)
	path := write(t, dir, good)
	_, d := newWorld(t, path)
	d.settle()
	serving(t, d)
	b := backend{d}
	for _, row := range []struct{ name, text, state, found, advice string }{
		{"as it runs", good, "ok", "lb.toml is what runs", ""},
		{"not reloaded", strings.Replace(good, "weight = 1", "weight = 5", 1), "warn",
			`1 change in the file not running yet, the first: service "web": server 10.3.0.11:80: weight 1 → 5`, "fleetlb reload"},
		{"needs a restart", strings.Replace(strings.Replace(good, "lb1", "lb2", 1), "weight = 1", "weight = 5", 1), "warn",
			`2 changes in the file not running yet, the first: node: name "lb1" → "lb2"`, "restart fleetlbd: a reload cannot change all of it"},
		{"broken", strings.Replace(good, "quorum = 1", "quorum = 7\nhealth = 1", 1), "fail",
			`lb.toml:LINE: service "web": quorum 7 is more than the 2 servers there are (and 1 more)`,
			"mend the file: the director would not start with it again; fleetlbd -check lists all"},
		{"gone", "", "fail", "lb.toml: no such file or directory", "mend the file: the director would not start with it again; fleetlbd -check lists all"},
	} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if row.text != "" {
			write(t, dir, row.text)
		}
		findings, err := b.Doctor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if f.Check != "configuration" {
				continue
			}
			line := 1 + strings.Count(row.text[:max(0, strings.Index(row.text, "quorum = 7"))], "\n")
			found := strings.ReplaceAll(row.found, "LINE", fmt.Sprint(line))
			if f.State != row.state || strings.ReplaceAll(f.Found, path, "lb.toml") != found || f.Advice != row.advice {
				t.Errorf("%s: %+v", row.name, f)
			}
		}
	}
	write(t, dir, good)
	if err := b.Edit(t.Context(), []admin.Edit{{Verb: "weight", Service: "web", Server: server(11), Set: map[string]string{"weight": "9"}}}); err != nil {
		t.Fatal(err)
	}
	findings, _ := b.Doctor(t.Context())
	for _, f := range findings {
		if want := "1 change by command not in the file, the last: server web 10.3.0.11:80: weight 9"; f.Check == "configuration" && f.Found != want {
			t.Errorf("%+v, want %s", f, want)
		}
	}
}

// TestExplain is what the control plane adds to what a worker knows.
func TestExplain(t *testing.T) {
	d := troubled(t)
	w := d.plane.(*world)
	serving(t, d)
	tuple := func(proto, dst string) admin.Tuple {
		return admin.Tuple{Protocol: proto, Src: w.infos[0].Client, Dst: mustAddrPort(dst)}
	}
	inbound := func(service string, fresh bool) fullnat.Explanation {
		return fullnat.Explanation{Direction: "inbound", Service: service, Scheduler: fresh, Why: []string{"…"}}
	}
	for _, row := range []struct {
		name   string
		tuple  admin.Tuple
		worker fullnat.Explanation
		happen func()
		want   string
	}{
		{"a new connection", tuple("tcp", "203.0.113.10:80"), inbound("web", true), nil, `
			…
			server 10.3.0.13:80: connect: connection refused
			203.0.113.10 is announced to 1 neighbour`},
		{"one that is there", tuple("tcp", "203.0.113.10:80"), inbound("web", false), nil, `
			…
			203.0.113.10 is announced to 1 neighbour`},
		{"a server that is disabled", tuple("udp", "203.0.113.53:53"), inbound("dns", true), nil, `
			…
			server 10.3.0.22:80: disabled in the configuration
			203.0.113.53 is announced to 1 neighbour`},
		{"a service that has lost its quorum", tuple("tcp", "203.0.113.10:443"), inbound("tls", true), nil, `
			…
			server 10.3.0.12:80: connect: no answer within 1s
			203.0.113.10 is not announced for this service: 1 of 2 servers can be given new connections, and 2 must be healthy`},
		{"a port that nobody has", tuple("tcp", "203.0.113.10:53"), fullnat.Explanation{Direction: "none", Slot: -1, Worker: -1, Why: []string{"…"}}, nil, `
			…
			203.0.113.10 has "web" at 203.0.113.10:80/tcp, "tls" at 203.0.113.10:443/tcp`},
		{"an address that is not ours", tuple("tcp", "203.0.113.99:80"), fullnat.Explanation{Direction: "none", Why: []string{"…"}}, nil, `
			…`},
		{"an answer", tuple("tcp", "10.2.1.3:5120"), fullnat.Explanation{Direction: "outbound", Service: "web", Why: []string{"…"}}, nil, `
			…`},
		{"no session with any router", tuple("tcp", "203.0.113.10:80"), inbound("web", false), func() { w.peers = nil }, `
			…
			203.0.113.10 should be announced, but no BGP session is established: see fleetlb bgp neighbors`},
		{"a node that drains", tuple("tcp", "203.0.113.10:80"), inbound("web", false), func() { d.draining = true; d.settle() }, `
			…
			203.0.113.10 is not announced: this director is draining`},
		{"nobody to announce to", tuple("tcp", "203.0.113.10:80"), inbound("web", false), func() { d.speaker = nil }, `
			…
			there is no [bgp]: packets come only from where the VIP is on the link or routed here by hand`},
	} {
		w.explains = row.worker
		if row.happen != nil {
			if err := d.do(t.Context(), func() error { row.happen(); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		e, err := backend{d}.Explain(t.Context(), row.tuple)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(e.Why, "\n") + "\n"; got != unindent(row.want) {
			t.Errorf("%s:\n%s\nwant\n%s", row.name, got, unindent(row.want))
		}
		if (e.Scheduler == "wrr") != row.worker.Scheduler {
			t.Errorf("%s: scheduler %q", row.name, e.Scheduler)
		}
	}
	if _, err := (backend{d}).Explain(t.Context(), tuple("icmp", "203.0.113.10:80")); err == nil {
		t.Error("icmp is explained")
	}
}
