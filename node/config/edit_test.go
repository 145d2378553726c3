package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

const edited = `
name = "web"
vip = "203.0.113.10:80"
scheduler = "wrr"
[service.timeouts]
established = "10m"
[service.check]
type = "http"
path = "/a"
interval = "5s"
[[service.server]]
address = "10.3.0.11:80"
weight = 2
[[service.server]]
address = "10.3.0.12:80"
[service.server.check]
port = 8081
`

// edits reads lines: a verb, "web" or "web/10.3.0.11:80", and KEY=VALUE.
func edits(t *testing.T, lines string) (all []Edit) {
	t.Helper()
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		e := Edit{Verb: f[0]}
		var server string
		e.Service, server, _ = strings.Cut(f[1], "/")
		if server != "" {
			e.Server = netip.MustParseAddrPort(server)
		}
		for _, w := range f[2:] {
			if e.Set == nil {
				e.Set = map[string]string{}
			}
			key, word, _ := strings.Cut(w, "=")
			e.Set[key] = strings.ReplaceAll(word, "_", " ")
		}
		all = append(all, e)
	}
	return all
}

// differences are the keys that are not as they were, of a service and, each
// behind its address, of its servers.
func differences(before, after *Service) string {
	if after == nil {
		return "gone"
	}
	table := func(s *Service) map[string]string {
		all, servers := s.Words()
		for i, r := range s.Servers {
			for key, word := range servers[i] {
				all[r.Address.String()+" "+key] = word
			}
		}
		return all
	}
	was, is := table(before), table(after)
	var all []string
	for _, key := range sortedKeys(is) {
		if word, had := was[key]; !had || word != is[key] {
			all = append(all, key+"="+is[key])
		}
	}
	for _, key := range sortedKeys(was) {
		if _, has := is[key]; !has && !strings.Contains(key, " ") {
			all = append(all, "-"+key)
		}
	}
	return strings.Join(all, " ")
}

// TestRevise: an edit changes what it names, what goes with that, and nothing
// else.
func TestRevise(t *testing.T) {
	tests := []struct{ name, edits, want string }{
		{"nothing", "edit web", ""},
		{"a word", "edit web scheduler=mh", "scheduler=mh"},
		{"a list", "edit web scheduler=mh scheduler_flags=mh-port,mh-fallback", "scheduler=mh scheduler_flags=mh-port,mh-fallback"},
		{"a list as in a file", `edit web scheduler=mh scheduler_flags=["mh-port"]`, "scheduler=mh scheduler_flags=mh-port"},
		{"a number", "edit web quorum=2", "quorum=2"},
		{"a truth", "edit web inhibit_on_failure=true", "inhibit_on_failure=true"},
		{"below", "edit web timeouts.established=1h check.path=/b", "10.3.0.12:80 check.path=/b check.path=/b timeouts.established=1h"},
		{"back to the default", "edit web timeouts.established= scheduler=", "timeouts.established=15m"},
		{"a whole table back", "edit web timeouts=", "timeouts.established=15m"},
		{"statuses", "edit web check.status=200-299,404", "10.3.0.12:80 check.status=200-299,404 check.status=200-299,404"},
		{"a command", `edit web/10.3.0.11:80 check.type=exec check.command=["/bin/x","a,b"]`,
			`10.3.0.11:80 check.command=["/bin/x", "a,b"] 10.3.0.11:80 check.env= 10.3.0.11:80 check.fall=3 10.3.0.11:80 check.flap_count=5 ` +
				`10.3.0.11:80 check.flap_hold=5m 10.3.0.11:80 check.flap_window=10m 10.3.0.11:80 check.interval=5s 10.3.0.11:80 check.rise=2 ` +
				`10.3.0.11:80 check.timeout=1s 10.3.0.11:80 check.type=exec`},
		{"a check of another type keeps when, and its servers follow", "edit web check.type=tcp",
			"10.3.0.12:80 check.payload= 10.3.0.12:80 check.payload_hex= 10.3.0.12:80 check.expect_hex= 10.3.0.12:80 check.type=tcp " +
				"check.expect_hex= check.payload= check.payload_hex= check.type=tcp -check.host -check.method -check.path -check.status"},
		{"a server's", "edit web/10.3.0.11:80 weight=5 drain=true", "10.3.0.11:80 drain=true 10.3.0.11:80 weight=5"},
		{"of another family of addresses", "delete web/10.3.0.12:80\nadd web/[2001:db8::1]:80 weight=0", "[2001:db8::1]:80 address=[2001:db8::1]:80 [2001:db8::1]:80 drain=false " +
			"[2001:db8::1]:80 enabled=true [2001:db8::1]:80 lower_threshold=0 [2001:db8::1]:80 upper_threshold=0 [2001:db8::1]:80 weight=0"},
		{"to and fro", "edit web quorum=2\nedit web quorum=1", ""},
		{"gone", "delete web", "gone"},
		{"gone and another", "delete web\nadd web vip=203.0.113.10:80", "check.expect_hex= check.interval=2s check.payload= check.payload_hex= check.type=tcp timeouts.established=15m " +
			"-check.host -check.method -check.path -check.status"},

		{"a key there is not", "edit web shedule=mh", `service "web": unknown key "shedule"; did you mean "scheduler"?`},
		{"a key there is not, below", "edit web check.pth=/", `service "web": unknown key "check.pth"; did you mean "check.path"?`},
		{"a table there is not", "edit web cheque.path=/", `service "web": unknown key "cheque.path"`},
		{"a value that cannot be", "edit web/10.3.0.11:80 weight=heavy", `service "web": server 1: weight wants an integer, not the string "heavy"`},
		{"not of this type", "edit web check.dns_name=x", `service "web": check: dns_name is for dns, not for http`},
		{"a list that is none", "edit web scheduler_flags=[mh", `service "web": scheduler_flags: "[mh" is not what a file could say`},
		{"a word with a table below", "edit web scheduler.flags=x", `service "web": scheduler is no table: it has no flags`},
		{"another name", "edit web name=www", `service "web": its name stays; delete it and add another`},
		{"another address", "edit web/10.3.0.11:80 address=10.3.0.13:80", `service "web": server 10.3.0.11:80: its address stays; delete it and add another`},
		{"a server that is there", "add web/10.3.0.11:80", `service "web" has server 10.3.0.11:80 already`},
		{"a server that is not", "edit web/10.3.0.13:80 weight=1", `service "web" has no server 10.3.0.13:80`},
		{"a service that is there", "add web vip=203.0.113.11:80", `there is a service "web" already`},
	}
	base, err := ReadService(edited)
	if err != nil {
		t.Fatal(err)
	}
	untouched, err := ReadService(edited)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			after, err := Revise(&base, edits(t, tt.edits), nil)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = differences(&base, after)
			}
			if sorted(got) != sorted(tt.want) {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if !reflect.DeepEqual(base, untouched) {
				t.Fatal("what was edited has changed")
			}
		})
	}
	if _, err := Revise(nil, edits(t, "edit wbe quorum=2"), []string{"web", "dns"}); err == nil || err.Error() != `there is no service "wbe"; did you mean "web"?` {
		t.Errorf("%v", err)
	}
}

// sorted makes nothing of the order of words in one line without errors.
func sorted(line string) string {
	if strings.Contains(line, `"web"`) {
		return line
	}
	count := map[string]string{}
	for _, w := range strings.Fields(line) {
		count[w] += "+"
	}
	var all []string
	for _, w := range sortedKeys(count) {
		all = append(all, w+count[w])
	}
	return strings.Join(all, " ")
}

// TestWords: what a service says of itself makes the same of another.
func TestWords(t *testing.T) {
	c := must(t, examples+"reference.toml")
	for i := range c.Services {
		s := &c.Services[i]
		words, servers := s.Words()
		delete(words, "name")
		all := []Edit{{Verb: "add", Service: s.Name, Set: words}}
		for j, r := range s.Servers {
			delete(servers[j], "address")
			all = append(all, Edit{Verb: "add", Service: s.Name, Server: r.Address, Set: servers[j]})
		}
		again, err := Revise(nil, all, nil)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		if !reflect.DeepEqual(again, s) {
			t.Errorf("%s became\n%+v\nfrom\n%+v", s.Name, again, s)
		}
	}
}

// FuzzEdit: whatever is set, either it is refused or the service can be written
// and read again, and says of itself what was said.
func FuzzEdit(f *testing.F) {
	for _, seed := range [][2]string{{"scheduler", "mh"}, {"check.command", `["/x"]`}, {"scheduler_flags", "a,b"}, {"check.env", `{A="b"}`},
		{"check.path", "/\"\x7f\\\n"}, {"vips", ":0"}, {"a.b.c", ""}, {"timeouts", ""}, {"weight", "1"}, {"", "x"}} {
		f.Add(seed[0], seed[1], false)
		f.Add(seed[0], seed[1], true)
	}
	base, err := ReadService(edited)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key, word string, server bool) {
		e := Edit{Verb: "edit", Service: "web", Set: map[string]string{key: word}}
		if server {
			e.Server = base.Servers[0].Address
		}
		after, err := Revise(&base, []Edit{e}, nil)
		if err != nil {
			return
		}
		twice, err := Revise(after, []Edit{e}, nil)
		if err != nil || !reflect.DeepEqual(after, twice) {
			t.Errorf("%q=%q twice: %v\n%+v\n%+v", key, word, err, after, twice)
		}
		text := Marshal(&Config{Services: []Service{*after}})
		if _, err := decodeTOML(string(text)); err != nil {
			t.Errorf("%q=%q: %v", key, word, err)
		}
	})
}
