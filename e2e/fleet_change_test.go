package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// TestFleetChange: what is changed by command for the fleet is changed on all its
// directors, also on one that joins later, and goes back with one command.
func TestFleetChange(t *testing.T) {
	f := openFleet(t, lab.Options{Router: "bird", Directors: 3}, 2)
	first, second, third := f.Directors[0], f.Directors[1], f.Directors[2]
	command := func(d *lab.Director, words string) {
		t.Helper()
		if out, err := d.CLI(strings.Fields(words)...); err != nil || out != "" {
			t.Fatalf("fleetlb %s: %s%v", words, out, err)
		}
	}
	server := lab.ServerAddress(1, lab.HTTPPort, false)
	// runs waits until directors have what a command was about.
	runs := func(d *lab.Director, words, want string) {
		t.Helper()
		if err := lab.Await(10*time.Second, d.Host.Name+" to run "+want, func() error {
			out, err := d.CLI(strings.Fields(words)...)
			if err == nil && !strings.Contains(out, want) {
				err = fmt.Errorf("fleetlb %s says\n%s", words, out)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	command(first, "server weight web "+server+" 7 --fleet")
	command(second, "service add late vip=203.0.113.10:8081 check.type=none --server "+lab.ServerAddress(2, lab.HTTPPort, false)+" --fleet")
	for _, d := range []*lab.Director{first, second} {
		runs(d, "servers web", server+"  fullnat  7 ")
		runs(d, "services late", "203.0.113.10:8081")
	}
	if out, err := second.CLI("config"); err != nil || !strings.Contains(out, fmt.Sprintf("# changed since: server web %s: weight 7 (fleet, by %s)\n", server, first.Host.Name)) {
		t.Errorf("%s does not say who changed what: %v\n%.600s", second.Host.Name, err, out)
	}

	// The third has never heard of it, and is told.
	f.start(t, third)
	runs(third, "servers web", server+"  fullnat  7 ")
	runs(third, "services late", "203.0.113.10:8081")
	command(third, "server weight web "+server+" 3 --fleet")
	for _, d := range f.Directors {
		runs(d, "servers web", server+"  fullnat  3 ")
	}
	if answers, err := f.client.AskMany(t.Context(), url(f.VIP4, 8081), 20); err != nil || answers["server2"] != 20 {
		t.Errorf("the new service answers %v: %v", answers, err)
	}

	command(second, "config revert --fleet")
	for _, d := range f.Directors {
		runs(d, "servers web", server+"  fullnat  1 ")
		if out, err := d.CLI("services", "late"); err == nil {
			t.Errorf("%s still has the service:\n%s", d.Host.Name, out)
		}
	}
}
