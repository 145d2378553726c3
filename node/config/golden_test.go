package config

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what is into testdata instead of comparing")

// testHost is the machine that the goldens are for.
var testHost = Host{
	Addresses:  []netip.Addr{netip.MustParseAddr("192.0.2.5"), netip.MustParseAddr("2001:db8::5"), netip.MustParseAddr("127.0.0.1")},
	Interfaces: []string{"lo", "eth0", "eth1"},
}

const dashes = "\n----\n"

// TestGolden runs testdata/*.txt. Above the dashes stands lb.toml, after it
// perhaps other files, each below a line "-- name --" ("-- name 0600 --" sets
// its mode); below the dashes the errors, or else the warnings and the whole
// effective configuration.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, ok := strings.Cut(string(text), dashes)
			if !ok && !*update {
				t.Fatalf("no line %q", strings.TrimSpace(dashes))
			}
			got := golden(t, input+"\n")
			if *update {
				if err := os.WriteFile(file, []byte(strings.TrimRight(input, "\n")+"\n"+dashes[1:]+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// golden is what becomes of an input, with the directory left out.
func golden(t *testing.T, input string) string {
	t.Helper()
	dir := t.TempDir()
	path := lay(t, dir, input)
	c, err := Load(path, testHost)
	hide := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, dir+"/", ""), dir, ".") }
	if err != nil {
		return hide(err.Error()) + "\n"
	}
	again(t, c)
	var b strings.Builder
	for _, w := range c.Warnings {
		b.WriteString("# warning: " + hide(w) + "\n")
	}
	b.Write(Marshal(c))
	return hide(b.String())
}

// lay puts the files of an input into dir and returns the first one's path.
func lay(t *testing.T, dir, input string) string {
	t.Helper()
	archive := txtar.Parse([]byte(input))
	main := filepath.Join(dir, "lb.toml")
	files := append(archive.Files, txtar.File{Name: "lb.toml", Data: archive.Comment})
	for _, f := range files {
		name, mode := f.Name, os.FileMode(0o644)
		if n, secret := strings.CutSuffix(name, " 0600"); secret {
			name, mode = n, 0o600
		}
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, mode); err != nil {
			t.Fatal(err)
		}
	}
	return main
}

// again checks that what is printed means the same when it is read.
func again(t *testing.T, c *Config) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "again.toml")
	text := Marshal(c)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Load(path, Host{})
	if err != nil {
		t.Fatalf("what was printed is refused:\n%v\n%s", err, text)
	}
	if !c.Equal(d) {
		t.Fatalf("what was printed means something else: %v\n%s", Diff(c, d), text)
	}
	if changes := Diff(c, d); len(changes) > 0 {
		t.Fatalf("equal, and yet different: %v", changes)
	}
}
