package node

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"fleetlb/node/admin"
	"fleetlb/node/config"
)

// running is all that an operator can see of what a director was told.
func running(t *testing.T, d *director) (toml string, v view) {
	t.Helper()
	v, err := d.view(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(config.Marshal(v.running)), v
}

// TestReloadRefused: whatever is wrong with the file, the running configuration
// stays byte for byte, and it is counted and said.
func TestReloadRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := carrier + speaks + tomls(t, web)
	path := write(t, t.TempDir(), good)
	w, d := newWorld(t, path)
	w.health(d, "11 up")
	d.settle()
	serving(t, d)
	b := backend{d}
	if err := b.Edit(t.Context(), []admin.Edit{{Verb: "weight", Service: "web", Server: server(11), Set: map[string]string{"weight": "5"}}}); err != nil {
		t.Fatal(err)
	}
	before, first := running(t, d)
	w.since()

	for i, row := range []struct{ name, text, want string }{
		{"no file", "", path + ": no such file or directory"},
		{"no TOML", good + "\n[", "lb.toml:"},
		{"a mistake", strings.Replace(good, "scheduler", "schedulr", 1), `unknown key "schedulr"; did you mean "scheduler"?`},
		{"two mistakes", strings.Replace(strings.Replace(good, "quorum = 1", "quorum = 9", 1), `"wrr"`, `"fair"`, 1), "\n"},
		{"what takes a restart", strings.Replace(good, "lb1", "lb2", 1), `node: name "lb1" → "lb2": cannot change while running; restart fleetlbd`},
		{"an address that is taken", strings.Replace(good, "[admin]", "[admin]\nmetrics = \""+taken.Addr().String()+"\"", 1),
			"metrics " + taken.Addr().String() + ": bind: address already in use"},
	} {
		t.Run(row.name, func(t *testing.T) {
			os.Remove(path)
			if row.text != "" {
				write(t, path[:strings.LastIndex(path, "/")], row.text)
			}
			_, err := b.Reload(t.Context())
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("%v, want %s", err, row.want)
			}
			after, v := running(t, d)
			if after != before || v.digest != first.digest || v.loaded != first.loaded {
				t.Errorf("the running configuration is\n%s\nwant\n%s", after, before)
			}
			if v.reloads.failed != i+1 || v.reloads.done != 0 || v.reloads.lastError != err.Error() {
				t.Errorf("counted %+v", v.reloads)
			}
			if s, err := b.Status(t.Context()); err != nil || s.ReloadFailures != i+1 || s.ReloadError != v.reloads.lastError {
				t.Errorf("status shows %+v, %v", s, err)
			}
			if done := w.since(); done != "" {
				t.Errorf("something was done: %s", done)
			}
		})
	}

	write(t, path[:strings.LastIndex(path, "/")], good)
	changes, err := b.Reload(t.Context())
	if err != nil || len(changes) != 0 {
		t.Errorf("mended: %v, %v", changes, err)
	}
	if after, v := running(t, d); after != before || v.reloads.done != 1 || v.reloads.lastError != "" {
		t.Errorf("mended: %+v\n%s", v.reloads, after)
	}
}

// TestReload applies the difference and nothing but the difference.
func TestReload(t *testing.T) {
	const dns = "\ndns 203.0.113.53:53 > 21"
	base := carrier + speaks
	moved := strings.Replace(base, "10.2.1.0/28", "10.2.9.0/28", 1)
	dir := t.TempDir()
	w, d := newWorld(t, write(t, dir, base+tomls(t, web)))
	w.health(d, "11 up, 12 up")
	d.settle()
	serving(t, d)
	for _, row := range []struct {
		name, text string
		changes    string
		done       string
	}{
		{"nothing", base + tomls(t, web), "", `
			configure 10.1.0.1
			announce 10.2.1.0/28 203.0.113.10/32
			announce 10.2.1.0/28 203.0.113.10/32`},
		{"a weight", base + tomls(t, "web 203.0.113.10:80 > 11=3 12"), `
			service "web": server 10.3.0.11:80: weight 1 → 3`, `
			configure 10.1.0.1
			announce 10.2.1.0/28 203.0.113.10/32
			publish web(2)
			announce 10.2.1.0/28 203.0.113.10/32`},
		{"a service comes: it is checked before it is announced", base + tomls(t, "web 203.0.113.10:80 > 11=3 12"+dns), `
			service "dns" added`, `
			configure 10.1.0.1
			announce 10.2.1.0/28 203.0.113.10/32
			publish web(2) dns(0)
			announce 10.2.1.0/28 203.0.113.10/32`},
		{"a service goes: it is withdrawn before it is served no more", base + tomls(t, strings.TrimSpace(dns)), `
			service "web" removed`, `
			configure 10.1.0.1
			announce 10.2.1.0/28
			publish dns(1)
			announce 10.2.1.0/28 203.0.113.53/32`},
		{"it is called something else: nobody notices", base + tomls(t, "names 203.0.113.53:53 > 21"), `
			service "dns" removed
			service "names" added`, `
			configure 10.1.0.1
			announce 10.2.1.0/28 203.0.113.53/32
			publish names(1)
			announce 10.2.1.0/28 203.0.113.53/32`},
		{"other local addresses", moved + tomls(t, "names 203.0.113.53:53 > 21"), `
			fullnat: local_addresses ["10.2.1.0/28"] → ["10.2.9.0/28"]`, `
			configure 10.1.0.1
			announce 203.0.113.53/32
			publish names(1)
			announce 10.2.9.0/28 203.0.113.53/32`},
		{"another neighbour", moved + "[[bgp.neighbor]]\naddress = \"10.1.0.2\"\nasn = 65000\n" + tomls(t, "names 203.0.113.53:53 > 21"), `
			bgp: neighbor 10.1.0.2 added`, `
			configure 10.1.0.1 10.1.0.2
			announce 10.2.9.0/28 203.0.113.53/32
			announce 10.2.9.0/28 203.0.113.53/32`},
		{"the speaker goes", strings.Replace(carrier, "10.2.1.0/28", "10.2.9.0/28", 1) + tomls(t, "names 203.0.113.53:53 > 21"), `
			bgp removed`, `
			close`},
	} {
		t.Run(row.name, func(t *testing.T) {
			write(t, dir, row.text)
			w.since()
			changes, err := d.reload()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Join(changes, "\n"), strings.TrimSpace(unindent(row.changes)); got != want {
				t.Errorf("changes\n%s\nwant\n%s", got, want)
			}
			if got, want := w.since(), strings.TrimSpace(unindent(row.done)); got != want {
				t.Errorf("did\n%s\nwant\n%s", got, want)
			}
			w.health(d, "11 up, 12 up, 21 up") // which shows with the next change
		})
	}
}

// TestReloadKeepsCommands: what an operator drained does not come back with the
// next reload.
func TestReloadKeepsCommands(t *testing.T) {
	dir := t.TempDir()
	w, d := newWorld(t, write(t, dir, carrier+tomls(t, web)))
	w.health(d, "11 up, 12 up")
	d.settle()
	serving(t, d)
	b := backend{d}
	for _, err := range []error{b.Edit(t.Context(), []admin.Edit{{Verb: "drain", Service: "web", Server: server(11)}}), b.Edit(t.Context(), []admin.Edit{{Verb: "weight", Service: "web", Server: server(12), Set: map[string]string{"weight": "7"}}})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, carrier+tomls(t, "web 203.0.113.10:80 > 11 13"))
	changes, err := d.reload()
	if err != nil {
		t.Fatal(err)
	}
	want := `service "web": server 10.3.0.12:80 removed
service "web": server 10.3.0.13:80 added
forgotten what was changed by command: server web 10.3.0.12:80: weight 7 (service "web" has no server 10.3.0.12:80)`
	if got := strings.Join(changes, "\n"); got != want {
		t.Errorf("changes\n%s\nwant\n%s", got, want)
	}
	_, v := running(t, d)
	if got, want := written(v.running.Services), "web: 11! 13\n"; got != want {
		t.Errorf("runs %swant %s", got, want)
	}
	if got, want := strings.Join(says(v.changes), "; "), "server web 10.3.0.11:80: drain"; got != want {
		t.Errorf("remembers %q, want %q", got, want)
	}
}

// TestJournal: level and format follow the configuration.
func TestJournal(t *testing.T) {
	var out bytes.Buffer
	n := config.Node{LogLevel: "info", LogFormat: "text"}
	j := newJournal(&out, &n)
	log := func(what string) { slog.New(j).Debug(what); slog.New(j).Info(what) }
	log("one")
	j.follow(&config.Node{LogLevel: "debug", LogFormat: "json"})
	log("two")
	j.follow(&config.Node{LogLevel: "error", LogFormat: "json"})
	log("three")
	got := out.String()
	if strings.Count(got, "one") != 1 || strings.Count(got, `"msg":"two"`) != 2 || strings.Contains(got, "three") {
		t.Error(got)
	}
}

// TestCheck: what would keep a director from running is known before it does.
func TestCheck(t *testing.T) {
	good := with(carrying(t), several(t, web))
	if err := Check(good); err != nil {
		t.Error(err)
	}
	odd := with(good, several(t, web))
	odd.Services[0].Scheduler = "fair"
	if err := Check(odd); err == nil || !strings.HasPrefix(err.Error(), `services: service "web": `) {
		t.Error(err)
	}
	odd = with(good, nil)
	odd.BGP = &config.BGP{}
	if err := Check(odd); err == nil || !strings.HasPrefix(err.Error(), "bgp: ") {
		t.Error(err)
	}
}
