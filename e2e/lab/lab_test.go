package lab

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Main()
	if who := os.Getenv(childEnv); who != "" {
		os.Exit(child(who))
	}
	os.Exit(m.Run())
}

// pair is the smallest routed layout: a client, a router and a server.
func pair(server ...Plug) Layout {
	return Layout{
		{Name: "router", Router: true, Plugs: []Plug{
			{LAN: "clients", Addrs: []string{"198.51.100.1/24", "2001:db8:c::1/64"}},
			{LAN: "back", Addrs: []string{"10.3.0.1/24", "2001:db8:3::1/64"}},
		}},
		{Name: "client", Plugs: []Plug{{LAN: "clients", Addrs: []string{"198.51.100.11/24", "2001:db8:c::11/64"}}},
			Routes: []string{"default via 198.51.100.1", "default via 2001:db8:c::1"}},
		{Name: "server", Plugs: []Plug{{LAN: "back", Addrs: []string{"10.3.0.11/24", "2001:db8:3::11/64"}}},
			Routes: []string{"default via 10.3.0.1", "default via 2001:db8:3::1"}},
	}
}

// open builds a layout for one test.
func open(t *testing.T, layout Layout) *Lab {
	t.Helper()
	return ForTest(t, layout)
}

func TestPing(t *testing.T) {
	l := open(t, pair())
	for _, on := range []bool{false, true} {
		if err := l.SetOffloads(on); err != nil {
			t.Fatal(err)
		}
		for _, a := range []string{"10.3.0.11", "2001:db8:3::11"} {
			if out, err := l.Host("client").Run(t.Context(), "ping", "-c1", "-W2", a); err != nil {
				t.Error(err, out)
			}
		}
	}
}

// A host sees its own links in /sys, not those of the machine.
func TestSys(t *testing.T) {
	l := open(t, pair())
	out, err := l.Host("router").Run(t.Context(), "ls", "/sys/class/net")
	if want := "eth0\neth1\nlo\n"; err != nil || out != want {
		t.Errorf("/sys/class/net holds %q (%v), want %q", out, err, want)
	}
}

// What happens to a cable happens to the host at its end, and is undone.
func TestPort(t *testing.T) {
	l := open(t, pair())
	router, server := l.Host("router"), l.Host("server")
	port := server.Port("back")
	reach := func(want bool) {
		t.Helper()
		for _, a := range []string{"10.3.0.11", "2001:db8:3::11"} {
			_, err := router.Run(t.Context(), "ping", "-c1", "-W1", a)
			if got := err == nil; got != want {
				t.Errorf("%s answers: %v, want %v (%v)", a, got, want, err)
			}
		}
	}
	reach(true)
	if mac, err := router.Neighbor("10.3.0.11"); err != nil || mac != port.MAC.String() {
		t.Errorf("the router finds the server at %q, want %s: %v", mac, port.MAC, err)
	}
	for _, h := range []struct {
		what     string
		do, undo func() error
	}{
		{"unplugged", port.Unplug, port.Plug},
		{"down", func() error { return port.SetUp(false) }, func() error { return port.SetUp(true) }},
	} {
		t.Run(h.what, func(t *testing.T) {
			if err := h.do(); err != nil {
				t.Fatal(err)
			}
			reach(false)
			if err := h.undo(); err != nil {
				t.Fatal(err)
			}
			for _, r := range []string{"default via 10.3.0.1", "default via 2001:db8:3::1"} {
				if err := server.AddRoute(r); err != nil { // a link that goes down takes its routes along
					t.Fatal(err)
				}
			}
			if err := Await(3*time.Second, "the server to answer", func() error {
				for _, a := range []string{"10.3.0.11", "2001:db8:3::11"} {
					if _, err := router.Run(t.Context(), "ping", "-c1", "-W1", a); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestProcess(t *testing.T) {
	l := open(t, pair())
	h := l.Host("server")
	_, err := h.Run(t.Context(), "sh", "-c", "echo complaint >&2; exit 3")
	var failed *RunError
	if !errors.As(err, &failed) || failed.ExitCode() != 3 || failed.Stderr != "complaint" {
		t.Errorf("run: %v", err)
	}
	if _, err := h.Run(t.Context(), "no-such-program"); err == nil || !strings.Contains(err.Error(), "make deps") {
		t.Errorf("a missing program: %v, want advice", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Run(ctx, "sleep", "100"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a run out of time: %v", err)
	}
	p, err := h.Start("counter", "sh", "-c", "while :; do echo tick; sleep 0.01; done")
	if err != nil {
		t.Fatal(err)
	}
	ticking := func() error {
		n := len(p.Log())
		return Await(time.Second, "ticks", func() error {
			if len(p.Log()) == n {
				return errors.New("none")
			}
			return nil
		})
	}
	if err := ticking(); err != nil {
		t.Error(err)
	}
	p.Freeze()
	time.Sleep(50 * time.Millisecond) // for the last tick to be written
	if ticking() == nil {
		t.Error("a frozen program ticks")
	}
	p.Thaw()
	if err := ticking(); err != nil {
		t.Error(err)
	}
	p.Stop()
	if p.Running() || p.Crashed() {
		t.Errorf("stopped, it is %s", p.State())
	}
	crash, err := h.Start("crash", "sh", "-c", "exit 4")
	if err != nil {
		t.Fatal(err)
	}
	if crash.Wait(time.Second) == nil || !crash.Crashed() {
		t.Errorf("crashed, it is %s", crash.State())
	}
}
