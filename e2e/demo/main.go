// Demo shows fleetlb at work on one machine: it lays a site out in network
// namespaces, drives real HTTP through a virtual address, breaks things and
// measures what that does. It ends with `demo: OK`, or with what went wrong and
// exit status 1, and leaves nothing behind either way.
//
//	DEMO_ROUTER=bird|frr   the real router in place of the embedded one
//	KEEP=1                 leave everything up at the end, to look around
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"fleetlb/e2e/lab"
)

func main() {
	lab.Main()
	useOwnBinaries()
	if err := lab.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	os.Exit(run())
}

func run() int {
	out := newScreen(os.Stdout)
	site, err := lab.OpenSite(lab.Options{
		Shape: lab.Routed, Router: router(), BFD: "100ms", Fleet: true, Directors: 3, Clients: 2,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	defer site.Close()

	d := &demo{screen: out, site: site, lb: site.Directors[0]}
	if err := d.play(story); err != nil {
		if site.Interrupted() {
			select {} // Ctrl-C: the lab cleans up and exits
		}
		site.Report(os.Stderr)
		out.fail("demo: FAILED: %v", err)
		d.keep()
		return 1
	}
	out.ok("demo: OK broken=%d", d.broken)
	d.keep()
	return 0
}

func router() string {
	if r := os.Getenv("DEMO_ROUTER"); r != "" {
		return r
	}
	return "embedded"
}

// useOwnBinaries takes the director from beside the demo itself, so that it
// runs from any directory.
func useOwnBinaries() {
	self, err := os.Executable()
	if err != nil || os.Getenv(lab.BinEnv) != "" {
		return
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(self), "fleetlbd")); err == nil {
		os.Setenv(lab.BinEnv, filepath.Dir(self))
	}
}

// keep leaves the site up until Ctrl-C if the user wants to look around.
func (d *demo) keep() {
	if os.Getenv("KEEP") == "" {
		return
	}
	enter := ""
	if d.site.Rootless() {
		enter = fmt.Sprintf("nsenter --preserve-credentials -t %d -U -m -n ", os.Getpid())
	}
	in := func(h *lab.Host) string { return enter + "ip netns exec " + d.site.Namespace(h) }
	cli, _ := lab.Binary("fleetlb")
	d.say("\nEverything stays up. Each host is a network namespace; from another terminal:\n")
	d.say("  %sip netns", enter)
	d.say("  %s curl -i http://%s/", in(d.site.Clients[0]), d.site.VIP4)
	d.say("  %s ip route", in(d.site.Gateway))
	d.say("  %s tcpdump -ni eth1", in(d.lb.Host))
	d.say("  %s%s --socket %s sessions", enter, cli, d.lb.Socket())
	d.say("\nConfigurations and logs are in %s. Ctrl-C ends it all.", d.site.Dir)
	select {} // the lab cleans up and exits
}
