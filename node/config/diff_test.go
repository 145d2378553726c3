package config

import (
	"strings"
	"testing"
)

// TestDiff edits the golden "whole" and reads what a reload would log.
func TestDiff(t *testing.T) {
	whole := readGolden(t, "whole")
	tests := []struct {
		name, old, new string
		want           []string
		restart        string
	}{
		{"nothing", "", "", nil, ""},
		{"what is said anyway", `log_format = "json"`, "log_format = \"json\"\n# a comment", nil, ""},
		{"a default written out", `replicas = 1`, "replicas = 1\nseeds = []", nil, ""},
		{"one word", `log_level = "debug"`, `log_level = "info"`,
			[]string{`node: log_level "debug" → "info"`}, ""},
		{"a duration", `established = "1h"`, `established = "60s"`,
			[]string{`service "www": timeouts: established 1h → 1m`}, ""},
		{"a list", `"no-export"]`, `"no-peer"]`,
			[]string{`bgp: neighbor 10.1.0.1: communities ["65001:100", "no-export"] → ["65001:100", "no-peer"]`}, ""},
		{"a value comes", "prepend = 2", "", []string{`bgp: neighbor 10.1.0.1: prepend 2 → 0`}, ""},
		{"a value goes", "med = 0", "", []string{`bgp: neighbor 10.1.0.1: med 0 → none`}, ""},
		{"an address goes", `metrics = "[::1]:9590"`, "", []string{`admin: metrics [::1]:9590 → none`}, ""},
		{"a server's weight and state", `enabled = false, weight = 65535`, `weight = 1`,
			[]string{`service "dns": server [2001:db8:3::12]:53: weight 65535 → 1`, `service "dns": server [2001:db8:3::12]:53: enabled false → true`}, ""},
		{"another server", `"10.3.0.11:443"`, `"10.3.0.19:443"`,
			[]string{`service "www": server 10.3.0.11:443 removed`, `service "www": server 10.3.0.19:443 added`}, ""},
		{"a check of its own", `"B.c" = ""`, `"B.c" = "2"`,
			[]string{`service "www": server 10.3.0.13:443: check: env { A = "1", "B.c" = "" } → { A = "1", "B.c" = "2" }`}, ""},
		{"no check of its own", "[service.server.check]\ntype = \"none\"", "",
			[]string{`service "www": server 10.3.0.14:443: check removed`}, ""},
		{"a check of another type", `type = "dns", dns_name = "example.com", dns_type = "SOA", expect = "ns1", fall = 5`, `type = "none"`,
			[]string{`service "dns": check: type "dns" → "none"`, `service "dns": server [2001:db8:3::13]:5353: check: fall 5 → 3`}, ""},
		{"a check of a richer type", `type = "dns", dns_name = "example.com", dns_type = "SOA", expect = "ns1", fall = 5`, `type = "udp", payload = "x", fall = 5`,
			[]string{`service "dns": check: type "dns" → "udp"`, `service "dns": check: payload none → "x"`,
				`service "dns": check: payload_hex none → ""`, `service "dns": check: expect "ns1" → ""`, `service "dns": check: expect_hex none → ""`}, ""},
		{"a service renamed", `name = "dns"`, `name = "names"`,
			[]string{`service "dns" removed`, `service "names" added`}, ""},
		{"gossip goes", "[gossip]\nbind = \"127.0.0.1:7946\"\nkey_file = \"gossip.key\"\nreplicas = 1", "",
			[]string{`gossip removed`}, `gossip removed: cannot change while running; restart fleetlbd`},
		{"local addresses", `"10.2.2.7", `, ``,
			[]string{`fullnat: local_addresses ["10.2.1.0/28", "10.2.2.7/32", "2001:db8:2:1::/124"] → ["10.2.1.0/28", "2001:db8:2:1::/124"]`}, ""},

		{"the name", `"lb-1.example"`, `"lb2"`,
			[]string{`node: name "lb-1.example" → "lb2"`},
			`node: name "lb-1.example" → "lb2": cannot change while running; restart fleetlbd`},
		{"workers and the socket", "workers = 2", "workers = 3",
			[]string{`node: workers 2 → 3`},
			`node: workers 2 → 3: cannot change while running; restart fleetlbd`},
		{"interfaces and sessions", "interfaces = [\"eth0\"]\nworkers = 2\nmax_sessions = 2_000_000", "interfaces = [\"eth0\", \"eth1\"]\nworkers = 2",
			[]string{`node: interfaces ["eth0"] → ["eth0", "eth1"]`, `node: max_sessions 2000000 → 1000000`},
			"node: interfaces [\"eth0\"] → [\"eth0\", \"eth1\"]: cannot change while running; restart fleetlbd\n" +
				`node: max_sessions 2000000 → 1000000: cannot change while running; restart fleetlbd`},
		{"the socket", `socket = "/run/lb.sock"`, ``,
			[]string{`admin: socket "/run/lb.sock" → "/run/fleetlb/admin.sock"`},
			`admin: socket "/run/lb.sock" → "/run/fleetlb/admin.sock": cannot change while running; restart fleetlbd`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir() // one, for the secrets' paths
			old := must(t, lay(t, dir, whole))
			if !strings.Contains(whole, tt.old) {
				t.Fatalf("no %q in the golden", tt.old)
			}
			new := must(t, lay(t, dir, strings.Replace(whole, tt.old, tt.new, 1)))
			got := Diff(old, new)
			if lines(got) != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", lines(got), strings.Join(tt.want, "\n"))
			}
			if old.Equal(new) != (len(got) == 0) {
				t.Errorf("Equal says %v, and there are %d changes", old.Equal(new), len(got))
			}
			restart := ""
			if err := Reloadable(old, new); err != nil {
				restart = err.Error()
			}
			if restart != tt.restart {
				t.Errorf("got\n%s\nwant\n%s", restart, tt.restart)
			}
		})
	}
}

func TestDiffIgnoresOrder(t *testing.T) {
	dir := t.TempDir()
	a := must(t, lay(t, dir, readGolden(t, "weights")))
	b := must(t, lay(t, dir, readGolden(t, "weights")))
	s := b.Services[0].Servers
	s[0], s[2] = s[2], s[0]
	if got := Diff(a, b); len(got) > 0 {
		t.Errorf("got %v", got)
	}
	if a.Equal(b) {
		t.Error("equal, though a reader sees another order")
	}
}

func TestDiffOfFirstAndLast(t *testing.T) {
	dir := t.TempDir()
	minimal := must(t, lay(t, dir, readGolden(t, "minimal")))
	whole := must(t, lay(t, dir, readGolden(t, "whole")))
	there, back := Diff(minimal, whole), Diff(whole, minimal)
	if len(there) != len(back) {
		t.Errorf("%d changes there, %d back", len(there), len(back))
	}
	if err := Reloadable(whole, minimal); err == nil || strings.Contains(err.Error(), "bgp") {
		t.Errorf("a speaker comes and goes while the director runs; got %v", err)
	}
	for _, want := range []string{"bgp added", "gossip added", `service "dns" added`, `service "www" added`} {
		if !strings.Contains(lines(there), want) {
			t.Errorf("no %q in\n%s", want, lines(there))
		}
	}
}

func lines(changes []Change) string {
	var all []string
	for _, c := range changes {
		all = append(all, c.String())
	}
	return strings.Join(all, "\n")
}

func must(t testing.TB, path string) *Config {
	t.Helper()
	c, err := Load(path, Host{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
