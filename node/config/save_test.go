package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestSavedFile: what is saved goes where it will be read from, and a name that no
// pattern reads is never made.
func TestSavedFile(t *testing.T) {
	for _, tt := range []struct {
		include []string
		want    string
	}{
		{[]string{"services/*.toml"}, "/etc/fleetlb/services/fleetlb-saved.toml"},
		{[]string{"web.toml", "services/*.conf", "/var/lib/fleetlb/fleetlb-*.toml"}, "/var/lib/fleetlb/fleetlb-saved.toml"},
		{[]string{"*.toml"}, "/etc/fleetlb/fleetlb-saved.toml"},
		{[]string{"*/services.toml", "*/*.toml"}, ""},
		{nil, ""},
	} {
		c := &Config{File: "/etc/fleetlb/lb1.toml", Include: tt.include}
		got, err := c.SavedFile()
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: %q, %v", tt.include, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), `write include = ["services/*.toml"]`) {
			t.Errorf("%v names no cure", err)
		}
	}
}

func TestWriteEdits(t *testing.T) {
	dir := t.TempDir()
	main := lay(t, dir, "include = [\"*-saved.toml\"]\n[node]\nname = \"lb1\"\n")
	all := []Edit{
		{Verb: "add", Service: "web", Set: map[string]string{"vip": "203.0.113.10:80", "check.path": "/\"x\"\n"}},
		{Verb: "edit", Service: "web", Server: netip.MustParseAddrPort("[2001:db8::1]:80"), Set: map[string]string{"weight": ""}},
		{Verb: "edit", Service: "", Set: map[string]string{"timeouts.udp": "10s"}},
		{Verb: "delete", Service: "dns"},
	}
	name := filepath.Join(dir, savedName)
	for _, edits := range [][]Edit{all[:1], all, nil, all} { // over its own
		if err := WriteEdits(name, edits); err != nil {
			t.Fatal(err)
		}
		if c := must(t, main); !reflect.DeepEqual(c.Edits, edits) && len(edits)+len(c.Edits) > 0 {
			t.Errorf("%+v came back as %+v", edits, c.Edits)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("%v in the directory, %v", left, err)
	}

	// What is not its own, or not any longer, stays.
	ours, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		string(ours) + "# mine\n": name + ": it has been changed since config save wrote it; give it another name, or take it away",
		"# mine\n":                name + ": it was not written by config save; move it away",
		"":                        name + ": it was not written by config save; move it away",
	} {
		write(t, name, text, 0o600)
		if err := WriteEdits(name, all); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		if now, _ := os.ReadFile(name); string(now) != text {
			t.Errorf("%q became %q", text, now)
		}
	}
	if err := WriteEdits(filepath.Join(dir, "nowhere", savedName), all); err == nil || !strings.HasSuffix(err.Error(), "no such file or directory") {
		t.Errorf("%v", err)
	}
	if err := WriteEdits(dir, all); err == nil || !strings.HasSuffix(err.Error(), "is a directory") {
		t.Errorf("%v", err)
	}
}
