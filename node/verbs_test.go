package node

import (
	"net/netip"
	"strings"
	"testing"

	"fleetlb/node/admin"
	"fleetlb/node/config"
)

// TestServiceText: a service by command is one of a file, with the file's
// defaults and the file's complaints.
func TestServiceText(t *testing.T) {
	three := 3
	all := admin.ServiceSpec{
		Name: "web", VIP: mustAddrPort("203.0.113.10:80"), Protocol: "tcp", Mode: "fullnat", Scheduler: "mh", Quorum: 2,
		SorryServer: mustAddrPort("10.3.0.99:80"),
		Check: &admin.CheckSpec{
			Type: "http", Interval: "5s", Timeout: "500ms", Rise: 1, Fall: 2, Port: 8081, Method: "HEAD",
			Path: `/x?a="b"&c=<d>`, Host: "www.example.com", Status: []string{"200", "300-399"},
		},
		Servers: []admin.ServerSpec{{Address: mustAddrPort("10.3.0.11:80"), Weight: &three}, {Address: mustAddrPort("10.3.0.12:80")}},
	}
	s, err := config.ReadService(serviceText(&all))
	if err != nil {
		t.Fatal(err)
	}
	c := &s.Check
	if s.Name != "web" || s.Scheduler != "mh" || s.Quorum != 2 || s.SorryServer != all.SorryServer ||
		c.Type != "http" || c.Interval.String() != "5s" || c.Timeout.String() != "500ms" || c.Rise != 1 || c.Fall != 2 ||
		c.Port != 8081 || c.Method != "HEAD" || c.Path != all.Check.Path || c.Host != "www.example.com" ||
		len(c.Status) != 2 || c.Status[1].Last != 399 || s.Servers[0].Weight != 3 || s.Servers[1].Weight != 1 {
		t.Errorf("%+v", s)
	}

	for _, tt := range []struct {
		spec admin.ServiceSpec
		want string
	}{
		{admin.ServiceSpec{}, "service 1: name is missing\nservice 1: vip is missing"},
		{admin.ServiceSpec{Name: "a\"\n[node]\nname = \"b", VIP: all.VIP}, ""}, // a bad name, and no more: see below
		{admin.ServiceSpec{Name: "web", VIP: netip.MustParseAddrPort("[::ffff:203.0.113.10]:80")},
			`service "web": vip "[::ffff:203.0.113.10]:80" is an IPv4 address in disguise; did you mean "203.0.113.10:80"?`},
		{admin.ServiceSpec{Name: "web", VIP: all.VIP, Check: &admin.CheckSpec{Type: "exec", Command: []string{"/bin/true", "\x7f"}, Query: "x"}},
			`service "web": check: dns_name is for dns, not for exec`},
	} {
		s, err := config.ReadService(serviceText(&tt.spec))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", tt.spec, got, tt.want)
		}
		if err == nil && s.Name != tt.spec.Name {
			t.Errorf("the name became %q", s.Name)
		}
	}
}

// TestVerbs tries each on a director with one service.
func TestVerbs(t *testing.T) {
	w, d := newWorld(t, write(t, t.TempDir(), carrier+tomls(t, web)))
	w.health(d, "11 up, 12 up, 13 up, 31 up")
	d.settle()
	serving(t, d)
	b := backend{d}
	ctx := t.Context()
	zero := 0
	spec := func(name, vip string, servers ...int) admin.ServiceSpec {
		s := admin.ServiceSpec{Name: name, VIP: mustAddrPort(vip)}
		for _, n := range servers {
			s.Servers = append(s.Servers, admin.ServerSpec{Address: server(n)})
		}
		return s
	}
	for _, row := range []struct {
		what string
		do   func() error
		want string // the services then, or the error
	}{
		{"weight", func() error { return b.SetWeight(ctx, "web", server(11), 3) }, "web: 11=3 12"},
		{"weight of nobody", func() error { return b.SetWeight(ctx, "web", server(19), 3) },
			`not_found: service "web" has no server 10.3.0.19:80`},
		{"weight too large", func() error { return b.SetWeight(ctx, "web", server(11), 70000) },
			`service "web": server 1: weight 70000 is not between 0 and 65535`},
		{"drain", func() error { return b.DrainServer(ctx, "web", server(12)) }, "web: 11=3 12!"},
		{"ready", func() error { return b.ReadyServer(ctx, "web", server(12)) }, "web: 11=3 12"},
		{"server add", func() error { return b.AddServer(ctx, "web", admin.ServerSpec{Address: server(13), Weight: &zero}) }, "web: 11=3 12 13=0"},
		{"server add again", func() error { return b.AddServer(ctx, "web", admin.ServerSpec{Address: server(13)}) },
			`refused: service "web" has server 10.3.0.13:80 already`},
		{"server delete", func() error { return b.DeleteServer(ctx, "web", server(11)) }, "web: 12 13=0"},
		{"service add", func() error { return b.AddService(ctx, spec("api", "203.0.113.20:80", 31)) }, "web: 12 13=0; api: 31"},
		{"service add, the VIP taken", func() error { return b.AddService(ctx, spec("two", "203.0.113.20:80", 31)) },
			`service "two": vip 203.0.113.20:80/tcp belongs to service "api"`},
		{"service add, without sense", func() error { return b.AddService(ctx, spec("", "203.0.113.21:80")) },
			"invalid: service 1: name is missing"},
		{"service delete", func() error { return b.DeleteService(ctx, "web") }, "api: 31"},
		{"service delete again", func() error { return b.DeleteService(ctx, "web") }, `not_found: there is no service "web"`},
		{"node drain", func() error { return b.DrainNode(ctx) },
			"refused: there is no [bgp]: nobody can be told to send connections elsewhere"},
	} {
		err := row.do()
		_, v := running(t, d)
		got := strings.ReplaceAll(strings.TrimSpace(written(v.running.Services)), "\n", "; ")
		if err != nil {
			got = err.Error()
		}
		if e, ok := err.(*admin.Error); ok {
			got = string(e.Kind) + ": " + got
		}
		if got != row.want {
			t.Errorf("%s: %s, want %s", row.what, got, row.want)
		}
	}
	_, v := running(t, d)
	if got := written(v.running.Services); got != "api: 31\n" {
		t.Errorf("in the end:\n%s", got)
	}
	if got := strings.Join(says(v.edits), "; "); got != "service api: add 203.0.113.20:80/tcp; service web: delete" {
		t.Errorf("remembers %s", got)
	}
	if v.plan.services[0].config.Name != "api" {
		t.Errorf("planned %+v", v.plan.services)
	}
}
