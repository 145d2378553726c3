package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"fleetlb/bgp"
	"fleetlb/fullnat"
	"fleetlb/fullnat/nexthop"
	"fleetlb/node/admin"
	"fleetlb/node/config"
	"fleetlb/node/host"
	"fleetlb/session"
)

// Doctor looks for what hurts or will, first on the host, then in the director.
func (b backend) Doctor(ctx context.Context) ([]admin.Finding, error) {
	v, c, err := b.counted(ctx)
	if err != nil {
		return nil, err
	}
	pools, err := b.plane.Pools(ctx)
	if err != nil {
		return nil, err
	}
	own, err := config.ThisHost()
	if err != nil {
		return nil, err
	}
	all := host.Examine(v.running, own, b.ports.Unguarded())
	all = append(all, b.beat(), b.steering(), admin.OK("driver", b.driving()), b.lifted(c), file(&v, own))
	all = append(all, full("sessions", c.Fleet.Roles[session.Home], c.Room, "raise node.max_sessions and restart, or add a director"))
	if len(pools) > 0 {
		p := slices.MaxFunc(pools, func(a, b fullnat.PoolInfo) int { return cmp.Compare(a.BusiestPorts, b.BusiestPorts) })
		all = append(all, full("local ports", p.BusiestPorts, p.Ports,
			fmt.Sprintf("server %s has them of %s, the fullest: list more local addresses", p.BusiestServer, p.Local)))
	}
	for _, s := range b.ports.Stats() {
		who := fmt.Sprintf("worker %d on %s", s.Worker, s.Interface)
		if s.RxFull > 0 {
			all = append(all, admin.Warn(who, fmt.Sprintf("%d frames were lost before it took them", s.RxFull),
				"it does not keep up: give the node more workers, or the machine more cores"))
		}
		if n := s.TxTooBig + s.TxDown + s.TxRefused; n > 0 {
			all = append(all, admin.Warn(who, fmt.Sprintf("%d frames could not be sent: %d larger than the MTU, %d while the interface was down", n, s.TxTooBig, s.TxDown),
				"see the interface and its MTU"))
		}
	}
	all = append(all, crowded(b.hops.Table())...)
	for i := range v.plan.services {
		all = append(all, b.served(&v.plan.services[i]))
		all = append(all, waysTo(v.table.Services[i], b.hops.Table(), c)...)
	}
	all = append(append(append(all, v.speech()...), b.silences()...), b.elections()...)
	return append(append(all, b.fellowship(&v)...), b.contests()...), nil
}

// crowded tells of servers on our links that there is no place for.
func crowded(hops *nexthop.Table) []admin.Finding {
	if hops == nil || hops.Unkept() == 0 {
		return nil
	}
	return []admin.Finding{admin.Fail("servers on our links", fmt.Sprintf("%d are beyond the %d whose MAC addresses are kept", hops.Unkept(), nexthop.MaxKept),
		"they get nothing: put servers behind a router, or some services on other directors")}
}

// full warns of what is nearly used up.
func full(check string, used, of int, advice string) admin.Finding {
	found := fmt.Sprintf("%d of %d in use", used, of)
	if used*10 >= of*9 {
		return admin.Warn(check, found, advice)
	}
	return admin.OK(check, found)
}

func (b backend) steering() admin.Finding {
	how := b.ports.Steering()
	if b.workers > 1 && !strings.HasPrefix(how, "eBPF") {
		return admin.Warn("steering", how, "run as root or with CAP_BPF and CAP_NET_ADMIN: until then frames are handed from worker to worker")
	}
	return admin.OK("steering", how)
}

func (b backend) beat() admin.Finding {
	if age := b.plane.Heartbeat(); age >= aliveWithin {
		return admin.Fail("workers", fmt.Sprintf("one has not come round for %v", age),
			"nothing is announced until it does: is the machine out of cores?")
	}
	return admin.OK("workers", "all come round")
}

// file says whether what is on the disk would come up, and is what runs.
func file(v *view, own config.Host) admin.Finding {
	const check = "configuration"
	next, err := Load(v.config.File, own)
	if err != nil {
		first, more, _ := strings.Cut(err.Error(), "\n")
		if more != "" {
			first += fmt.Sprintf(" (and %d more)", 1+strings.Count(more, "\n"))
		}
		return admin.Fail(check, first, "mend the file: the director would not start with it again; fleetlbd -check lists all")
	}
	changes := config.Diff(v.config, next)
	switch {
	case len(changes) > 0 && config.Reloadable(v.config, next) != nil:
		return admin.Warn(check, fmt.Sprintf("%s in the file not running yet, the first: %v", count(len(changes), "change"), changes[0]),
			"restart fleetlbd: a reload cannot change all of it")
	case len(changes) > 0:
		return admin.Warn(check, fmt.Sprintf("%s in the file not running yet, the first: %v", count(len(changes), "change"), changes[0]), "fleetlb reload")
	case len(v.changes) > 0:
		return admin.Warn(check, fmt.Sprintf("%s by command not in the file, the last: %s", count(len(v.changes), "change"), v.changes[len(v.changes)-1].says()),
			"fleetlb config save, or write it into the file: a restart forgets what was changed by command")
	case len(next.Warnings) > 0:
		return admin.Warn(check, strings.Join(next.Warnings, "; "), "see the file")
	}
	return admin.OK(check, v.config.File+" is what runs")
}

// served says whether a service is, and with how many servers.
func (b backend) served(p *planned) admin.Finding {
	check := "service " + p.config.Name
	down := b.whyDown(p.config)
	switch {
	case p.standing != quorate:
		return admin.Fail(check, strings.Join(append([]string{p.shortfall()}, down...), "; "), "see fleetlb health "+p.config.Name)
	case p.up == 0:
		return admin.Warn(check, "no server takes new connections; it is "+p.state(), "see fleetlb servers "+p.config.Name)
	case len(down) > 0:
		return admin.Warn(check, strings.Join(down, "; "), "see fleetlb health "+p.config.Name)
	}
	return admin.OK(check, count(p.up, "server")+" up")
}

// speech says how the speaker and its neighbours are.
func (v *view) speech() (all []admin.Finding) {
	if v.speaker == nil {
		return nil
	}
	if p := v.speaker.Process(); p.Problem != "" {
		all = append(all, admin.Fail("bgp speaker", p.Problem, "see the director's log"))
	} else if p.Restarts > 0 {
		all = append(all, admin.Warn("bgp speaker", fmt.Sprintf("started again %d times, the last time because: %s", p.Restarts, p.LastExit),
			"sessions with all neighbours were lost each time; see the director's log"))
	}
	for _, n := range v.speaker.Neighbors() {
		check := "bgp neighbor " + n.Address.String()
		if n.State != bgp.Established {
			found := string(n.State)
			if n.LastError != "" {
				found += ": " + n.LastError
			}
			all = append(all, admin.Fail(check, found, "see the router's log: addresses, AS numbers and password must agree on both sides"))
			continue
		}
		all = append(all, admin.OK(check, fmt.Sprintf("established, %s announced", count(n.Announced, "route"))))
	}
	return all
}
