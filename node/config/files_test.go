package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const smallest = "[node]\nname = \"lb1\"\n"

// TestNoText shows what is said of files that are no configuration at all.
func TestNoText(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"empty", "", ":1: the file is empty; was its writing cut short?"},
		{"binary", "\x7fELF\x02\x01", ":1: control character 0x7f; is this a text file?"},
		{"zero byte", smallest + "x = \"\x00\"", ":3: control character 0x00; is this a text file?"},
		{"invalid UTF-8", "# fine\n# \xe9t\xe9\n", ":2: invalid UTF-8 byte 0xe9; is this a text file?"},
		{"UTF-8 with a mark", "\xef\xbb\xbf" + smallest, ":1: the file begins with a byte order mark (UTF-8); save it as UTF-8 without one"},
		{"UTF-16", "\xff\xfe[\x00", ":1: the file begins with a byte order mark (UTF-16); save it as UTF-8 without one"},
		{"old Macintosh", "[node]\rname = \"x\"\r", ":1: a carriage return without a line feed; save the file with Unix line ends"},
		{"huge", strings.Repeat("#", largest+1), ": is larger than 16 MiB"},
		{"an escape for no character", smallest + "x = \"\\uD800\"", ":3: escaped character '\\uD800' is not valid UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lb.toml")
			write(t, path, tt.data, 0o644)
			refused(t, path, path+tt.want)

			main := filepath.Join(filepath.Dir(path), "main.toml")
			write(t, main, "include = [\"lb.toml\"]\n"+smallest, 0o644)
			if _, err := Load(main, Host{}); err == nil {
				t.Error("included, it is accepted")
			}
		})
	}
}

func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	refused(t, dir, dir+": is a directory")
	refused(t, dir+"/none", dir+"/none: no such file or directory")
	if err := os.Symlink("loop", dir+"/loop"); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir+"/loop", Host{}); err == nil || !strings.HasPrefix(err.Error(), dir+"/loop: ") {
		t.Errorf("a symlink to itself: %v", err)
	}
	if err := syscall.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/lb.toml", "include = [\"fifo\"]\n"+smallest, 0o644)
	refused(t, dir+"/lb.toml", dir+"/lb.toml:1: include \""+dir+"/fifo\": is not a regular file")
}

func TestUnreadableFile(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads everything; run this test as another user")
	}
	path := filepath.Join(t.TempDir(), "lb.toml")
	write(t, path, smallest, 0)
	refused(t, path, path+": permission denied")
}

// TestPipe is -config <(…).
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	go os.WriteFile(path, []byte(smallest), 0o600)
	if _, err := Load(path, Host{}); err != nil {
		t.Error(err)
	}
}

// TestIncludeTwice: two patterns, or a link, may lead to one file.
func TestIncludeTwice(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.toml", "[[service]]\nname = \"a\"\nvip = \"203.0.113.1:80\"\n", 0o644)
	if err := os.Symlink("a.toml", dir+"/b.toml"); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/lb", "include = [\"a.toml\", \"*.toml\"]\n[node]\nname = \"x\"\ninterfaces = [\"lo\"]\n[fullnat]\nlocal_addresses = [\"10.2.0.0/28\"]\n", 0o644)
	c, err := Load(dir+"/lb", Host{})
	if err != nil || len(c.Services) != 1 {
		t.Errorf("%v, %v", c, err)
	}
}

// TestRelative: a file's names are seen from where it stands, wherever the
// director was started.
func TestRelative(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/etc/lb.toml", smallest+"[bgp]\nasn = 65001\nrouter_id = \"10.0.0.1\"\n[[bgp.neighbor]]\naddress = \"10.0.0.2\"\nasn = 65000\npassword_file = \"keys/bgp\"\n", 0o644)
	write(t, dir+"/etc/keys/bgp", "sesame\r\n", 0o600)
	t.Chdir(dir)
	c, err := Load("etc/lb.toml", Host{})
	if err != nil {
		t.Fatal(err)
	}
	n := c.BGP.Neighbors[0]
	if n.PasswordFile != dir+"/etc/keys/bgp" || n.Password != "sesame" || len(c.Warnings) > 0 {
		t.Errorf("%q, %q, %v", n.PasswordFile, string(n.Password), c.Warnings)
	}
}

// TestSecretsStaySecret: not in prints, not in logs, not in JSON, not in TOML,
// not in differences.
func TestSecretsStaySecret(t *testing.T) {
	dir := t.TempDir()
	path := lay(t, dir, readGolden(t, "whole"))
	c, err := Load(path, testHost)
	if err != nil {
		t.Fatal(err)
	}
	if c.BGP.Neighbors[0].Password != "sesame" || len(c.Gossip.Keys) != 2 {
		t.Fatalf("%q, %d keys", string(c.BGP.Neighbors[0].Password), len(c.Gossip.Keys))
	}
	write(t, dir+"/bgp.key", "open-sesame", 0o600)
	d, err := Load(path, testHost)
	if err != nil {
		t.Fatal(err)
	}
	changes := Diff(c, d)
	if len(changes) != 1 || changes[0].String() != "bgp: neighbor 10.1.0.1: password (secret) → another" {
		t.Errorf("changes: %v", changes)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", *c, "bgp", c.BGP.Neighbors, "p", c.BGP.Neighbors[0].Password)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "p", c.BGP.Neighbors[0].Password)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	all := log.String() + string(text) + string(Marshal(c)) + fmt.Sprint(changes) +
		fmt.Sprintf("%v %+v %#v %+v %q %s", c, *c, *c, *c.BGP, c.Gossip.Keys, c.Gossip.Keys) + fmt.Sprintf("%x", c.BGP.Neighbors[0].Password)
	for _, secret := range []string{"sesame", fmt.Sprintf("%x", "sesame"), string(c.Gossip.Keys[1]), `\x01\x00`} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is in what is printed:\n%s", secret, all)
		}
	}
}

// TestHugeIsQuick: the largest files anyone may hand over end in seconds,
// whatever is in them.
func TestHugeIsQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	const n = 1 << 20
	for name, data := range map[string]string{
		"nested lists":      "a = " + strings.Repeat("[", largest-4),
		"one long key":      strings.Repeat("a", n) + " = 1",
		"dotted key":        strings.Repeat("a.", n) + "a = 1",
		"dotted header":     "[" + strings.Repeat("a.", n) + "a]",
		"services":          strings.Repeat("[[service]]\n", n/16),
		"local addresses":   smallest + "[fullnat]\nlocal_addresses = [" + strings.Repeat("\"10.0.0.1\",", n/16) + "]",
		"unclosed quotes":   strings.Repeat("\"\"\"", n),
		"comment":           smallest + "#" + strings.Repeat("x", n),
		"communities":       smallest + "[bgp]\nasn=1\nrouter_id=\"1.1.1.1\"\n[[bgp.neighbor]]\naddress=\"1.1.1.2\"\nasn=2\ncommunities=[" + strings.Repeat("\"1:1\",", n/16) + "]",
		"nested tables":     strings.Repeat("[a]\n[a.b]\n", n/16),
		"inline tables":     "a = " + strings.Repeat("{a = ", n),
		"unknown in tables": strings.Repeat("[[service]]\nschedulr = 1\n", n/64),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "lb.toml")
			write(t, path, data, 0o644)
			began := time.Now()
			Load(path, Host{})
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func write(t *testing.T, path, data string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), mode); err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, path, want string) {
	t.Helper()
	c, err := Load(path, Host{})
	if c != nil || err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func readGolden(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	input, _, _ := strings.Cut(string(text), dashes)
	return input + "\n"
}
