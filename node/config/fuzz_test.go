package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzLoad feeds a file to Load. Either it is refused, and then every error has
// a line of the file and is one line of text; or it is a Config, and then what
// Marshal writes of it is read as an equal one.
func FuzzLoad(f *testing.F) {
	goldens, _ := filepath.Glob("testdata/*.txt")
	for _, g := range goldens {
		archive := txtar.Parse([]byte(readGolden(f, strings.TrimSuffix(filepath.Base(g), ".txt"))))
		f.Add(string(archive.Comment))
	}
	dir := f.TempDir()
	path, again := filepath.Join(dir, "lb.toml"), filepath.Join(dir, "again.toml")
	f.Fuzz(func(t *testing.T, src string) {
		for _, out := range []string{"/proc", "/dev", "/sys", "..", "/*"} {
			if strings.Contains(src, out) {
				return // the test stays in its directory
			}
		}
		if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Remove(again)
		c, err := Load(path, testHost)
		if err != nil {
			positioned(t, err, path, src)
			return
		}
		text := Marshal(c)
		if err := os.WriteFile(again, text, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Load(again, testHost)
		if err != nil {
			t.Fatalf("what was printed is refused:\n%v\n%s", err, text)
		}
		if !c.Equal(d) || len(Diff(c, d)) > 0 || Reloadable(c, d) != nil {
			t.Fatalf("what was printed means something else: %v\n%s", Diff(c, d), text)
		}
	})
}

func positioned(t *testing.T, err error, path, src string) {
	t.Helper()
	var all Errors
	if !errors.As(err, &all) || len(all) == 0 {
		t.Fatalf("no Errors: %v", err)
	}
	last := 0
	for _, e := range all {
		if e.File != path || e.Line < 1 || e.Line > strings.Count(src, "\n")+1 {
			t.Errorf("%v: not a line of the file", e)
		}
		if e.Line < last {
			t.Errorf("%v: after line %d", e, last)
		}
		last = e.Line
		if e.Text == "" || strings.Contains(e.Text, "%!") || strings.ContainsFunc(e.Text, unicode.IsControl) {
			t.Errorf("%q: no sentence", e.Text)
		}
	}
}
