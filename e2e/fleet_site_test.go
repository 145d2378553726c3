package e2e

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// A fleet is a site whose directors share the VIPs: all announce them, and the
// router spreads connections over all.
type fleet struct {
	*site
	crowds []*lab.Crowd // long-lived connections, echoing, of both families
	idlers *lab.Idlers  // and silent ones
	reset  *lab.Capture // resets that a client gets
}

// fleetServices are what the fleets of the stories serve. No server dies in them,
// and none may seem to on a busy machine.
var fleetServices = []service{
	{name: "echo", vip: "203.0.113.10", port: lab.EchoPort, scheduler: "wrr", fall: 20},
	{name: "echo6", vip: "2001:db8:f::10", port: lab.EchoPort, scheduler: "mh", fall: 20},
	{name: "echo-udp", vip: "203.0.113.10", port: lab.EchoPort, protocol: "udp", fall: 20},
	{name: "web", vip: "203.0.113.10", port: lab.HTTPPort, fall: 20},
}

// openFleet starts a site with a fleet and the first so many of its directors.
func openFleet(t *testing.T, o lab.Options, directors int) *fleet {
	t.Helper()
	o.Fleet, o.Shape = true, lab.Routed
	f := &fleet{site: &site{Site: lab.SiteForTest(t, o)}}
	f.lb, f.client = f.Directors[0], f.Clients[0]
	for _, server := range f.Servers {
		if _, err := server.Serve(); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range f.Directors {
		d.Services = tomls(len(f.Servers), fleetServices...)
		d.Node = `withdraw_delay = "1s"`
	}
	f.start(t, f.Directors[:directors]...)
	return f
}

// start starts directors and waits until the router spreads over all that run.
func (f *fleet) start(t *testing.T, directors ...*lab.Director) {
	t.Helper()
	for _, d := range directors {
		if err := d.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range directors {
		if err := d.AwaitAllUp(10 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	f.whole(t)
}

// running are the directors whose program runs.
func (f *fleet) running() (names []string) {
	for _, d := range f.Directors {
		if d.Process != nil && d.Process.Running() {
			names = append(names, d.Host.Name)
		}
	}
	return names
}

// whole waits until the router sends the VIPs to every director that runs, and
// each of them sees all the others.
func (f *fleet) whole(t *testing.T) {
	t.Helper()
	names := f.running()
	f.routed(t, 30*time.Second, names...)
	for _, d := range f.Directors {
		if !slices.Contains(names, d.Host.Name) {
			continue
		}
		if err := d.AwaitNodes(20*time.Second, names...); err != nil {
			t.Fatal(err)
		}
	}
}

// routed waits until the router spreads the VIPs over just these directors.
func (f *fleet) routed(t *testing.T, timeout time.Duration, names ...string) {
	t.Helper()
	for _, prefix := range f.vips() {
		if err := f.Gateway.AwaitLearned(timeout, prefix, names...); err != nil {
			t.Fatal(err)
		}
	}
}

// populationOf is how many connections a fleet's clients hold: as many as FLEET
// says, or 1,000.
func populationOf(t *testing.T) int {
	text, set := os.LookupEnv("FLEET")
	if !set {
		return 1000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 20 {
		t.Fatalf("FLEET=%q: want a number of connections from 20 on", text)
	}
	return n
}

// populate opens the connections that no fault may break: 10 of 11 speak and
// compare what comes back, the others are silent.
func (f *fleet) populate(t *testing.T) {
	t.Helper()
	n := populationOf(t)
	for _, vip := range []string{f.VIP4, f.VIP6} {
		c, err := f.client.Crowd(t.Context(), at(vip, lab.EchoPort), n/2, time.Duration(n)*time.Millisecond/2)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Stop() })
		f.crowds = append(f.crowds, c)
	}
	var err error
	if f.idlers, err = f.client.Idlers(t.Context(), at(f.VIP4, lab.EchoPort), n/10); err != nil {
		t.Fatal(err)
	}
	if f.reset, err = f.client.Port("clients").Capture(lab.Resets); err != nil {
		t.Fatal(err)
	}
	f.unbroken(t)
}

// unbroken has every connection speak once more.
func (f *fleet) unbroken(t *testing.T) {
	t.Helper()
	for _, c := range f.crowds {
		if err := c.Proven(60 * time.Second); err != nil {
			t.Error(err)
		}
		if broken := c.Broken(); len(broken) != 0 {
			t.Errorf("%d connections broke, the first: %v", len(broken), broken[0])
		}
	}
	if broken := f.idlers.Wake(); len(broken) != 0 {
		t.Errorf("%d silent connections broke, the first: %v", len(broken), broken[0])
	}
	// Others have hung up, and may be told that nobody is there any more.
	ours := map[string]bool{}
	for _, c := range f.crowds {
		for _, local := range append(c.Locals(), f.idlers.Locals()...) {
			ours[local] = true
		}
	}
	if resets := f.reset.Select(func(s lab.Seen) bool { return !s.Outgoing && ours[s.Dst.String()] }); len(resets) != 0 {
		t.Errorf("clients got %d resets, the first: %v", len(resets), resets[0])
	}
}

// through starts datagrams whose session is a director's own.
func (f *fleet) through(t *testing.T, d *lab.Director) *lab.Probe {
	t.Helper()
	for range 40 {
		p := f.probe(t)
		found := false
		if err := lab.Await(5*time.Second, "the probe's session", func() error {
			for _, other := range f.Directors {
				if other.Process == nil || !other.Process.Running() {
					continue
				}
				sessions, err := other.Sessions("--client", p.Host(), "--role", "home")
				if err != nil {
					return err
				}
				for _, s := range sessions {
					if s.Protocol == "udp" && s.Role == "home" && s.Client == p.Local() {
						found = other == d
						return nil
					}
				}
			}
			return errors.New("nobody has it")
		}); err != nil {
			t.Fatal(err)
		}
		if found {
			return p
		}
		p.Stop()
	}
	t.Fatalf("40 probes, and none by way of %s", d.Host.Name)
	return nil
}

// blackhole ends a probe that may have lost what was under way for so long.
func blackhole(t *testing.T, p *lab.Probe, bound time.Duration) {
	t.Helper()
	r := p.Stop()
	t.Logf("probe: %v, promised a blackhole of %v at most", r, bound)
	if r.Sent < 100 || r.Lost == r.Sent {
		t.Errorf("probe: %v, which proves nothing", r)
	}
	if r.Blackhole > shared*bound {
		t.Errorf("probe: blackhole %v, want at most %v", r.Blackhole, bound)
	}
}

// served ends a stream of new connections of which none may have failed.
func served(t *testing.T, c *lab.Churn) {
	t.Helper()
	n, failed := c.Stop()
	t.Logf("new connections: %d served, %d failed", n, len(failed))
	if n == 0 {
		t.Error("no new connection was served")
	}
	if len(failed) != 0 {
		t.Errorf("%d new connections failed, the first: %v", len(failed), failed[0])
	}
}

// churn is the stream of new connections that goes on beside a fault.
func (f *fleet) churn() *lab.Churn { return f.client.Churn(at(f.VIP4, lab.EchoPort), 200) }

// equal waits until every two directors agree on which sessions there are.
func (f *fleet) equal(t *testing.T, timeout time.Duration) {
	t.Helper()
	if err := lab.Await(timeout, "the directors' tables to be equal", func() error {
		var first map[string]string
		for _, d := range f.Directors {
			if d.Process == nil || !d.Process.Running() {
				continue
			}
			have, err := longLived(d)
			if err != nil {
				return err
			}
			if first == nil {
				first = have
				continue
			}
			if missing := differ(first, have); missing != "" {
				return fmt.Errorf("%s and %s differ: %s", f.Directors[0].Host.Name, d.Host.Name, missing)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// longLived are a director's established sessions, whatever its part in them.
// Those of UDP probes and short connections come and go.
func longLived(d *lab.Director) (map[string]string, error) {
	sessions, err := d.Sessions("--state", "established")
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, s := range sessions {
		all[s.Client+" "+s.VIP] = strings.Join([]string{s.Local, s.Server, s.Home}, " ")
	}
	return all, nil
}

func differ(a, b map[string]string) string {
	n, first := 0, ""
	for key := range a {
		if a[key] != b[key] {
			n, first = n+1, fmt.Sprintf("%s is %q and %q", key, a[key], b[key])
		}
	}
	for key := range b {
		if _, there := a[key]; !there {
			n, first = n+1, fmt.Sprintf("%s is unknown and %q", key, b[key])
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d sessions, one of them: %s", n, first)
}
