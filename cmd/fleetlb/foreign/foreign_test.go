package foreign

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/rogpeppe/go-internal/txtar"

	"fleetlb/node/config"
)

// TestLoads: what comes out is a director's configuration, as it stands.
func TestLoads(t *testing.T) {
	archive, err := txtar.ParseFile("../testdata/import.txtar")
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for _, f := range archive.Files {
		var site *Site
		var blocks []string
		switch f.Name {
		case "keepalived.conf":
			site = Keepalived(string(f.Data))
		case "rules":
			site, blocks = Rules(t.Context(), strings.NewReader(string(f.Data))), []string{"10.2.1.0/28", "2001:db8:2::/124"}
		default:
			continue
		}
		loaded++
		if _, err := load(t, site.TOML(f.Name, blocks)); err != nil {
			t.Errorf("%s: %v\n%s", f.Name, err, site.TOML(f.Name, blocks))
		}
	}
	if loaded != 2 {
		t.Errorf("%d files", loaded)
	}
}

func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lb.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path, config.Host{})
}

// show writes statements as blocks on one line, with their lines.
func show(all []statement) string {
	var parts []string
	for _, s := range all {
		text := fmt.Sprintf("%d:%s", s.line, strings.Join(s.words, "|"))
		if s.block != nil {
			text += " { " + show(s.block) + " }"
		}
		parts = append(parts, strings.ReplaceAll(text, "{  }", "{ }"))
	}
	return strings.Join(parts, "; ")
}

func TestSyntax(t *testing.T) {
	for _, tt := range []struct{ name, text, want, notes string }{
		{"nothing", "", "", ""},
		{"words", "lb_algo  rr\t x", "1:lb_algo|rr|x", ""},
		{"comments", "# all\n! all\na b # rest\nc!d e", "3:a|b; 4:c!d|e", ""},
		{"quotes", `a "b c" "" d"e f"g`, "1:a|b c||de fg", ""},
		{"a block", "a 1 {\n b 2\n}\nc", "1:a|1 { 2:b|2 }; 4:c", ""},
		{"in one line", "a { b 2 } c { } d", "1:a { 1:b|2 }; 1:c { }; 1:d", ""},
		{"the brace by itself", "a 1\n{\nb\n}\n", "1:a|1 { 3:b }", ""},
		{"blocks in blocks", "a {\nb {\nc\n}\nd\n}", "1:a { 2:b { 3:c }; 5:d }", ""},
		{"joined to the word", "a{\nb}\nc", "1:a { 2:b }; 3:c", ""},
		{"a long line", "a \\\n b", "2:a|b", ""},
		{"a definition", "$X=1 2\na $X ${X} $Y", "2:a|1|2|1|2|$Y", ""},
		{"for some hosts", "@lb1 a\nb", "2:b", "line 1: a line for some hosts only (@lb1): not carried over"},
		{"not closed", "a {\nb", "1:a { 2:b }", "line 2: a block is not closed"},
		{"closed twice", "a {\n}\n}\nb", "1:a { }; 4:b", "line 3: a brace closes no block"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := &Site{}
			if got := show(read(tt.text, site)); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			if got := notes(site); got != tt.notes {
				t.Errorf("notes %q, want %q", got, tt.notes)
			}
		})
	}
}

func notes(s *Site) string {
	var all []string
	for _, n := range s.Notes {
		all = append(all, n.String())
	}
	return strings.Join(all, "; ")
}

// TestVirtual: what stands in a virtual_server, and what it becomes: the keys that
// are not the same for all, then servers with theirs.
func TestVirtual(t *testing.T) {
	const tcp = "virtual_server 203.0.113.10 80 {\n"
	for _, tt := range []struct{ name, text, want, notes string }{
		{"bare", tcp + "}", "", ""},
		{"IPv6", "virtual_server 2001:db8::10 80 { }", "vip=[2001:db8::10]:80", ""},
		{"any port", "virtual_server 203.0.113.10 { persistence_timeout }", "persistence=360s vip=203.0.113.10:0", ""},
		{"no address", "virtual_server web 80 { }", "-", "line 1: web 80: not an address and a port"},
		{"no port", "virtual_server 203.0.113.10 http { }", "-", "line 1: 203.0.113.10 http: not an address and a port"},
		{"nothing at all", "virtual_server { }", "-", "line 1: no address"},
		{"a group there is not", "virtual_server group web { }", "-", "line 1: virtual_server group web: not carried over: there is no such group with addresses"},
		{"twice", tcp + "}\n" + tcp + "}", "", "line 3: virtual_server 203.0.113.10 80: not carried over: line 1 has it already"},
		{"methods", tcp + "lvs_method tun type gue port 6081\nlvs_sched mh\nmh-port\nmh-fallback\n}",
			"mode=tun scheduler=mh scheduler_flags=mh-port,mh-fallback tunnel=gue tunnel_port=6081", ""},
		{"a method there is not", tcp + "lb_kind ROUTE\n}", "", "line 2: lb_kind ROUTE: not carried over"},
		{"a server without a check", tcp + "real_server 10.3.0.11 80 { weight 0 }\n}", "> 10.3.0.11:80 weight=0", ""},
		{"a weight for all", tcp + "weight 5\nreal_server 10.3.0.11 80 { }\nreal_server 10.3.0.12 80 { weight 6 }\n}", "> 10.3.0.11:80 weight=5 > 10.3.0.12:80 weight=6", ""},
		{"a check for all", tcp + "connect_timeout 4\nretry 1\nreal_server 10.3.0.11 80 { TCP_CHECK { } }\n}",
			"check.fall=2 check.rise=1 check.timeout=4s check.type=tcp > 10.3.0.11:80", ""},
		{"the server says better", tcp + "delay_loop 10\nreal_server 10.3.0.11 80 { delay_loop 3\nTCP_CHECK { retry 4 } }\n}",
			"check.fall=5 check.interval=3s check.rise=1 check.type=tcp > 10.3.0.11:80", ""},
		{"the second says less", tcp + "real_server 10.3.0.11 80 { HTTP_GET { connect_port 81\nurl { path /x } } }\nreal_server 10.3.0.12 80 { HTTP_GET { url { path /x } } }\n}",
			"check.path=/x check.port=81 check.rise=1 check.type=http > 10.3.0.11:80 > 10.3.0.12:80 check.path=/x check.port=0 check.rise=1 check.type=http", ""},
		{"of a server alone", tcp + "real_server 10.3.0.11 80 { lb_kind DR }\nreal_server 10.3.0.12 81 { }\n}", "> 10.3.0.11:80 mode=dr > 10.3.0.12:81", ""},
		{"a payload that is none", "virtual_server 203.0.113.10 53 {\nprotocol UDP\nreal_server 10.3.0.11 53 { UDP_CHECK { payload xyz } }\n}",
			"check.rise=1 check.type=udp protocol=udp vip=203.0.113.10:53 > 10.3.0.11:53", "line 3: UDP_CHECK: payload xyz: not hexadecimal"},
		{"a script by its name", tcp + "real_server 10.3.0.11 80 { MISC_CHECK { misc_path probe } }\n}",
			"check.command=[\"probe\"] check.rise=1 check.type=exec > 10.3.0.11:80", "line 2: misc_path probe: here a program is called by its absolute path"},
		{"what nobody knows", tcp + "frobnicate 3\nreal_server 10.3.0.11 80 { frobnicate\nTCP_CHECK { frobnicate } }\n}", "check.rise=1 check.type=tcp > 10.3.0.11:80",
			"line 2: virtual_server: frobnicate 3: not carried over; line 3: real_server: frobnicate: not carried over; line 4: TCP_CHECK: frobnicate: not carried over"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := Keepalived(tt.text)
			got := "-"
			if len(site.Services) > 0 {
				got = written(&site.Services[0])
			}
			if got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			if got := notes(site); got != tt.notes {
				t.Errorf("notes %q\nwant  %q", got, tt.notes)
			}
		})
	}
}

// written leaves out what a service has that says nothing.
func written(v *Service) string {
	usual := map[string]string{"protocol": "tcp", "mode": "nat", "scheduler": "wlc", "check.type": "none", "vip": "203.0.113.10:80"}
	var all []string
	for _, key := range slices.Sorted(func(yield func(string) bool) {
		for key := range v.Set {
			if !yield(key) {
				return
			}
		}
	}) {
		if v.Set[key] != usual[key] {
			all = append(all, key+"="+v.Set[key])
		}
	}
	for _, r := range v.Servers {
		all = append(all, "> "+r.Address)
		for _, key := range ordered(r.Set) {
			all = append(all, key+"="+r.Set[key])
		}
	}
	return strings.Join(all, " ")
}

// FuzzKeepalived: whatever is read, TOML comes out, a service of it for each that
// was understood, and notes are of lines there are.
func FuzzKeepalived(f *testing.F) {
	archive, err := txtar.ParseFile("../testdata/import.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if file.Name == "keepalived.conf" {
			f.Add(string(file.Data))
		}
	}
	f.Add("virtual_server 203.0.113.10 80 {\nreal_server 10.0.0.1 80 {\nHTTP_GET { url { path \"/\\\"x\" status_code 1,2 } } } }")
	f.Add("$A=virtual_server\n$A group g { }\nvirtual_server_group g { ::1-ffff 1 }")
	f.Add("vrrp_instance a { interface e\nvirtual_router_id 1\nadvert_int NaN\nvirtual_ipaddress { 203.0.113.10/24 dev\n203.0.113.10 } }\nvirtual_server 203.0.113.10 80 { }")
	f.Add(strings.Repeat("a {\n", 40))
	f.Fuzz(func(t *testing.T, text string) {
		site := Keepalived(text)
		var read struct {
			Service []struct{ Server []struct{} }
			VRRP    []struct{}
		}
		out := site.TOML("a\nfile", nil)
		if _, err := toml.Decode(out, &read); err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		if len(read.Service) != len(site.Services) || len(read.VRRP) != len(site.Groups) {
			t.Errorf("%d services of %d, %d groups of %d", len(read.Service), len(site.Services), len(read.VRRP), len(site.Groups))
		}
		lines := strings.Count(text, "\n") + 1
		for _, n := range site.Notes {
			if n.Line < 0 || n.Line > lines {
				t.Errorf("a note of line %d of %d: %v", n.Line, lines, n)
			}
		}
	})
}
