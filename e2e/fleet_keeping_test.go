package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// TestFleetKeeping: what one director knows of a client, and of how much its
// servers have to do, the others know.
func TestFleetKeeping(t *testing.T) {
	f := openFleet(t, lab.Options{Router: "bird", Directors: 3, Clients: 2}, 3)
	for _, d := range f.Directors {
		d.Services = tomls(len(f.Servers),
			service{name: "kept", vip: f.VIP4, port: lab.HTTPPort, scheduler: "rr", more: `persistence = "1m"`, fall: 20},
			service{name: "least", vip: f.VIP4, port: lab.EchoPort, scheduler: "lc", fall: 20},
			service{name: "least6", vip: f.VIP6, port: lab.EchoPort, scheduler: "lc", fall: 20})
		if err := d.Reload(); err != nil {
			t.Fatal(err)
		}
		if err := d.AwaitAllUp(10 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	f.whole(t)
	t.Run("a client keeps its server whichever director it meets", func(t *testing.T) { fleetPersistence(t, f) })
	t.Run("least connections of all directors", func(t *testing.T) { fleetLeast(t, f) })
}

func fleetPersistence(t *testing.T, f *fleet) {
	mine := same(t, f.Clients[0], url(f.VIP4, lab.HTTPPort), 1)
	for _, d := range f.Directors {
		if err := lab.Await(5*time.Second, d.Host.Name+" to know the client", func() error {
			out, err := d.CLI("-o", "json", "persistence", "kept")
			var all []kept
			if err == nil {
				err = json.Unmarshal([]byte(out), &all)
			}
			if err == nil && len(all) != 1 {
				err = fmt.Errorf("it knows %+v", all)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if again := same(t, f.Clients[0], url(f.VIP4, lab.HTTPPort), 60); again != mine {
		t.Errorf("the client went from %s to %s", mine, again)
	}
	met := 0
	for _, d := range f.Directors {
		sessions, err := d.Sessions("--service", "kept")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sessions {
			if s.Role == "home" {
				met++
				break
			}
		}
	}
	if met != len(f.Directors) {
		t.Errorf("the client's connections met %d of %d directors: this proves nothing", met, len(f.Directors))
	}
	f.Directors[0].Process.Kill()
	f.routed(t, 30*time.Second, f.running()...)
	if again := same(t, f.Clients[0], url(f.VIP4, lab.HTTPPort), 20); again != mine {
		t.Errorf("a director died, and the client went from %s to %s", mine, again)
	}
	f.start(t, f.Directors[0])
	if again := same(t, f.Clients[0], url(f.VIP4, lab.HTTPPort), 30); again != mine {
		t.Errorf("a director came back, and the client went from %s to %s", mine, again)
	}
}

// fleetLeast has clients come faster than the directors tell each other, and
// slower: either way the servers have nearly as much to do.
func fleetLeast(t *testing.T, f *fleet) {
	for family, vip := range f.families() {
		for _, pause := range []time.Duration{0, 50 * time.Millisecond} {
			const n = 60
			got := map[string]int{}
			var all []net.Conn
			for range n {
				c, err := f.client.Dial(t.Context(), "tcp", at(vip, lab.EchoPort))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, c)
				time.Sleep(pause)
			}
			name := map[string]string{"IPv4": "least", "IPv6": "least6"}[family]
			if err := lab.Await(10*time.Second, "the sessions to be counted", func() error {
				clear(got)
				for _, d := range f.Directors {
					sessions, err := d.Sessions("--service", name, "--state", "established")
					if err != nil {
						return err
					}
					for _, s := range sessions {
						if s.Role == "home" {
							got[s.Server]++
						}
					}
				}
				sum := 0
				for _, k := range got {
					sum += k
				}
				if sum != n {
					return fmt.Errorf("%v, want %d in all", got, n)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
			t.Logf("%s, a client every %v: %v", family, pause, got)
			for server, k := range got {
				if k < n/3-6 || k > n/3+6 || len(got) != 3 {
					t.Errorf("%s, a client every %v: %s has %d of %d: %v", family, pause, server, k, n, got)
				}
			}
			for _, c := range all {
				c.Close()
			}
			if err := lab.Await(10*time.Second, "the sessions to end", func() error {
				for _, d := range f.Directors {
					if sessions, err := d.Sessions("--service", name, "--state", "established"); err != nil || len(sessions) > 0 {
						return fmt.Errorf("%d on %s: %v", len(sessions), d.Host.Name, err)
					}
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	}
}
