package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	"fleetlb/bgp"
	"fleetlb/fullnat"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
	"fleetlb/node/config"
)

// run is the control plane: whatever happens, plan anew and make it so.
func (d *director) run(ctx context.Context) {
	heartbeat := time.NewTicker(heartbeatPeriod)
	defer heartbeat.Stop()
	for ctx.Err() == nil {
		d.safely(func() error {
			d.turn(ctx, heartbeat.C)
			return nil
		})
	}
}

// turn waits for one thing to happen and deals with it.
func (d *director) turn(ctx context.Context, heartbeat <-chan time.Time) {
	select {
	case <-ctx.Done():
	case request := <-d.requests:
		request()
	case <-d.monitor.Changes():
		d.settle()
	case <-d.hops.Changes():
		d.settle()
	case <-d.detected():
		d.forsake()
	case <-d.elected():
		d.settle()
	case <-d.gathered():
		d.meet()
		d.settle()
	case <-d.consulted():
		d.company.overhear()
		if d.company.consult() {
			d.settle()
		}
	case slept := <-d.froze:
		d.woken(slept)
	case now := <-heartbeat:
		if d.felt(now) || d.trouble != "" || d.plan.lingers() {
			d.settle()
		}
	}
}

// felt looks at the workers and says whether they have stopped or gone on.
func (d *director) felt(now time.Time) bool {
	first := d.pulse == pulse{}
	if !d.pulse.feel(d.plane.Heartbeat(), now) {
		return false
	}
	switch {
	case !d.pulse.alive:
		d.log.Error("dataplane: a worker has not come round for a second; announcing nothing")
	case !first:
		d.log.Info("dataplane: the workers come round again")
	}
	return true
}

// settle applies whatever is new. What cannot be applied stays as it was and is
// tried again with the next heartbeat.
func (d *director) settle() {
	before := d.trouble
	d.trouble = ""
	if err := d.safely(d.apply); err != nil {
		if d.trouble = err.Error(); d.trouble != before {
			d.log.Error(d.trouble)
		}
	}
}

// apply plans and makes it so, in an order that no client notices: first stop
// attracting what will not be served, then let the workers know, then attract
// what is served now.
func (d *director) apply() error {
	p := newPlan(d.inputs())
	table, err := d.tableOf(p.specs)
	if err != nil {
		return err
	}
	if d.plan != nil {
		if err := d.announce(both(d.plan.routes, p.routes)); err != nil {
			return err
		}
	}
	if err := d.publish(table, p.lan); err != nil {
		return err
	}
	d.table, d.specs, d.plan = table, p.specs, p
	if err := d.stand(p.groups); err != nil { // resigning, once the workers answer no more
		return err
	}
	d.tell()
	d.complainOf(p)
	d.offer(p)
	if d.company != nil && d.company.held() == "" {
		d.company.served = true
	}
	return d.announce(p.routes)
}

// inputs is the world as it is now.
func (d *director) inputs() *inputs {
	in := &inputs{
		services:  d.running.Services,
		locals:    d.running.Fullnat.LocalAddresses,
		verdicts:  d.monitor.Verdicts(),
		reachable: d.hops.Resolved,
		routed: func(server netip.Addr) bool {
			return d.hops.Table().Behind(packet.AddrFrom(server)) != packet.Addr{}
		},
		busy:     d.busy,
		alive:    d.pulse.alive,
		draining: d.draining,
		leaving:  d.drained,
		held:     d.company.held() != "",
	}
	d.polls(in)
	if d.company != nil {
		in.others, in.self, in.confirmed = d.company.others, d.self().ID, d.company.confirms
		in.offers, in.holding, in.handBack = d.company.offers, d.company.holding, d.config.Gossip.HandBack
	}
	if d.plan != nil {
		in.stood = d.plan.standings()
	}
	return in
}

// busy says whether a service has established sessions.
func (d *director) busy(s *config.Service) bool {
	l := listenersOf(s)[0]
	for _, t := range d.table.Services {
		if t.VIP == packet.AddrFrom(l.VIP.Addr()) && t.Port == l.VIP.Port() && t.Last == l.Last && t.Protocol == l.Protocol {
			return slices.ContainsFunc(serversOf(t), func(v *service.Server) bool { return v.Load.Active() > 0 })
		}
	}
	return false
}

// tableOf is the present table if the specs are those it was built from, so
// that the workers need not look at it again.
func (d *director) tableOf(specs []service.Spec) (*service.Table, error) {
	if slices.EqualFunc(specs, d.specs, service.Spec.Equal) {
		return d.table, nil
	}
	table, err := service.Build(specs, d.table)
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	return table, nil
}

// publish gives the workers a snapshot, if anything in it is new.
func (d *director) publish(table *service.Table, lan *fullnat.LAN) error {
	f := &d.running.Fullnat
	s := &fullnat.Snapshot{
		Services: table,
		Hops:     d.hops.Table(),
		Locals:   f.LocalAddresses,
		Ports:    [2]uint16{f.LocalPorts.First, f.LocalPorts.Last},
		Ping:     d.running.Node.AnswerPing,
		Fleet:    d.fleetOf(),
		LAN:      lan,
	}
	if d.snapshot != nil && s.Same(d.snapshot) {
		return nil
	}
	if err := d.plane.Publish(s); err != nil {
		return fmt.Errorf("dataplane: %w", err)
	}
	d.snapshot = s
	return nil
}

// announce makes routes the whole set that the neighbours are told.
func (d *director) announce(routes []bgp.Route) error {
	if d.speaker == nil {
		return nil
	}
	return d.speaker.Announce(routes)
}

// follow tells those who look at servers by themselves which ones there are.
func (d *director) follow() {
	d.monitor.Set(targets(d.running.Services))
	var servers []packet.Addr
	keep := func(a netip.AddrPort) { servers = append(servers, packet.AddrFrom(a.Addr())) }
	for i := range d.running.Services {
		s := &d.running.Services[i]
		for _, r := range s.Servers {
			keep(r.Address)
		}
		if s.SorryServer.IsValid() {
			keep(s.SorryServer)
		}
	}
	slices.SortFunc(servers, func(a, b packet.Addr) int { return slices.Compare(a[:], b[:]) })
	d.hops.Keep(slices.Compact(servers)) // so that the first client of each waits for nobody
}

var errEnding = errors.New("the director is ending")

// do has the goroutine in run call f, and waits until it has.
func (d *director) do(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	select {
	case d.requests <- func() { done <- d.safely(f) }:
		return <-done
	case <-d.ended:
		return errEnding
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// safely makes an error of a panic: what was applied before stays in force, and
// packets flow. What panics again and again is logged once.
func (d *director) safely(f func() error) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		err = fmt.Errorf("control plane: panic: %v", v)
		if err.Error() != d.panicked {
			d.panicked = err.Error()
			d.log.Error(d.panicked, "stack", string(debug.Stack()))
		}
	}()
	return f()
}
