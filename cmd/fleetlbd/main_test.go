package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"fleetlb/bgp"
	"fleetlb/cmd/cmdtest"
	"fleetlb/node/admin"
)

// asDirector has the test binary be the program.
const asDirector = "FLEETLBD_IS_THE_TEST"

func TestMain(m *testing.M) {
	bgp.Child()
	if os.Getenv(asDirector) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"fleetlbd": main})
}

// TestScripts runs testdata/*.txtar. "exits CODE PROGRAM ARG…" runs a program
// and wants that exit code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": cmdtest.Exits},
	})
}

// TestExamples: every complete example is good.
func TestExamples(t *testing.T) {
	// A copy, beside a key that is not to be had from there.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../configs")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fleet/gossip.key"), []byte(strings.Repeat("A", 43)+"=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, pattern := range []string{dir + "/*.toml", dir + "/fleet/*.toml"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	if len(files) == 0 {
		t.Fatal("there are no examples")
	}
	for _, f := range files {
		var stdout, stderr bytes.Buffer
		if code := run([]string{"-check", f}, &stdout, &stderr); code != done || !strings.HasPrefix(stdout.String(), f+": good") {
			t.Errorf("%s: exit code %d\n%s%s", f, code, &stdout, &stderr)
		}
	}
}

// A process is a director that runs as one.
type process struct {
	*exec.Cmd
	dir    string
	log    bytes.Buffer // to be read when it has ended
	client *admin.Client
}

// start runs a director that speaks BGP, to nobody, and has no interface.
func start(t *testing.T, node string, stderr io.Writer) *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "lbd") // short: a socket's path ends at 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &process{dir: dir, client: admin.NewClient(dir + "/s")}
	p.write(t, node)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.Cmd = exec.Command(program, "-config", dir+"/lb.toml")
	p.Env = append(os.Environ(), asDirector+"=1", "GORACE=atexit_sleep_ms=0")
	p.Stderr = &p.log
	if stderr != nil {
		p.Stderr = stderr
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	p.await(t, "to serve", func(s *admin.Status) bool { return s.State == "serving" })
	return p
}

func (p *process) write(t *testing.T, node string) {
	t.Helper()
	text := fmt.Sprintf("[node]\nname = \"lb1\"\n%s\n[admin]\nsocket = %q\n[bgp]\nasn = 65001\nrouter_id = \"10.1.0.11\"\n", node, p.dir+"/s")
	if err := os.WriteFile(p.dir+"/lb.toml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *process) await(t *testing.T, what string, good func(*admin.Status) bool) {
	t.Helper()
	var s admin.Status
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if s, err = p.client.Status(t.Context()); err == nil && good(&s) {
			return
		}
	}
	t.Fatalf("waited for the director %s: %+v, %v", what, s, err)
}

func TestTerminate(t *testing.T) {
	p := start(t, `withdraw_delay = "100ms"`, nil)
	p.Process.Signal(unix.SIGTERM)
	if err := p.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &p.log)
	}
	if log := p.log.String(); strings.Count(log, "ending: withdrawing the VIPs") != 1 || strings.Count(log, "msg=ended") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

// TestTerminateTwice: whoever asks twice does not want to wait.
func TestTerminateTwice(t *testing.T) {
	p := start(t, `withdraw_delay = "10m"`, nil)
	p.Process.Signal(unix.SIGTERM)
	p.await(t, "to leave", func(s *admin.Status) bool { return s.State == "draining" })
	asked := time.Now()
	p.Process.Signal(unix.SIGTERM)
	err := p.Wait()
	if status, ok := p.ProcessState.Sys().(interface{ Signal() unix.Signal }); !ok || status.Signal() != unix.SIGTERM {
		t.Errorf("%v\n%s", err, &p.log)
	}
	if d := time.Since(asked); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestHangup(t *testing.T) {
	p := start(t, `withdraw_delay = "1s"`, nil)
	p.write(t, `withdraw_delay = 1`)
	p.Process.Signal(unix.SIGHUP)
	p.await(t, "to refuse", func(s *admin.Status) bool {
		return s.ReloadFailures == 1 && s.ReloadError == p.dir+`/lb.toml:3: node: withdraw_delay 1 has no unit; write "1s"`
	})
	p.write(t, `withdraw_delay = "2s"`)
	p.Process.Signal(unix.SIGHUP)
	p.await(t, "to reload", func(s *admin.Status) bool { return s.Reloads == 1 && s.ReloadError == "" })
}

// TestNobodyListens: a log that cannot be written is no reason to end.
func TestNobodyListens(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, `withdraw_delay = "0s"`, w)
	w.Close()
	r.Close()
	for i := range 3 {
		p.Process.Signal(unix.SIGHUP) // and say so
		p.await(t, "to reload", func(s *admin.Status) bool { return s.Reloads > i })
	}
	p.Process.Signal(unix.SIGTERM)
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}
