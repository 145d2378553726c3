package lab

import (
	"os"
	"testing"
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
