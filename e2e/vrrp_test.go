package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// TestVRRP: two VIPs on a LAN, of each family one, are held in turn by a director
// and by keepalived. Whoever goes, and however, the other has them next; in a
// capture of the LAN there is never more than one who has.
func TestVRRP(t *testing.T) {
	if _, err := lab.Look("keepalived"); err != nil {
		t.Skip(err)
	}
	v := newTurns(t)

	// The greater priority, and the lesser as backup.
	v.other.Priority = 150
	v.otherStarts(t)
	v.serves(t, "keepalived", 10*time.Second)
	v.director(t, 100, true)
	must(t, v.lb.Start())
	must(t, v.lb.AwaitAllUp(10*time.Second))
	v.await(t, "backup", "150")
	v.serves(t, "keepalived", 0)
	said, err := v.lb.CLI("doctor")
	if !strings.Contains(said, "backup to 10.3.0.60, which has priority 150") || strings.Contains(said, "vrrp_version") {
		t.Errorf("doctor: %v\n%s", err, said)
	}

	t.Log("keepalived dies")
	died := time.Now()
	must(t, v.other.Die())
	v.serves(t, "director", 3*time.Second)
	within(t, 2*time.Second, died, "taken over")
	v.await(t, "active", "100")

	t.Log("it comes back, and preempts")
	must(t, v.other.Revive())
	v.otherStarts(t)
	v.serves(t, "keepalived", 5*time.Second)
	v.await(t, "backup", "150")

	t.Log("it ends in good order")
	stopped := time.Now()
	v.other.Process.Signal(syscall.SIGTERM)
	v.serves(t, "director", 3*time.Second)
	within(t, time.Second, stopped, "handed over")
	v.other.Process.Stop()

	t.Log("it comes back; and the director is given more priority, and preempts")
	v.otherStarts(t)
	v.serves(t, "keepalived", 5*time.Second)
	v.director(t, 200, true)
	must(t, v.lb.Reload())
	v.serves(t, "director", 5*time.Second)
	v.await(t, "active", "200")
	v.director(t, 190, true) // which changes nothing
	must(t, v.lb.Reload())
	v.await(t, "active", "190")

	t.Log("the director is killed")
	killed := time.Now()
	v.lb.Process.Kill()
	v.serves(t, "keepalived", 3*time.Second)
	within(t, 2*time.Second, killed, "taken over")

	t.Log("it comes back, and preempts; then it is drained")
	must(t, v.lb.Start())
	v.serves(t, "director", 8*time.Second)
	drained := time.Now()
	v.cli(t, "node", "drain")
	v.serves(t, "keepalived", 3*time.Second)
	within(t, time.Second, drained, "handed over")
	v.await(t, "init", "0")
	v.cli(t, "node", "undrain")
	v.serves(t, "director", 8*time.Second)

	t.Log("it is told to end")
	ended := time.Now()
	v.lb.Process.Signal(syscall.SIGTERM)
	v.serves(t, "keepalived", 3*time.Second)
	within(t, time.Second, ended, "handed over")
	must(t, v.lb.Process.Wait(20*time.Second))

	t.Log("without preemption the greater priority waits")
	v.director(t, 250, false)
	must(t, v.lb.Start())
	must(t, v.lb.AwaitAllUp(10*time.Second))
	v.await(t, "backup", "150")
	v.serves(t, "keepalived", 0)
	v.other.Process.Stop()
	v.serves(t, "director", 3*time.Second)
	v.other.Priority, v.other.NoPreempt = 254, true
	v.otherStarts(t)
	time.Sleep(3 * time.Second) // in which it would have preempted
	v.serves(t, "director", 0)

	t.Log("the services are gone, and so is the reason to hold their VIPs")
	for _, s := range v.Servers {
		v.Program(s, "server").Kill()
	}
	v.serves(t, "keepalived", 5*time.Second)
	v.await(t, "init", "0")

	v.oneHolder(t)
}

// TestVRRPFleet: two directors of one fleet hold VIPs in turn by VRRP, instead of
// sharing them out. Whoever does is killed, and no connection breaks.
func TestVRRPFleet(t *testing.T) {
	f := &fleet{site: prepare(t, lab.Options{Shape: lab.OneArm, Fleet: true, Directors: 2, Servers: 2})}
	for i, d := range f.Directors {
		d.Offload = "off"
		d.Services = groups([]string{f.VIP4, f.VIP6}, 200-100*i, true) + tomls(len(f.Servers),
			service{name: "echo", vip: f.VIP4, port: lab.EchoPort, fall: 20}, service{name: "echo6", vip: f.VIP6, port: lab.EchoPort, fall: 20})
		must(t, d.Start())
	}
	for _, d := range f.Directors {
		must(t, d.AwaitAllUp(10*time.Second))
		must(t, d.AwaitNodes(10*time.Second, "lb1", "lb2"))
	}
	first, second := &turns{site: f.site}, &turns{site: &site{Site: f.Site, lb: f.Directors[1]}}
	first.await(t, "active", "200")
	second.await(t, "backup", "200")
	for _, vip := range []string{f.VIP4, f.VIP6} {
		c, err := f.client.Crowd(t.Context(), at(vip, lab.EchoPort), 50, 500*time.Millisecond)
		must(t, err)
		t.Cleanup(func() { c.Stop() })
		f.crowds = append(f.crowds, c)
	}
	var err error
	f.idlers, err = f.client.Idlers(t.Context(), at(f.VIP4, lab.EchoPort), 50)
	must(t, err)
	f.reset, err = f.client.Port("clients").Capture(lab.Resets)
	must(t, err)
	f.unbroken(t)

	f.Directors[0].Process.Kill()
	second.await(t, "active", "100")
	f.unbroken(t)
	must(t, f.Directors[0].Start())
	first.await(t, "active", "200")
	second.await(t, "backup", "200")
	f.unbroken(t)
}

// turns is a director and keepalived on one LAN, and a client that sees it all.
type turns struct {
	*site
	other  *lab.Keepalived
	client *lab.Host
	lan    *lab.Capture
	holds  []string // who shall have, one after the other
}

func newTurns(t *testing.T) *turns {
	t.Helper()
	s := prepare(t, lab.Options{Shape: lab.OneArm, Servers: 2, Extra: []lab.Machine{
		{Name: "keepalived", Plugs: []lab.Plug{{LAN: "back", Addrs: []string{"10.3.0.60/24", "2001:db8:3::60/64"}}}},
		{Name: "neighbour", Plugs: []lab.Plug{{LAN: "back", Addrs: []string{"10.3.0.50/24", "2001:db8:3::50/64"}}}},
	}})
	v := &turns{site: s, client: s.Host("neighbour")}
	v.other = &lab.Keepalived{Host: s.Host("keepalived"), Interface: "eth0", ID: 51, Interval: "0.5",
		VIPs: []string{s.VIP4 + "/24", s.VIP6 + "/64"}}
	if _, err := v.other.Host.Serve(); err != nil {
		t.Fatal(err)
	}
	// So that it believes at once who says that an address has moved.
	must(t, v.client.Sysctl("net.ipv4.neigh.eth0.locktime", "0"))
	must(t, v.client.Sysctl("net.ipv6.neigh.eth0.locktime", "0"))
	var err error
	if v.lan, err = v.client.Port("back").Capture(lab.Everything); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *turns) otherStarts(t *testing.T) {
	t.Helper()
	must(t, v.other.Start())
}

// director is what the next start or reload of the director shall be with.
func (v *turns) director(t *testing.T, priority int, preempt bool) {
	t.Helper()
	v.lb.Services = groups([]string{v.VIP4, v.VIP6}, priority, preempt) + tomls(len(v.Servers),
		service{name: "web", vip: v.VIP4, port: lab.HTTPPort}, service{name: "web6", vip: v.VIP6, port: lab.HTTPPort})
}

// groups are those of a director, one for each VIP.
func groups(vips []string, priority int, preempt bool) (toml string) {
	for i, vip := range vips {
		toml += fmt.Sprintf("[[vrrp]]\nname = \"lan%d\"\nid = 51\ninterval = \"500ms\"\npriority = %d\npreempt = %v\nvips = [%q]\n", i, priority, preempt, vip)
	}
	return toml
}

// await waits until both groups are in a state, and the holder they know has a
// priority.
func (v *turns) await(t *testing.T, state, priority string) {
	t.Helper()
	if err := lab.Await(8*time.Second, "the director to be "+state, func() error {
		groups, err := v.lb.VRRP()
		if err != nil {
			return err
		}
		for _, g := range groups {
			if g.State != state || fmt.Sprint(g.ActivePriority) != priority {
				return fmt.Errorf("%+v", g)
			}
		}
		if len(groups) != 2 {
			return fmt.Errorf("%d groups", len(groups))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// serves waits until both VIPs lead to one of the two.
func (v *turns) serves(t *testing.T, who string, patience time.Duration) {
	t.Helper()
	for _, vip := range []string{v.VIP4, v.VIP6} {
		if err := lab.Await(max(shared*patience, time.Second), vip+" to be with the "+who, func() error {
			// One that began with the holder before must not be waited for.
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			name, err := v.client.Ask(ctx, url(vip, lab.HTTPPort))
			if err == nil && (name == "keepalived") != (who == "keepalived") {
				err = fmt.Errorf("it is with %s", name)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(v.holds) == 0 || v.holds[len(v.holds)-1] != who {
		v.holds = append(v.holds, who)
	}
}

func (v *turns) cli(t *testing.T, args ...string) {
	t.Helper()
	if _, err := v.lb.CLI(args...); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// underWay is how long an answer of the holder before may still be in one of the
// many queues of a busy machine.
const underWay = 300 * time.Millisecond

// oneHolder reads the capture: who advertises changes as often as the story has
// it, so that no two ever do in turns, and who answers for a VIP is who advertised
// last.
func (v *turns) oneHolder(t *testing.T) {
	must(t, v.lan.Stop())
	names := map[string]string{v.lb.Host.Port("back").MAC.String(): "director", v.other.Host.Port("back").MAC.String(): "keepalived"}
	frames := v.lan.Frames()
	for _, vip := range []string{v.VIP4, v.VIP6} {
		a := netip.MustParseAddr(vip)
		var held []string
		since, before, adverts, claimed := time.Time{}, "", 0, 0
		for _, f := range frames {
			from := names[f.Decode().SrcMAC]
			priority := advertised(f.Bytes, a.Is4())
			switch {
			case priority > 0:
				adverts++
				if len(held) == 0 || held[len(held)-1] != from {
					if len(held) > 0 {
						before = held[len(held)-1]
					}
					held, since = append(held, from), f.At
				}
			case priority == 0:
				if len(held) == 0 || held[len(held)-1] != from {
					t.Errorf("%s: %s resigns, and was not active", vip, from)
				}
			case claims(f.Bytes, a):
				claimed++
				holder := len(held) > 0 && held[len(held)-1] == from
				if late := f.At.Sub(since); !holder && !(from == before && late < underWay) {
					t.Errorf("%s: %s answers for it %v after %v", vip, from, late, held)
				}
			}
		}
		if got, want := strings.Join(held, " "), strings.Join(v.holds, " "); got != want {
			t.Errorf("%s: advertised by\n%s, want\n%s", vip, got, want)
		}
		t.Logf("%s: %d advertisements, %d claims, %d holders in turn", vip, adverts, claimed, len(held))
		if claimed < len(held) {
			t.Errorf("%s: %d claims of %d holders", vip, claimed, len(held))
		}
	}
}

// advertised is the priority that a frame advertises, -1 of one that does not.
func advertised(b []byte, v4 bool) int {
	switch {
	case v4 && len(b) >= 42 && b[12] == 8 && b[13] == 0 && b[23] == 112:
		return int(b[14+int(b[14]&0xf)*4+2])
	case !v4 && len(b) >= 62 && b[12] == 0x86 && b[13] == 0xdd && b[20] == 112:
		return int(b[54+2])
	}
	return -1
}

// claims says whether a frame says that an address is its sender's.
func claims(b []byte, a netip.Addr) bool {
	switch ip := a.AsSlice(); {
	case a.Is4():
		return len(b) >= 42 && b[12] == 8 && b[13] == 6 && string(b[28:32]) == string(ip)
	default:
		return len(b) >= 78 && b[12] == 0x86 && b[13] == 0xdd && b[20] == 58 && b[54] == 136 && string(b[62:78]) == string(ip)
	}
}
