package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// One LAN for router, director and servers, no BGP: the VIPs and the local
// addresses are found by ARP and NDP, which the director answers itself.
func TestOneArm(t *testing.T) {
	s := open(t, lab.Options{Shape: lab.OneArm, Extra: []lab.Machine{{
		Name:  "neighbour", // a client in the very same LAN
		Plugs: []lab.Plug{{LAN: "back", Addrs: []string{"10.3.0.50/24", "2001:db8:3::50/64"}}},
	}}},
		service{name: "web", vip: "10.3.0.80", port: lab.HTTPPort},
		service{name: "web6", vip: "2001:db8:3::1:80", port: lab.HTTPPort},
		service{name: "echo", vip: "10.3.0.80", port: lab.EchoPort},
		service{name: "echo6", vip: "2001:db8:3::1:80", port: lab.EchoPort})
	resets, err := s.lb.WatchResets()
	if err != nil {
		t.Fatal(err)
	}
	mac := s.lb.Host.Port("back").MAC.String()
	neighbour := s.Host("neighbour")

	for family, vip := range s.families() {
		for _, client := range []*lab.Host{s.client, neighbour} {
			got, err := client.AskMany(t.Context(), url(vip, lab.HTTPPort), 30)
			if err != nil || got["server1"] != 10 || got["server2"] != 10 || got["server3"] != 10 {
				t.Errorf("%s from %s: %v: %v", family, client.Name, got, err)
			}
			const size = 10 << 20
			res, err := client.HTTP(30 * time.Second).Get(fmt.Sprintf("%snoise?bytes=%d&seed=5", url(vip, lab.HTTPPort), size))
			if err != nil {
				t.Errorf("%s from %s: %v", family, client.Name, err)
				continue
			}
			got5, err := lab.Hash(res.Body)
			res.Body.Close()
			if want, _ := lab.Hash(lab.Noise(5, size)); err != nil || got5 != want {
				t.Errorf("%s from %s: 10 MB: hash %s, want %s: %v", family, client.Name, got5, want, err)
			}
			if _, err := client.Run(t.Context(), "ping", "-c", "2", "-i", "0.1", "-W", "2", vip); err != nil {
				t.Error(err)
			}
		}
		for _, h := range []*lab.Host{s.Gateway, neighbour} {
			if got, err := h.Neighbor(vip); err != nil || got != mac {
				t.Errorf("%s: %s has the VIP at %q, want %s: %v", family, h.Name, got, mac, err)
			}
		}
	}
	// Each server asked for the local addresses that its clients seemed to have.
	for _, session := range sessions(t, s) {
		a, err := netip.ParseAddrPort(session.Local)
		if err != nil || !local(a.Addr().String(), s.lb.Locals) {
			t.Errorf("session from %s has the local address %s", session.Client, session.Local)
		}
	}
	born, err := resets.Born()
	if err != nil || len(born) != 0 {
		t.Errorf("resets began at the director (%v): %v", err, born)
	}

	t.Run("the dead answer nothing", func(t *testing.T) {
		s.lb.Process.Kill()
		// The neighbour's entry is verified again, and nobody claims the VIP.
		for _, vip := range s.families() {
			if err := neighbour.Forget(vip); err != nil {
				t.Fatal(err)
			}
			if _, err := neighbour.Run(t.Context(), "ping", "-c", "1", "-W", "1", vip); err == nil {
				t.Errorf("%s still answers", vip)
			}
			if got, err := neighbour.Neighbor(vip); err == nil && got != "" {
				t.Errorf("%s is still claimed by %s", vip, got)
			}
		}
		if err := s.lb.Start(); err != nil {
			t.Fatal(err)
		}
		s.ready(t)
		for _, vip := range s.families() {
			if err := neighbour.Forget(vip); err != nil {
				t.Fatal(err)
			}
			if _, err := neighbour.Ask(t.Context(), url(vip, lab.HTTPPort)); err != nil {
				t.Error(err)
			}
		}
	})
}

func sessions(t *testing.T, s *site) []lab.SessionView {
	t.Helper()
	all, err := s.lb.Sessions()
	if err != nil {
		t.Fatal(err)
	}
	return all
}
