package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"fleetlb/e2e/lab"
)

// weights of the three servers.
var weights = []int{3, 2, 1}

// crowdSize is how many long-lived connections accompany the story.
const crowdSize = 24

// story is the demo: one director in front of three servers.
var story = []step{
	{"The site", (*demo).showSite},
	{"A director starts, and the router learns its virtual addresses by BGP", (*demo).startDirector},
	{"60 requests, half over IPv4 and half over IPv6: shared out 3:2:1", (*demo).showBalance},
	{"Long-lived connections, and what the director knows about them", (*demo).showSessions},
	{"kill -9 a server", (*demo).killServer},
	{"The server comes back", (*demo).reviveServer},
	{"Drain a server: no new connections, the old ones go on", (*demo).drainServer},
	{"The director is told to end: it withdraws its addresses first", (*demo).endDirector},
}

func (d *demo) showSite() error {
	d.say(`
   client1 ─┐                            ┌──── server1 (weight 3)
            ├── router ══ BGP ══ lb1 ────┼──── server2 (weight 2)
   client2 ─┘                            └──── server3 (weight 1)

   Every box is a network namespace of this machine. The router runs %s.
   Virtual addresses: %s and %s; no host has them.`, router(), d.site.VIP4, d.site.VIP6)
	for _, s := range d.site.Servers {
		p, err := s.Serve()
		if err != nil {
			return err
		}
		d.servers = append(d.servers, p)
	}
	return nil
}

func (d *demo) startDirector() error {
	d.lb.Services = d.servicesTOML()
	started := time.Now()
	if err := d.lb.Start(); err != nil {
		return err
	}
	for _, prefix := range d.vips() {
		if err := d.site.Gateway.AwaitLearned(15*time.Second, prefix, "lb1"); err != nil {
			return err
		}
	}
	d.say("   %d ms after its start, the router sends %s and %s to lb1.", time.Since(started).Milliseconds(), d.site.VIP4, d.site.VIP6)
	if err := d.site.AwaitEstablished(10 * time.Second); err != nil {
		return err
	}
	if err := d.lb.AwaitAllUp(10 * time.Second); err != nil {
		return err
	}
	if err := d.fleetlb("bgp", "neighbors"); err != nil {
		return err
	}
	return d.fleetlb("services")
}

func (d *demo) showBalance() error {
	answers, err := d.requests(60)
	if err != nil {
		return err
	}
	for i, s := range d.site.Servers {
		// Two services share them out, so each may be one off.
		if got, want := answers[s.Name], 10*weights[i]; got < want-2 || got > want+2 {
			return fmt.Errorf("%s answered %d of 60 requests, want %d", s.Name, got, want)
		}
	}
	return nil
}

func (d *demo) showSessions() (err error) {
	address := fmt.Sprintf("%s:%d", d.site.VIP4, lab.EchoPort)
	if d.crowd, err = d.site.Clients[1].Crowd(context.Background(), address, crowdSize, 50*time.Millisecond); err != nil {
		return err
	}
	if err := d.crowd.Proven(5 * time.Second); err != nil {
		return err
	}
	if err := d.fleetlb("servers", "echo"); err != nil {
		return err
	}
	out, err := d.lb.CLI("sessions", "--service", "echo", "--limit", "4")
	if err != nil {
		return err
	}
	d.command("fleetlb sessions --service echo --limit 4", out)
	d.say("   A server sees a local address, never the client's or the VIP.")
	return d.unbroken(0)
}

func (d *demo) killServer() error {
	hit, err := d.sessionsOn(2)
	if err != nil {
		return err
	}
	killed := time.Now()
	d.servers[1].Kill()
	address := lab.ServerAddress(2, lab.HTTPPort, false)
	if err := d.lb.AwaitServer(10*time.Second, "web", address, "down"); err != nil {
		return err
	}
	d.say("   server2 was found dead after %d ms.", time.Since(killed).Milliseconds())
	for _, service := range []string{"web6", "echo"} {
		if err := d.awaitServer2(service, "down"); err != nil {
			return err
		}
	}
	answers, err := d.requests(60)
	if err != nil {
		return err
	}
	if answers["server2"] != 0 {
		return fmt.Errorf("%d requests went to the dead server", answers["server2"])
	}
	if err := d.crowd.Proven(5 * time.Second); err != nil {
		return err
	}
	return d.unbroken(hit)
}

func (d *demo) reviveServer() (err error) {
	if d.servers[1], err = d.site.Servers[1].Serve(); err != nil {
		return err
	}
	back := time.Now()
	for _, service := range []string{"web", "web6", "echo"} {
		if err := d.awaitServer2(service, "up"); err != nil {
			return err
		}
	}
	d.say("   server2 gets connections again after %d ms.", time.Since(back).Milliseconds())
	answers, err := d.requests(60)
	if err == nil && answers["server2"] == 0 {
		err = errors.New("it gets none")
	}
	return err
}

func (d *demo) drainServer() error {
	for _, service := range []string{"web", "web6", "echo"} {
		if err := d.fleetlb("server", "drain", service, d.serverAddress(service, 1)); err != nil {
			return err
		}
	}
	answers, err := d.requests(30)
	if err != nil {
		return err
	}
	if answers["server1"] != 0 {
		return fmt.Errorf("%d new connections went to the draining server", answers["server1"])
	}
	if err := d.crowd.Proven(5 * time.Second); err != nil {
		return err
	}
	if err := d.fleetlb("servers", "echo"); err != nil {
		return err
	}
	return d.unbroken(-1)
}

func (d *demo) endDirector() error {
	d.crowd.Stop()
	started := time.Now()
	ended := make(chan struct{})
	go func() { d.lb.Process.Stop(); close(ended) }()
	for _, prefix := range d.vips() {
		if err := d.site.Gateway.AwaitLearned(10*time.Second, prefix); err != nil {
			return err
		}
	}
	withdrawn := time.Since(started)
	<-ended
	if d.lb.Process.Crashed() {
		return fmt.Errorf("the director ended with %s", d.lb.Process.State())
	}
	d.say("   The router forgot the addresses after %d ms, the director ended after %d ms.",
		withdrawn.Milliseconds(), time.Since(started).Milliseconds())
	return nil
}

// unbroken checks how many of the long-lived connections are lost so far: want,
// or if that is negative, as many as before.
func (d *demo) unbroken(want int) error {
	broken, before := len(d.crowd.Broken()), d.broken
	if want < 0 {
		want = before
	}
	if broken != want {
		return fmt.Errorf("%d long-lived connections broke, want %d: %v", broken, want, d.crowd.Broken())
	}
	d.broken = broken
	if broken > before {
		d.say("   Long-lived connections: %d were the dead server's own; the other %d never noticed.", broken, crowdSize-broken)
		return nil
	}
	d.say("   Long-lived connections: %d go on, %d messages echoed so far, none broken.", crowdSize-broken, d.crowd.Echoed())
	return nil
}

// sessionsOn counts the long-lived connections of one server.
func (d *demo) sessionsOn(server int) (n int, err error) {
	sessions, err := d.lb.Sessions("--service", "echo")
	for _, s := range sessions {
		if s.State == "established" && s.Server == lab.ServerAddress(server, lab.EchoPort, false) {
			n++
		}
	}
	return n, err
}

func (d *demo) awaitServer2(service, state string) error {
	return d.lb.AwaitServer(10*time.Second, service, d.serverAddress(service, 2), state)
}

func (d *demo) serverAddress(service string, i int) string {
	if service == "echo" {
		return lab.ServerAddress(i, lab.EchoPort, false)
	}
	return lab.ServerAddress(i, lab.HTTPPort, service == "web6")
}

func (d *demo) vips() (prefixes []string) {
	for _, a := range []string{d.site.VIP4, d.site.VIP6} {
		ip := netip.MustParseAddr(a)
		prefixes = append(prefixes, netip.PrefixFrom(ip, ip.BitLen()).String())
	}
	return prefixes
}
