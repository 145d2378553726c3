package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDeps: what `make deps` does on machines of all kinds, told by the programs
// it would run there.
func TestDeps(t *testing.T) {
	const root = `id: echo 0`
	const here = `dpkg-query: case "$4" in curl) echo installed;; *) exit 1;; esac`
	for _, tt := range []struct {
		name     string
		packages string
		stubs    []string // "PROGRAM: what it does", besides writing down how it was called
		systemd  bool
		fails    bool
		says     string
		calls    string // but for those that only look
	}{
		{"all is there", "curl", []string{here, root}, true, false, "", ""},
		{"somebody", "curl bird2 wrk", []string{here, "id: echo 1000"}, true, false,
			"deps: not here: bird2 wrk; as root `make deps` installs them; stories without are skipped\n", ""},
		{"not Debian", "curl bird2", []string{root}, true, false,
			"deps: this is not Debian: see to it that there is what it calls curl bird2; stories without are skipped\n", ""},
		{"a daemon is installed and stays silent", "curl bird2 keepalived wrk", []string{here, root, "apt-get: ", "systemctl: "}, true, false,
			"deps: installing bird2 keepalived wrk\n", `
			systemctl mask --runtime --quiet bird.service keepalived.service
			apt-get install -y -q --no-install-recommends bird2 keepalived wrk
			systemctl disable --quiet bird.service keepalived.service
			systemctl unmask --runtime --quiet bird.service keepalived.service`},
		{"no daemon", "wrk", []string{here, root, "apt-get: ", "systemctl: "}, true, false, "deps: installing wrk\n", `
			apt-get install -y -q --no-install-recommends wrk`},
		{"a container without systemd", "nginx", []string{here, root, `apt-get: echo "at runlevel $RUNLEVEL" >>$CALLS`}, false, false,
			"deps: installing nginx\n", `
			apt-get install -y -q --no-install-recommends nginx
			at runlevel 1`},
		{"a bare machine has no lists of packages", "wrk", []string{here, root,
			`apt-get: if [ "$1" = update ]; then touch $CALLS.updated; else [ -e $CALLS.updated ]; fi`}, true, false,
			"deps: installing wrk\ndeps: once more, with the latest lists of packages\n", `
			apt-get install -y -q --no-install-recommends wrk
			apt-get update -q
			apt-get install -y -q --no-install-recommends wrk`},
		{"no network: nothing stays masked", "nginx", []string{here, root, "apt-get: echo no network >&2; exit 100", "systemctl: "}, true, true,
			"deps: installing nginx\nno network\ndeps: once more, with the latest lists of packages\nno network\n", `
			systemctl mask --runtime --quiet nginx.service
			apt-get install -y -q --no-install-recommends nginx
			apt-get update -q
			systemctl unmask --runtime --quiet nginx.service`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			calls := filepath.Join(dir, "calls")
			for _, stub := range tt.stubs {
				program, does, _ := strings.Cut(stub, ": ")
				text := fmt.Sprintf("#!/bin/sh\n[ %s = id ] || [ %[1]s = dpkg-query ] || echo %[1]s \"$@\" >>$CALLS\n%s\n", program, does)
				if err := os.WriteFile(filepath.Join(dir, program), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			touch, err := exec.LookPath("touch")
			if err == nil {
				err = os.Symlink(touch, filepath.Join(dir, "touch"))
			}
			if err != nil {
				t.Fatal(err)
			}
			booted := filepath.Join(dir, "booted")
			if tt.systemd {
				os.Mkdir(booted, 0o755)
			}
			cmd := exec.Command("/bin/sh", append([]string{"../../.ci/deps"}, strings.Fields(tt.packages)...)...)
			cmd.Env = []string{"PATH=" + dir, "CALLS=" + calls, "SYSTEMD=" + booted}
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); (err != nil) != tt.fails {
				t.Errorf("ends with %v", err)
			}
			if out.String() != tt.says {
				t.Errorf("says\n%swant\n%s", &out, tt.says)
			}
			called, _ := os.ReadFile(calls)
			want := strings.ReplaceAll(strings.TrimPrefix(tt.calls, "\n"), "\t", "")
			if got := strings.TrimSuffix(string(called), "\n"); got != want {
				t.Errorf("calls\n%s\nwant\n%s", got, want)
			}
		})
	}
}
