package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleetlb/node/admin"
	"fleetlb/node/config"
)

// TestSave: what was changed by command and saved is there after a restart, lies
// over the files as they are then, and goes on being undone by command.
func TestSave(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "include = [\"fleetlb-*.toml\"]\n"+carrier+tomls(t, web))
	w, d := newWorld(t, file)
	w.health(d, "11 up, 12 up")
	d.settle()
	serving(t, d)
	b := backend{d}
	do := func(words string) {
		t.Helper()
		var edits []admin.Edit
		for _, c := range command(t, words) {
			edits = append(edits, admin.Edit{Verb: c.Verb, Service: c.Service, Server: c.Server, Set: c.Set})
		}
		if err := b.Edit(t.Context(), edits); err != nil {
			t.Fatalf("%s: %v", words, err)
		}
	}
	holds := func(want, remembers string) {
		t.Helper()
		_, v := running(t, d)
		if got := written(v.running.Services); got != want+"\n" {
			t.Errorf("runs\n%s\nwant\n%s", got, want)
		}
		if got := strings.Join(says(v.changes), "; "); got != remembers {
			t.Errorf("remembers %q, want %q", got, remembers)
		}
		again, err := Load(file, config.Host{})
		if err != nil {
			t.Fatal(err)
		}
		if remembers == "" && digest(again) != v.digest {
			t.Errorf("a restart would run\n%s", written(again.Services))
		}
	}
	save := func() {
		t.Helper()
		if name, err := b.Save(t.Context()); err != nil || name != filepath.Join(dir, "fleetlb-saved.toml") {
			t.Fatalf("saved to %q: %v", name, err)
		}
	}
	do("weight web 11 5")
	do("new api 203.0.113.20:80 > 31")
	do("delete web 12")
	save()
	holds("web: 11=5\napi: 31", "")

	do("weight web 11 6")
	do("add web 12")
	do("weight api 31 2")
	holds("web: 11=6 12\napi: 31=2", "server web 10.3.0.11:80: weight 6; server web 10.3.0.12:80: add; server api 10.3.0.31:80: weight 2")
	save()
	holds("web: 11=6 12\napi: 31=2", "")

	// Undone, and saved again.
	do("forget api")
	do("weight web 11 1")
	save()
	holds("web: 11 12", "")
	text, err := os.ReadFile(filepath.Join(dir, "fleetlb-saved.toml"))
	if err != nil || strings.Contains(string(text), "[[edit]]") {
		t.Errorf("%v; still saved:\n%s", err, text)
	}

	// The files change under what was saved.
	do("weight web 12 7")
	save()
	write(t, dir, "include = [\"fleetlb-*.toml\"]\n"+carrier+tomls(t, "www 203.0.113.10:80 > 11"))
	if _, err := b.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, v := running(t, d)
	if got := strings.Join(v.config.Warnings, "; "); !strings.Contains(got, `forgotten what was changed by command: server web 10.3.0.12:80: weight 7 (there is no service "web")`) {
		t.Errorf("warns %s", got)
	}

	// Nowhere to save to.
	write(t, dir, carrier+tomls(t, web))
	if _, err := b.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Save(t.Context()); err == nil || !strings.Contains(err.Error(), "no include pattern") {
		t.Errorf("%v", err)
	}
}
