package node

import (
	"strings"
	"testing"

	"fleetlb/node/admin"
)

// TestVerbs tries each on a director with one service.
func TestVerbs(t *testing.T) {
	w, d := newWorld(t, write(t, t.TempDir(), carrier+tomls(t, web)))
	w.health(d, "11 up, 12 up, 13 up, 31 up")
	d.settle()
	serving(t, d)
	b := backend{d}
	ctx := t.Context()
	edit := func(verb, service string, last int, words ...string) error {
		e := admin.Edit{Verb: verb, Service: service, Set: map[string]string{}}
		if last > 0 {
			e.Server = server(last)
		}
		for _, w := range words {
			key, word, _ := strings.Cut(w, "=")
			e.Set[key] = word
		}
		return b.Edit(ctx, []admin.Edit{e})
	}
	for _, row := range []struct {
		what string
		do   func() error
		want string // the services then, or the error
	}{
		{"weight", func() error { return edit("weight", "web", 11, "weight=3") }, "web: 11=3 12"},
		{"weight of nobody", func() error { return edit("weight", "web", 19, "weight=3") },
			`not_found: service "web" has no server 10.3.0.19:80`},
		{"weight too large", func() error { return edit("weight", "web", 11, "weight=70000") },
			`invalid: service "web": server 1: weight 70000 is not between 0 and 65535`},
		{"weight of letters", func() error { return edit("edit", "web", 11, "weight=heavy") },
			`invalid: service "web": server 1: weight wants an integer, not the string "heavy"`},
		{"drain", func() error { return edit("drain", "web", 12) }, "web: 11=3 12!"},
		{"ready", func() error { return edit("ready", "web", 12) }, "web: 11=3 12"},
		{"edit several keys", func() error { return edit("edit", "web", 12, "weight=4", "drain=true", "check.type=ping") }, "web: 11=3 12=4!"},
		{"and back to the defaults", func() error { return edit("edit", "web", 12, "weight=", "drain=", "check=") }, "web: 11=3 12"},
		{"edit nothing", func() error { return edit("edit", "web", 12) },
			"invalid: nothing to change; say which key, such as weight=3"},
		{"a key there is not", func() error { return edit("edit", "web", 12, "wieght=3") },
			`invalid: service "web": server 2: unknown key "wieght"; did you mean "weight"?`},
		{"server add", func() error { return edit("add", "web", 13, "weight=0") }, "web: 11=3 12 13=0"},
		{"server add again", func() error { return edit("add", "web", 13) },
			`refused: service "web" has server 10.3.0.13:80 already`},
		{"server delete", func() error { return edit("delete", "web", 11) }, "web: 12 13=0"},
		{"service add", func() error {
			return b.Edit(ctx, []admin.Edit{
				{Verb: "add", Service: "api", Set: map[string]string{"vip": "203.0.113.20:80", "quorum": "1"}},
				{Verb: "add", Service: "api", Server: server(31)}})
		}, "web: 12 13=0; api: 31"},
		{"all or none", func() error {
			return b.Edit(ctx, []admin.Edit{
				{Verb: "drain", Service: "api", Server: server(31)}, {Verb: "drain", Service: "api", Server: server(32)}})
		}, `not_found: service "api" has no server 10.3.0.32:80`},
		{"service add, the VIP taken", func() error { return edit("add", "two", 0, "vip=203.0.113.20:80") },
			`service "two": vip 203.0.113.20:80/tcp belongs to service "api"`},
		{"service add, without sense", func() error { return edit("add", "", 0, "vip=203.0.113.21:80") },
			"invalid: a service needs a name"},
		{"service edit", func() error {
			return edit("edit", "api", 0, "scheduler=mh", "scheduler_flags=mh-port,mh-fallback", "check.type=http", "check.path=/x")
		},
			"web: 12 13=0; api: 31"},
		{"a service keeps its name", func() error { return edit("edit", "api", 0, "name=ipa") },
			`invalid: service "api": its name stays; delete it and add another`},
		{"servers are not a key", func() error { return edit("edit", "api", 0, "server=10.3.0.1:80") },
			`invalid: service "api": server is a list of tables; each is added and edited by itself`},
		{"nor is a table", func() error { return edit("edit", "api", 0, "check=http") },
			`invalid: service "api": check is a table; say which of its keys, such as check.type`},
		{"the timeouts of all", func() error { return edit("edit", "", 0, "timeouts.established=600s") }, "web: 12 13=0; api: 31"},
		{"and nothing else of all", func() error { return edit("edit", "", 0, "scheduler=mh") },
			"invalid: scheduler is not for all services; only their timeouts are"},
		{"service delete", func() error { return edit("delete", "web", 0) }, "api: 31"},
		{"service delete again", func() error { return edit("delete", "web", 0) }, `not_found: there is no service "web"`},
		{"nearly", func() error { return edit("delete", "apy", 0) }, `not_found: there is no service "apy"; did you mean "api"?`},
		{"not a verb", func() error { return edit("paint", "api", 0) }, `invalid: "paint" is neither add, edit nor delete`},
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
	if got := strings.Join(says(v.changes), "; "); got != "service api: add 203.0.113.20:80/tcp, check.path /x, check.type http, quorum 1, scheduler mh, scheduler_flags mh-port,mh-fallback; "+
		"server api 10.3.0.31:80: add; all services with the default: timeouts.established 600s; service web: delete" {
		t.Errorf("remembers %s", got)
	}
	if v.plan.services[0].config.Name != "api" {
		t.Errorf("planned %+v", v.plan.services)
	}
}
