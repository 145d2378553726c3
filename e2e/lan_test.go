package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// TestLAN: a fleet on one LAN, without BGP. Each VIP is found at one director;
// when that is killed, another answers for it, and connections of every mode go on.
func TestLAN(t *testing.T) {
	for _, mode := range []string{"fullnat", "nat", "dr"} {
		t.Run(mode, func(t *testing.T) { lanMode(t, mode) })
	}
}

func lanMode(t *testing.T, mode string) {
	f := &fleet{site: &site{Site: lab.SiteForTest(t, lab.Options{Shape: lab.OneArm, Fleet: true, Directors: 3})}}
	f.lb, f.client = f.Directors[0], f.Clients[0]
	for _, server := range f.Servers {
		if _, err := server.Serve(); err != nil {
			t.Fatal(err)
		}
		var err error
		switch mode {
		case "nat":
			// The VIP is also the servers' way out: whoever holds it gets their answers.
			err = server.Gateway([]string{"10.3.0.1", "2001:db8:3::1"}, []string{f.VIP4, f.VIP6})
		case "dr":
			err = server.HoldVIPs(f.VIP4, f.VIP6)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range f.Directors {
		d.Offload = "off" // all is on one link, which the router shares
		d.Services = tomls(len(f.Servers),
			service{name: "echo", vip: f.VIP4, port: lab.EchoPort, more: fmt.Sprintf("mode = %q", mode), fall: 20},
			service{name: "echo6", vip: f.VIP6, port: lab.EchoPort, more: fmt.Sprintf("mode = %q", mode), fall: 20})
		if err := d.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range f.Directors {
		if err := d.AwaitAllUp(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		if err := d.AwaitNodes(10*time.Second, "lb1", "lb2", "lb3"); err != nil {
			t.Fatal(err)
		}
	}
	// So many at each VIP that whoever is killed carries that many at least.
	for _, vip := range []string{f.VIP4, f.VIP6} {
		c, err := f.client.Crowd(t.Context(), at(vip, lab.EchoPort), populationOf(t), 500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Stop() })
		f.crowds = append(f.crowds, c)
	}
	var err error
	if f.idlers, err = f.client.Idlers(t.Context(), at(f.VIP4, lab.EchoPort), 50); err != nil {
		t.Fatal(err)
	}
	if f.reset, err = f.client.Port("clients").Capture(lab.Resets); err != nil {
		t.Fatal(err)
	}
	f.unbroken(t)

	holder := f.holder(t, f.VIP4)
	killed := time.Now()
	holder.Process.Kill()
	if err := lab.Await(30*time.Second, "another director to answer for the VIP", func() error {
		if now := f.holder(t, f.VIP4); now == holder {
			return errors.New("it is still " + now.Host.Name)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, killed, "taken over")
	f.unbroken(t)

	// It comes back, and the VIP with it.
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if err := lab.Await(30*time.Second, "the VIP to go back", func() error {
		if now := f.holder(t, f.VIP4); now != holder {
			return errors.New("it is still " + now.Host.Name)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	f.unbroken(t)

	// Draining is quicker than dying, and costs nobody anything.
	churn := f.churn()
	drained := time.Now()
	if _, err := holder.CLI("node", "drain"); err != nil {
		t.Fatal(err)
	}
	if err := lab.Await(10*time.Second, "another director to answer for the VIP", func() error {
		if now := f.holder(t, f.VIP4); now == holder {
			return errors.New("it is still " + now.Host.Name)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	within(t, 4*time.Second, drained, "handed over")
	f.unbroken(t)
	served(t, churn)
	if mode == "fullnat" {
		f.contested(t)
	}
}

// holder is the director at which the router has a VIP.
func (f *fleet) holder(t *testing.T, vip string) *lab.Director {
	t.Helper()
	mac, err := f.Gateway.Neighbor(vip)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Directors {
		if d.Host.Port("back").MAC.String() == mac {
			return d
		}
	}
	t.Fatalf("the router has %s at %q, which is no director", vip, mac)
	return nil
}

// contested: another station takes the VIP for its own, and the operator is told.
func (f *fleet) contested(t *testing.T) {
	thief := f.Servers[0]
	for _, c := range f.crowds {
		c.Stop()
	}
	if err := thief.Port("back").AddAddr(f.VIP4 + "/24"); err != nil {
		t.Fatal(err)
	}
	defer thief.Port("back").DelAddr(f.VIP4 + "/24")
	// The holder asks now and then whether it is alone.
	if err := lab.Await(45*time.Second, "doctor to name the thief", func() error {
		for _, d := range f.Directors {
			if out, err := d.CLI("doctor"); strings.Contains(out+fmt.Sprint(err), "lan "+f.VIP4) && strings.Contains(out, thief.Port("back").MAC.String()) {
				return nil
			}
		}
		return errors.New("nobody does")
	}); err != nil {
		t.Error(err)
	}
}
