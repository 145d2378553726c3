package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fleetlb/node/admin"
	"fleetlb/node/config"
)

// command reads what an operator may say: "weight web 11 3", "drain web 11",
// "add web 14", "delete web 11", "set web scheduler=mh", "new NAME VIP > SERVERS",
// "forget web".
func command(t *testing.T, words string) changes {
	t.Helper()
	if line, ok := strings.CutPrefix(words, "new "); ok {
		return created(t, line)
	}
	f := strings.Fields(words)
	e := admin.Edit{Verb: f[0], Service: f[1]}
	switch f[0] {
	case "forget":
		e.Verb = "delete"
	case "set":
		e.Verb, e.Set = "edit", map[string]string{}
		for _, w := range f[2:] {
			key, word, _ := strings.Cut(w, "=")
			e.Set[key] = word
		}
	default:
		last, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		e.Server = server(last)
		if f[0] == "weight" {
			e.Set = map[string]string{"weight": f[3]}
		}
	}
	c, err := changeOf(&e)
	if err != nil {
		t.Fatal(err)
	}
	return changes{c}
}

// created is a service of a line as in several, as it is added by command.
func created(t *testing.T, line string) changes {
	t.Helper()
	s := one(t, line)
	set := map[string]string{"vip": s.VIP.String()}
	if s.Quorum != 1 {
		set["quorum"] = fmt.Sprint(s.Quorum)
	}
	all := changes{{Edit: config.Edit{Verb: "add", Service: s.Name, Set: set}}}
	for _, r := range s.Servers {
		all = append(all, Change{Edit: config.Edit{Verb: "add", Service: s.Name, Server: r.Address}})
	}
	return all
}

// commanded is the changes and one command more, as the director makes it.
func commanded(t *testing.T, file []config.Service, cs changes, words string) (changes, error) {
	t.Helper()
	s := settingsOf(with(carrying(t), file))
	s.changes = cs
	services, err := cs.apply(file)
	if err != nil {
		t.Fatal(err)
	}
	s.running = with(s.config, services)
	next, err := s.changed(command(t, words), config.Host{})
	return next.changes, err
}

// written is the opposite of several, as far as edits go.
func written(services []config.Service) string {
	var b strings.Builder
	for _, s := range services {
		fmt.Fprintf(&b, "%s:", s.Name)
		for _, r := range s.Servers {
			fmt.Fprintf(&b, " %s", last(r.Address))
			if r.Weight != 1 {
				fmt.Fprintf(&b, "=%d", r.Weight)
			}
			if r.Drain {
				b.WriteString("!")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestEdits(t *testing.T) {
	file := several(t, "web 203.0.113.10:80 > 11 12=2\ndns 203.0.113.53:53 > 21")
	const untouched = "web: 11 12=2\ndns: 21"
	tests := []struct {
		name     string
		commands string // separated by ";"
		want     string
		kept     string // what is still to be remembered; "": nothing
	}{
		{"a weight", "weight web 11 5", "web: 11=5 12=2\ndns: 21", "server web 10.3.0.11:80: weight 5"},
		{"a second weight replaces the first", "weight web 11 5; weight web 11 6", "web: 11=6 12=2\ndns: 21", "server web 10.3.0.11:80: weight 6"},
		{"the file's own weight is none", "weight web 11 5; weight web 11 1", untouched, ""},
		{"drain", "drain web 11", "web: 11! 12=2\ndns: 21", "server web 10.3.0.11:80: drain"},
		{"drain and ready", "drain web 11; ready web 11", untouched, ""},
		{"drain and weigh", "drain web 11; weight web 11 3; weight web 11 4; drain web 11", "web: 11=4! 12=2\ndns: 21",
			"server web 10.3.0.11:80: drain, weight 4"},
		{"servers do not meddle with each other", "weight web 11 5; weight web 12 6; weight dns 21 7; weight web 11 8", "web: 11=8 12=6\ndns: 21=7",
			"server web 10.3.0.12:80: weight 6; server dns 10.3.0.21:80: weight 7; server web 10.3.0.11:80: weight 8"},
		{"add", "add web 13", "web: 11 12=2 13\ndns: 21", "server web 10.3.0.13:80: add"},
		{"add and delete", "add web 13; delete web 13", untouched, ""},
		{"add, weigh and delete", "add web 13; weight web 13 9; drain web 13; delete web 13", untouched, ""},
		{"delete", "delete web 11", "web: 12=2\ndns: 21", "server web 10.3.0.11:80: delete"},
		{"delete what was weighed", "weight web 11 5; delete web 11", "web: 12=2\ndns: 21", "server web 10.3.0.11:80: delete"},
		{"delete and add: with the defaults", "delete web 12; add web 12", "web: 11 12\ndns: 21",
			"server web 10.3.0.12:80: delete; server web 10.3.0.12:80: add"},
		{"to and fro does not add up", "delete web 12; add web 12; delete web 12; add web 12; delete web 12", "web: 11\ndns: 21",
			"server web 10.3.0.12:80: delete"},
		{"a new service", "new api 203.0.113.20:80 > 31", "web: 11 12=2\ndns: 21\napi: 31",
			"service api: add 203.0.113.20:80/tcp; server api 10.3.0.31:80: add"},
		{"what is done to a new service goes with it", "new api 203.0.113.20:80 > 31; add api 32; weight api 31 4; forget api", untouched, ""},
		{"a service of the file goes", "weight web 11 5; forget web", "dns: 21", "service web: delete"},
		{"and comes back as another", "forget web; new web 203.0.113.10:80 > 19", "dns: 21\nweb: 19",
			"service web: delete; service web: add 203.0.113.10:80/tcp; server web 10.3.0.19:80: add"},
		{"names that begin alike are not the same", "new web2 203.0.113.20:80 > 31; weight web2 31 4; forget web", "dns: 21\nweb2: 31=4",
			"service web2: add 203.0.113.20:80/tcp; server web2 10.3.0.31:80: add, weight 4; service web: delete"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var es changes
			for c := range strings.SplitSeq(tt.commands, ";") {
				var err error
				if es, err = commanded(t, file, es, strings.TrimSpace(c)); err != nil {
					t.Fatalf("%s: %v", c, err)
				}
			}
			got, err := es.apply(file)
			if err != nil {
				t.Fatal(err)
			}
			if written(got) != tt.want+"\n" {
				t.Errorf("services are\n%s\nwant\n%s", written(got), tt.want)
			}
			if kept := strings.Join(says(es), "; "); kept != tt.kept {
				t.Errorf("remembers %q, want %q", kept, tt.kept)
			}
			if written(file) != untouched+"\n" {
				t.Fatalf("the file's services have changed:\n%s", written(file))
			}
		})
	}
}

func says(es changes) (all []string) {
	for i := range es {
		all = append(all, es[i].says())
	}
	return all
}

func TestEditsRefused(t *testing.T) {
	file := several(t, web)
	for _, tt := range []struct{ command, want string }{
		{"weight web 19 3", `service "web" has no server 10.3.0.19:80`},
		{"drain api 11", `there is no service "api"`},
		{"add web 11", `service "web" has server 10.3.0.11:80 already`},
		{"delete web 13", `service "web" has no server 10.3.0.13:80`},
		{"forget api", `there is no service "api"`},
		{"new web 203.0.113.99:80", `there is a service "web" already`},
	} {
		after, err := commanded(t, file, command(t, "weight web 11 5"), tt.command)
		if err == nil || err.Error() != tt.want || after != nil {
			t.Errorf("%s: %v, want %s", tt.command, err, tt.want)
		}
	}
}

// TestOver is what becomes of commands when the file changes under them.
func TestOver(t *testing.T) {
	tests := []struct {
		name     string
		commands string
		file     string // as it is now
		want     string
		kept     string
		lost     string
	}{
		{"they stay", "weight web 11 5; drain web 12", "web 203.0.113.10:80 > 11 12 13", "web: 11=5 12! 13",
			"server web 10.3.0.11:80: weight 5; server web 10.3.0.12:80: drain", ""},
		{"the file says so itself", "weight web 11 5; drain web 12", "web 203.0.113.10:80 > 11=5 12!", "web: 11=5 12!", "", ""},
		{"the server is gone", "weight web 11 5; drain web 12", "web 203.0.113.10:80 > 12", "web: 12!",
			"server web 10.3.0.12:80: drain", `server web 10.3.0.11:80: weight 5 (service "web" has no server 10.3.0.11:80)`},
		{"the service is gone", "weight web 11 5", "api 203.0.113.20:80 > 11", "api: 11", "",
			`server web 10.3.0.11:80: weight 5 (there is no service "web")`},
		{"the file has the server now", "add web 13", "web 203.0.113.10:80 > 11 13=7", "web: 11 13=7", "",
			`server web 10.3.0.13:80: add (service "web" has server 10.3.0.13:80 already)`},
		{"the VIP is taken now", "new api 203.0.113.20:80 > 31; weight api 31 4", "other 203.0.113.20:80 > 11", "other: 11", "",
			`service api: add 203.0.113.20:80/tcp (service "api": vip 203.0.113.20:80/tcp belongs to service "other"); ` +
				`server api 10.3.0.31:80: add (there is no service "api"); ` +
				`server api 10.3.0.31:80: weight 4 (there is no service "api")`},
		{"the quorum is higher now", "delete web 12", "web 203.0.113.10:80 quorum=2 > 11 12", "web: 11 12", "",
			`server web 10.3.0.12:80: delete (service "web": quorum 2 is more than the 1 servers there are)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var es changes
			for c := range strings.SplitSeq(tt.commands, ";") {
				es = append(es, command(t, strings.TrimSpace(c))...)
			}
			next := with(carrying(t), several(t, tt.file))
			s, lost := es.over(next, config.Host{})
			if written(s.running.Services) != tt.want+"\n" {
				t.Errorf("services are\n%s\nwant\n%s", written(s.running.Services), tt.want)
			}
			if kept := strings.Join(says(s.changes), "; "); kept != tt.kept {
				t.Errorf("remembers %q, want %q", kept, tt.kept)
			}
			for i := range lost {
				lost[i] = strings.TrimPrefix(lost[i], "forgotten what was changed by command: ")
			}
			if got := strings.Join(lost, "; "); got != tt.lost {
				t.Errorf("lost\n%s\nwant\n%s", got, tt.lost)
			}
			if s.config != next || s.digest != digest(s.running) {
				t.Error("the settings are not of one piece")
			}
		})
	}
}

// TestRules: by command nothing gets in that a file could not say.
func TestRules(t *testing.T) {
	host := config.Host{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.5")}}
	s := settingsOf(with(carrying(t), several(t, "web 203.0.113.10:80 quorum=2 > 11 12\nsick 192.0.2.5:80 > 21")))
	for _, tt := range []struct{ command, want string }{
		{"weight web 11 0", ""},
		{"weight web 11 65536", `service "web": server 1: weight 65536 is not between 0 and 65535`},
		{"delete web 11", `service "web": quorum 2 is more than the 1 servers there are`},
		{"new api 203.0.113.10:80 > 31", `service "api": vip 203.0.113.10:80/tcp belongs to service "web"`},
		{"new api 192.0.2.5:81 > 31", `service "api": vip 192.0.2.5 is an address of this host: its kernel would answer for it`},
		{"new api 10.2.1.3:80 > 31", `service "api": vip 10.2.1.3 lies in the local addresses 10.2.1.0/28`},
		{"new api [2001:db8::1]:80", `service "api": mode "fullnat" needs an IPv6 local address; list one in fullnat.local_addresses`},
		{"new api 10.3.0.11:81 > 31", `service "web": server 1: 10.3.0.11 is the vip of service "api": packets to it would come back here`},
		{"new api 203.0.113.20:80 quorum=2 > 31", `service "api": quorum 2 is more than the 1 servers there are`},
		{"new api 203.0.113.20:80 > 31", ""}, // whatever is wrong with others
	} {
		_, err := s.changed(command(t, tt.command), host)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.command, got, tt.want)
		}
	}
	if !slices.EqualFunc(s.running.Services, s.config.Services, func(a, b config.Service) bool { return a.Name == b.Name }) {
		t.Error("asking has changed the settings")
	}
}

// carrying is a configuration that services can be put into.
func carrying(t *testing.T) *config.Config {
	t.Helper()
	return load(t, write(t, t.TempDir(), carrier))
}
