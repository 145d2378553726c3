package e2e

import (
	"strings"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// TestFleetConflicts: a director that does not fit into the fleet says so, serves
// nobody, and troubles nobody who does. Once it is mended it serves.
func TestFleetConflicts(t *testing.T) {
	f := openFleet(t, lab.Options{Router: "embedded", BFD: "100ms", Directors: 3}, 2)
	crowd := f.crowd(t, at(f.VIP4, lab.EchoPort), 50)
	odd := f.Directors[2]
	right := *odd
	for _, tt := range []struct {
		name    string
		spoil   func()
		problem string
	}{
		{"another's name", func() { odd.Name = "lb1" }, "lb1"},
		{"another's local addresses", func() { odd.Locals = f.Directors[0].Locals }, "10.2.1.0/28"},
		{"other services", func() { odd.Services = tomls(2, fleetServices...) }, "services"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.spoil()
			if err := odd.Launch(); err != nil {
				t.Fatal(err)
			}
			launched := time.Now()
			if err := odd.AwaitState(10*time.Second, "barred"); err != nil {
				t.Fatal(err)
			}
			t.Logf("barred %v after its start", time.Since(launched).Round(10*time.Millisecond))
			nodes, err := odd.Nodes()
			if err != nil {
				t.Fatal(err)
			}
			said := ""
			for _, n := range nodes {
				if n.State == "barred" {
					said += n.Problem
				}
			}
			if !strings.Contains(said, tt.problem) {
				t.Errorf("fleetlb nodes gives as the problem %q, which does not name %q", said, tt.problem)
			}
			if out, err := odd.CLI("doctor"); err == nil || !strings.Contains(out, tt.problem) {
				t.Errorf("fleetlb doctor finds nothing wrong (%v):\n%s", err, out)
			}
			f.routed(t, time.Second, "lb1", "lb2")
			odd.Process.Stop()
			process := odd.Process
			*odd = right
			odd.Process = process
		})
	}
	f.start(t, odd)
	unbroken(t, crowd)
}
