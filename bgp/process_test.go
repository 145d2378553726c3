package bgp_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetlb/bgp"
	"fleetlb/bgp/bgptest"
)

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// gone reports whether a process has ended; a zombie has.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

func TestChildKilled(t *testing.T) {
	t.Parallel()
	p := newPair()
	peer := p.start(t, bgptest.Neighbor{})
	s := start(t, config(p.neighbor()))
	announce(t, s, bgp.Route{Prefix: vip4, MED: 3})
	ctx := within(t, 60*time.Second)

	for i := range 3 {
		if _, err := peer.WaitRoute(ctx, vip4, 1); err != nil {
			t.Fatal(err)
		}
		pid, from := s.Process().PID, time.Now()
		kill(t, pid)
		if _, err := peer.WaitRoute(ctx, vip4, 0); err != nil {
			t.Fatal(err)
		}
		down := time.Since(from)
		until(t, s, "another child", func() bool { p := s.Process(); return p.PID != 0 && p.PID != pid })
		born := time.Since(from)
		if born > time.Second {
			t.Errorf("a new child after %v, want within a second", born)
		}
		if _, err := peer.WaitRoute(ctx, vip4, 1); err != nil {
			t.Fatal(err)
		}
		t.Logf("withdrawn after %v, a new child after %v, announced after %v", down, born, time.Since(from))
		if n := s.Process().Restarts; n != i+1 {
			t.Errorf("%d restarts after %d deaths", n, i+1)
		}
	}
	if why := s.Process().LastExit; !strings.Contains(why, "killed") {
		t.Errorf("last exit %q", why)
	}
}

// A child that hangs is as bad as a dead one, and looks alive.
func TestChildStopped(t *testing.T) {
	t.Parallel()
	p := newPair()
	peer := p.start(t, bgptest.Neighbor{})
	s := start(t, config(p.neighbor()))
	announce(t, s, bgp.Route{Prefix: vip4})
	ctx := within(t, 60*time.Second)
	if _, err := peer.WaitRoute(ctx, vip4, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(s.Process().PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, s, "a new child", func() bool { return s.Process().Restarts == 1 && s.Process().PID != 0 })
	if err := peer.Wait(ctx, "a second session", func(st *bgptest.State) bool { return st.Session(p.director).Count == 2 }); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.WaitRoute(ctx, vip4, 1); err != nil {
		t.Fatal(err)
	}
	if why := s.Process().LastExit; !strings.Contains(why, "silent") {
		t.Errorf("last exit %q", why)
	}
}

// The hold time of these sessions is longer than the test may take, so only a
// closed connection can end them.
func TestDirectorDies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		signal unix.Signal
		within time.Duration
	}{
		{"killed", unix.SIGKILL, 2 * time.Second},
		{"interrupted like its whole terminal", unix.SIGINT, 2 * time.Second},
		{"stopped", unix.SIGSTOP, 6 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPair()
			peer := p.start(t, bgptest.Neighbor{})
			n := p.neighbor()
			n.HoldTime = 10 * time.Minute
			process, child := startDirector(t, config(n))
			if _, err := peer.WaitRoute(within(t, 30*time.Second), vip4, 1); err != nil {
				t.Fatal(err)
			}
			from := time.Now()
			if err := process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			if _, err := peer.WaitRoute(within(t, 30*time.Second), vip4, 0); err != nil {
				t.Fatal(err)
			}
			took := time.Since(from)
			t.Logf("routes gone %v after the director was %s", took, tt.name)
			if took > tt.within {
				t.Errorf("the router knew after %v, want within %v", took, tt.within)
			}
			for deadline := time.Now().Add(10 * time.Second); !gone(child); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("child %d outlived its parent", child)
				}
			}
		})
	}
}

// The child is reached by hostile networks: it gets nothing that it does not
// need, and nothing about it shows a password.
func TestChildInherits(t *testing.T) {
	leak, err := unix.Open("/dev/null", unix.O_RDONLY, 0) // without O_CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	t.Setenv("FLEETLB_TEST_SECRET", "in the environment")

	p := newPair()
	peer := p.start(t, bgptest.Neighbor{Password: "hunter2hunter2"})
	n := p.neighbor()
	n.Password = "hunter2hunter2"
	var log bytes.Buffer
	s, err := bgp.Start(t.Context(), config(n), bgp.Options{
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		kill(t, s.Process().PID) // whatever it may have left to say
		if err := s.Close(within(t, 30*time.Second)); err != nil {
			t.Error(err)
		}
		if strings.Contains(log.String(), "hunter2") || !strings.Contains(log.String(), "established") {
			t.Errorf("the log: %s", log.String())
		}
	}()
	announce(t, s, bgp.Route{Prefix: vip4})
	until(t, s, "established", func() bool { return established(s, p.router) })
	if _, err := peer.WaitRoute(within(t, 30*time.Second), vip4, 1); err != nil {
		t.Fatal(err)
	}
	proc := fmt.Sprintf("/proc/%d", s.Process().PID)
	for _, name := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(filepath.Join(proc, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "hunter2") || strings.Contains(string(text), "SECRET") {
			t.Errorf("%s of the child: %q", name, text)
		}
	}
	fds, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if link, _ := os.Readlink(filepath.Join(proc, "fd", fd.Name())); link == "/dev/null" {
			t.Errorf("the child has its parent's descriptor %s", fd.Name())
		}
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	p := newPair()
	peer := p.start(t, bgptest.Neighbor{})
	s, err := bgp.Start(t.Context(), config(p.neighbor()), bgp.Options{Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	announce(t, s, bgp.Route{Prefix: vip4})
	ctx := within(t, 30*time.Second)
	if _, err := peer.WaitRoute(ctx, vip4, 1); err != nil {
		t.Fatal(err)
	}
	pid := s.Process().PID
	if err := s.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
	if !gone(pid) {
		t.Errorf("child %d is still there", pid)
	}
	if _, err := peer.WaitRoute(ctx, vip4, 0); err != nil {
		t.Error(err)
	}
	if p := s.Process(); p.Restarts != 0 || p.PID != 0 {
		t.Errorf("process after close: %+v", p)
	}
	if err := s.Close(ctx); err != nil {
		t.Errorf("close again: %v", err)
	}
	if err := s.Flush(ctx); err == nil {
		announce(t, s, bgp.Route{Prefix: vip4b})
		if err := s.Flush(ctx); err == nil {
			t.Error("flush of a closed speaker: no error")
		}
	}
}
