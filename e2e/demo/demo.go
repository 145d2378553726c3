package main

import (
	"context"
	"fmt"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"fleetlb/e2e/lab"
)

// demo is the story's stage.
type demo struct {
	*screen
	site   *lab.Site
	lb     *lab.Director // the one that is shown
	frozen *lab.Director // that answers nobody
	crowds []*lab.Crowd
	churn  *lab.Churn

	broken int // of the crowds, at the end
	echoed uint64
}

// step is one scene: what is about to be shown, and the showing.
type step struct {
	title string
	play  func(*demo) error
}

// sceneTime bounds a scene, so that the demo ends whatever happens.
const sceneTime = time.Minute

func (d *demo) play(story []step) error {
	for _, s := range story {
		d.title(s.title)
		done := make(chan error, 1)
		go func() { done <- d.scene(s) }()
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("%s: %w", s.title, err)
			}
		case <-time.After(sceneTime):
			return fmt.Errorf("%s: not done after %v", s.title, sceneTime)
		}
	}
	return nil
}

// scene plays one step. A panic must not end the program before the lab is
// closed.
func (d *demo) scene(s step) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return s.play(d)
}

// whole waits until the router sends the VIPs to every director, and each knows
// all others to serve.
func (d *demo) whole() error {
	var names []string
	for _, lb := range d.site.Directors {
		names = append(names, lb.Host.Name)
	}
	for _, prefix := range d.vips() {
		if err := d.site.Gateway.AwaitLearned(20*time.Second, prefix, names...); err != nil {
			return err
		}
	}
	for _, lb := range d.site.Directors {
		if err := lb.AwaitNodes(10*time.Second, names...); err != nil {
			return err
		}
		if err := lb.AwaitAllUp(10 * time.Second); err != nil {
			return err
		}
	}
	return nil
}

// nodes prints the fleet, once all have heard of it.
func (d *demo) nodes() error {
	if err := d.site.Directors[0].AwaitSlots(10 * time.Second); err != nil {
		return err
	}
	return d.fleetlb("nodes")
}

func (d *demo) vips() (prefixes []string) {
	for _, a := range []string{d.site.VIP4, d.site.VIP6} {
		ip := netip.MustParseAddr(a)
		prefixes = append(prefixes, netip.PrefixFrom(ip, ip.BitLen()).String())
	}
	return prefixes
}

// crowdHost4 and crowdHost6 are how the crowds' ends begin.
func (d *demo) crowdHost4() string { return d.site.Clients[1].Ports[0].Addr(false).String() + ":" }
func (d *demo) crowdHost6() string {
	return "[" + d.site.Clients[1].Ports[0].Addr(true).String() + "]:"
}

// fleetlb shows a command of the operator and what it answers.
func (d *demo) fleetlb(args ...string) error {
	out, err := d.lb.CLI(args...)
	if err != nil {
		return err
	}
	d.command("fleetlb "+strings.Join(args, " "), out)
	return nil
}

// requests sends n requests over new connections, half of them over IPv6, and
// shows who answered.
func (d *demo) requests(n int) (answers map[string]int, err error) {
	answers = make(map[string]int)
	for _, vip := range []string{d.site.VIP4, "[" + d.site.VIP6 + "]"} {
		some, err := d.site.Clients[0].AskMany(context.Background(), "http://"+vip+"/", n/2)
		for server, count := range some {
			answers[server] += count
		}
		if err != nil {
			return answers, err
		}
	}
	d.showAnswers(answers)
	return answers, nil
}

func (d *demo) showAnswers(answers map[string]int) {
	rows := [][]string{{"SERVER", "WEIGHT", "ANSWERED", ""}}
	for i, s := range d.site.Servers {
		n := answers[s.Name]
		rows = append(rows, []string{s.Name, strconv.Itoa(weights[i]), strconv.Itoa(n), strings.Repeat("#", (n+1)/2)})
	}
	d.table(rows...)
}

// servicesTOML is the fleet's services file of the demo.
func (d *demo) servicesTOML() string {
	var b strings.Builder
	for _, s := range []struct {
		name, vip, protocol string
		port                int
		v6                  bool
	}{
		{"web", d.site.VIP4 + ":80", "tcp", lab.HTTPPort, false},
		{"web6", "[" + d.site.VIP6 + "]:80", "tcp", lab.HTTPPort, true},
		{"echo", d.site.VIP4 + ":7007", "tcp", lab.EchoPort, false},
		{"echo6", "[" + d.site.VIP6 + "]:7007", "tcp", lab.EchoPort, true},
		{"echo-udp", d.site.VIP4 + ":7007", "udp", lab.EchoPort, false},
	} {
		fmt.Fprintf(&b, `[[service]]
name = %q
vip = %q
protocol = %q
scheduler = "wrr"
  [service.check]
  type = "http"
  path = "/healthz"
  port = %d
  interval = "300ms"
  timeout = "1s"
  fall = 2
  rise = 2
`, s.name, s.vip, s.protocol, lab.HTTPPort)
		for i := range d.site.Servers {
			fmt.Fprintf(&b, "  [[service.server]]\n  address = %q\n  weight = %d\n",
				lab.ServerAddress(i+1, s.port, s.v6), weights[i])
		}
	}
	return b.String()
}
