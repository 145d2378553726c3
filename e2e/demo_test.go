package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// output collects what a program says, and can be read meanwhile.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// runDemo starts the demo as `make demo` does and returns it with what it says.
func runDemo(t *testing.T, env ...string) (*exec.Cmd, *output) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the demo's namespaces need root: run `sudo make test`")
	}
	program, err := lab.Binary("fleetlb-demo")
	if err != nil {
		t.Fatal(err)
	}
	var out output
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, &out
}

// nothingLeft checks that a demo took everything with it.
func nothingLeft(t *testing.T, pid int) {
	t.Helper()
	for _, dir := range []string{"/run/netns", os.TempDir()} {
		if left, _ := filepath.Glob(fmt.Sprintf("%s/fleetlb-%d-*", dir, pid)); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	// The lab's programs run in its scratch directory.
	directories, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, d := range directories {
		if cwd, err := os.Readlink(d); err == nil && strings.Contains(cwd, fmt.Sprintf("/fleetlb-%d-", pid)) {
			t.Errorf("left behind: %s in %s", d, cwd)
		}
	}
}

func TestDemo(t *testing.T) {
	for _, router := range []string{"embedded", "frr"} {
		t.Run(router, func(t *testing.T) {
			started := time.Now()
			cmd, out := runDemo(t, "DEMO_ROUTER="+router)
			err := cmd.Wait()
			text := strings.TrimSpace(out.String())
			lines := strings.Split(text, "\n")
			if err != nil || !strings.HasPrefix(lines[len(lines)-1], "demo: OK") {
				t.Errorf("the demo ends with %v:\n%s", err, text)
			}
			if strings.Contains(text, "\x1b") {
				t.Error("colours, and no terminal")
			}
			within(t, 90*time.Second, started, "done")
			nothingLeft(t, cmd.Process.Pid)
		})
	}
}

func TestDemoInterrupted(t *testing.T) {
	for _, scene := range []string{"1. ", "2. ", "5. "} {
		t.Run("in scene "+scene, func(t *testing.T) {
			cmd, out := runDemo(t)
			if err := lab.Await(30*time.Second, "the scene", func() error {
				if !strings.Contains(out.String(), "\n"+scene) {
					return errors.New(out.String())
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			cmd.Process.Signal(os.Interrupt)
			err := cmd.Wait()
			if cmd.ProcessState.ExitCode() != 130 {
				t.Errorf("ends with %v, want status 130:\n%s", err, out)
			}
			nothingLeft(t, cmd.Process.Pid)
		})
	}
}

// An ordinary user sees the same where the kernel lets him.
func TestDemoRootless(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it changes to another user: run `sudo make test`")
	}
	program, err := lab.Binary("fleetlb-demo")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "demo: user namespace: ") {
		t.Skip(strings.TrimSpace(string(out)))
	}
	if err != nil || !strings.Contains(string(out), "\ndemo: OK") {
		t.Errorf("the demo ends with %v:\n%s", err, out)
	}
}

// A director that does not start: the demo says so and cleans up.
func TestDemoFails(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"fleetlbd", "fleetlb"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho no luck today >&2\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("the demo's namespaces need root: run `sudo make test`")
	}
	cmd, out := runDemo(t, lab.BinEnv+"="+dir)
	cmd.Wait()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "demo: FAILED") || !strings.Contains(out.String(), "no luck today") {
		t.Errorf("status %d:\n%s", cmd.ProcessState.ExitCode(), out)
	}
	nothingLeft(t, cmd.Process.Pid)
}
