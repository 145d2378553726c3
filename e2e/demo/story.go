package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"fleetlb/e2e/lab"
)

// weights of the three servers.
var weights = []int{3, 2, 1}

// crowdSize is how many long-lived connections accompany the story, half of them
// over IPv6; churnRate how many new ones come and go a second.
const (
	crowdSize = 200
	churnRate = 50
)

// story is the demo: a fleet of three directors in front of three servers, and
// what becomes of its connections when directors die, freeze, drain and change.
var story = []step{
	{"The site", (*demo).showSite},
	{"Three directors start, and the router learns their virtual addresses by BGP", (*demo).startDirectors},
	{"60 requests, half over IPv4 and half over IPv6: shared out 3:2:1", (*demo).showBalance},
	{"200 long-lived connections, and a stream of new ones", (*demo).showSessions},
	{"kill -9 a director", (*demo).killDirector},
	{"It comes back", (*demo).reviveDirector},
	{"Freeze a director: SIGSTOP, the death that nobody announces", (*demo).freezeDirector},
	{"It wakes up", (*demo).thawDirector},
	{"Drain a director, and let it serve again", (*demo).drainDirector},
	{"The router spreads connections anew, and moves most of them", (*demo).rehash},
	{"An upgrade: every director is restarted, one after the other", (*demo).upgrade},
	{"All is as it was", (*demo).sum},
}

func (d *demo) showSite() error {
	d.say(`
   client1 ─┐            ┌─ lb1 ─┐            ┌─ server1 (weight 3)
            ├── router ══╪═ lb2 ═╪── router ──┼─ server2 (weight 2)
   client2 ─┘            └─ lb3 ─┘            └─ server3 (weight 1)

   Every box is a network namespace of this machine; there is one router, which
   runs %s and speaks BGP with BFD. It spreads connections over the directors,
   which tell each other of their sessions.
   Virtual addresses: %s and %s; no host has them.`, router(), d.site.VIP4, d.site.VIP6)
	for _, s := range d.site.Servers {
		if _, err := s.Serve(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) startDirectors() error {
	for _, lb := range d.site.Directors {
		lb.Services = d.servicesTOML()
		lb.Node = `withdraw_delay = "1s"`
		if err := lb.Start(); err != nil {
			return err
		}
	}
	if err := d.whole(); err != nil {
		return err
	}
	if err := d.nodes(); err != nil {
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
		// Each director shares out what it gets, of each of two services.
		if got, want := answers[s.Name], 10*weights[i]; got < want-8 || got > want+8 {
			return fmt.Errorf("%s answered %d of 60 requests, want about %d", s.Name, got, want)
		}
	}
	return nil
}

func (d *demo) showSessions() error {
	for _, vip := range []string{d.site.VIP4, "[" + d.site.VIP6 + "]"} {
		c, err := d.site.Clients[1].Crowd(context.Background(), fmt.Sprintf("%s:%d", vip, lab.EchoPort), crowdSize/2, 200*time.Millisecond)
		if err != nil {
			return err
		}
		d.crowds = append(d.crowds, c)
	}
	d.churn = d.site.Clients[0].Churn(fmt.Sprintf("%s:%d", d.site.VIP4, lab.EchoPort), churnRate)
	if err := d.proven(); err != nil {
		return err
	}
	out, err := d.lb.CLI("sessions", "--service", "echo", "--state", "established", "--limit", "4")
	if err != nil {
		return err
	}
	d.command("fleetlb sessions --service echo --state established --limit 4", out)
	d.say("   Every session is known to other directors within milliseconds. A server sees a\n   local address, never the client's or the VIP.")
	return d.unbroken(nil)
}

func (d *demo) killDirector() error {
	victim := d.site.Directors[1]
	return d.fault(victim, func() error {
		victim.Process.Kill()
		return nil
	})
}

func (d *demo) reviveDirector() error {
	victim := d.site.Directors[1]
	started := time.Now()
	if err := victim.Start(); err != nil {
		return err
	}
	d.say("   It announced nothing before it had learned the sessions, after %d ms.", time.Since(started).Milliseconds())
	if err := d.whole(); err != nil {
		return err
	}
	return d.unbroken(nil)
}

func (d *demo) freezeDirector() error {
	victim := d.site.Directors[2]
	return d.fault(victim, func() error {
		victim.Process.Freeze()
		d.frozen = victim
		return nil
	})
}

func (d *demo) thawDirector() error {
	time.Sleep(3 * time.Second) // the others have gone on without it
	d.site.Directors[2].Process.Thaw()
	d.frozen = nil
	if err := d.whole(); err != nil {
		return err
	}
	d.say("   It knew that it had slept, learned what it had missed, and serves again.")
	return d.unbroken(nil)
}

func (d *demo) drainDirector() error {
	victim := d.site.Directors[0]
	if err := d.fault(victim, func() error {
		_, err := victim.CLI("node", "drain")
		return err
	}); err != nil {
		return err
	}
	if _, err := victim.CLI("node", "undrain"); err != nil {
		return err
	}
	return d.whole()
}

// rehash has the router spread by addresses alone and then by ports again: each
// time most connections meet another director.
func (d *demo) rehash() error {
	for _, policy := range []string{"0", "1"} {
		for _, family := range []string{"ipv4", "ipv6"} {
			if err := d.site.Gateway.Sysctl("net."+family+".fib_multipath_hash_policy", policy); err != nil {
				return err
			}
		}
		if err := d.proven(); err != nil {
			return err
		}
	}
	return d.unbroken(nil)
}

func (d *demo) upgrade() error {
	for _, lb := range d.site.Directors {
		asked := time.Now()
		lb.Process.Signal(syscall.SIGTERM)
		if err := lb.Process.Wait(15 * time.Second); err != nil {
			return err
		}
		left := time.Since(asked)
		if err := lb.Start(); err != nil {
			return err
		}
		if err := d.whole(); err != nil {
			return err
		}
		d.say("   %s left after %d ms and serves again after %d ms.", lb.Host.Name, left.Milliseconds(), time.Since(asked).Milliseconds())
	}
	return d.unbroken(nil)
}

func (d *demo) sum() error {
	served, failed := d.churn.Stop()
	if err := d.proven(); err != nil {
		return err
	}
	if err := d.nodes(); err != nil {
		return err
	}
	for _, c := range d.crowds {
		d.broken += len(c.Stop())
		d.echoed += c.Echoed()
	}
	d.say("   Long-lived connections: broken %d/%d, %d messages came back whole.", d.broken, crowdSize, d.echoed)
	d.say("   New connections: %d served, %d failed.", served, len(failed))
	if d.broken != 0 {
		return fmt.Errorf("%d long-lived connections broke", d.broken)
	}
	return nil
}

// fault does something to a director while a probe goes through it, and tells
// what that has cost.
func (d *demo) fault(victim *lab.Director, do func() error) error {
	probe, err := d.through(victim)
	if err != nil {
		return err
	}
	carried, err := d.carriedBy(victim)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	var others []string
	for _, lb := range d.site.Directors {
		if lb != victim {
			others = append(others, lb.Host.Name)
		}
	}
	for _, prefix := range d.vips() {
		if err := d.site.Gateway.AwaitLearned(15*time.Second, prefix, others...); err != nil {
			return err
		}
	}
	d.say("   %s carried %d of the connections. The router sent them elsewhere after %d ms.", victim.Host.Name, carried, time.Since(began).Milliseconds())
	if err := d.proven(); err != nil {
		return err
	}
	return d.unbroken(probe)
}

// through starts a stream of datagrams, one a millisecond, that a director
// carries.
func (d *demo) through(victim *lab.Director) (*lab.Probe, error) {
	for range 40 {
		p, err := d.site.Clients[0].Probe(context.Background(), fmt.Sprintf("%s:%d", d.site.VIP4, lab.EchoPort), time.Millisecond)
		if err != nil {
			return nil, err
		}
		carried := false
		if err := lab.Await(5*time.Second, "the probe to be carried", func() error {
			for _, lb := range d.site.Directors {
				if !lb.Process.Running() {
					continue
				}
				sessions, err := lb.Sessions("--client", p.Host(), "--service", "echo-udp", "--role", "home")
				if err != nil {
					return err
				}
				for _, s := range sessions {
					if s.Client == p.Local() {
						carried = lb == victim
						return nil
					}
				}
			}
			return errors.New("nobody carries it")
		}); err != nil {
			return nil, err
		}
		if carried {
			return p, nil
		}
		p.Stop()
	}
	return nil, fmt.Errorf("40 probes, and none by way of %s", victim.Host.Name)
}

// carriedBy counts the long-lived connections that are a director's own or that
// it has adopted.
func (d *demo) carriedBy(lb *lab.Director) (n int, err error) {
	for _, role := range []string{"home", "adopted"} {
		sessions, err := lb.Sessions("--state", "established", "--role", role)
		if err != nil {
			return 0, err
		}
		for _, s := range sessions {
			if strings.HasPrefix(s.Client, d.crowdHost4()) || strings.HasPrefix(s.Client, d.crowdHost6()) {
				n++
			}
		}
	}
	return n, nil
}

// proven waits until every long-lived connection has spoken again.
func (d *demo) proven() error {
	for _, c := range d.crowds {
		if err := c.Proven(25 * time.Second); err != nil {
			return err
		}
	}
	return nil
}

// unbroken checks that no long-lived connection is lost, and says what the
// others did; probe, if there is one, ends and tells how long nothing went
// through.
func (d *demo) unbroken(probe *lab.Probe) error {
	broken, adopted := 0, 0
	for _, c := range d.crowds {
		broken += len(c.Broken())
	}
	for _, lb := range d.site.Directors {
		if !lb.Process.Running() || d.frozen == lb {
			continue
		}
		sessions, err := lb.Sessions("--role", "adopted", "--state", "established")
		if err != nil {
			return err
		}
		adopted += len(sessions)
	}
	said := fmt.Sprintf("   broken %d/%d, %d sessions adopted", broken, crowdSize, adopted)
	if probe != nil {
		r := probe.Stop()
		said += fmt.Sprintf(", blackhole %d ms", r.Blackhole.Milliseconds())
		if r.Lost == r.Sent {
			return errors.New("the probe never came through")
		}
	}
	d.say("%s", said)
	if broken != 0 {
		for _, c := range d.crowds {
			for _, b := range c.Broken() {
				return fmt.Errorf("%d of %d long-lived connections broke, the first: %v", broken, crowdSize, b)
			}
		}
	}
	return nil
}
