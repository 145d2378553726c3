package node

import (
	"context"
	"net/netip"
	"time"

	"fleetlb/fullnat/service"
	"fleetlb/node/admin"
	"fleetlb/node/config"
	"fleetlb/node/health"
)

func (b backend) Services(ctx context.Context, name string) ([]admin.Service, error) {
	v, c, err := b.counted(ctx)
	if err == nil {
		err = v.known(name)
	}
	if err != nil {
		return nil, err
	}
	var all []admin.Service
	for i, p := range v.plan.services {
		t := v.table.Services[i]
		if name != "" && t.Name != name {
			continue
		}
		s := admin.Service{
			Name: t.Name, VIP: p.config.VIP, Protocol: p.config.Protocol, Mode: p.config.Mode,
			Scheduler: p.config.Scheduler, State: p.state(), Quorum: p.config.Quorum,
			Servers: len(t.Servers), ServersUp: p.up, Announced: p.announced && v.speaker != nil,
			VIPs: []string{}, Tag: p.config.Tag, OnePacket: p.config.OnePacket, PersistenceS: seconds(p.config.Persistence),
		}
		if p.config.Ports.IsValid() {
			s.Ports = p.config.Ports.String()
		}
		for _, l := range p.config.Listeners()[1:] {
			s.VIPs = append(s.VIPs, l.String())
		}
		for _, server := range serversOf(t) {
			n := c.Of(server)
			s.Active += server.Load.Active()
			s.Inactive += server.Load.Inactive()
			s.Connections += n.Connections
			s.PacketsIn += n.PacketsIn
			s.PacketsOut += n.PacketsOut
			s.BytesIn += n.BytesIn
			s.BytesOut += n.BytesOut
		}
		all = append(all, s)
	}
	return all, nil
}

// state says in a word what a service is good for.
func (p *planned) state() string {
	switch {
	case p.up > 0 && p.standing == quorate:
		return "up"
	case p.lingers:
		return "draining"
	case p.up == 0 && p.standing == quorate && p.config.SorryServer.IsValid():
		return "sorry"
	}
	return "down"
}

func (b backend) Servers(ctx context.Context, name string) ([]admin.Server, error) {
	v, err := b.view(ctx)
	if err != nil {
		return nil, err
	}
	if err := v.known(name); err != nil {
		return nil, err
	}
	verdicts := b.monitor.Verdicts()
	clients := b.clients()
	var all []admin.Server
	for i, p := range v.plan.services {
		t := v.table.Services[i]
		if name != "" && t.Name != name {
			continue
		}
		for _, server := range serversOf(t) {
			a := netip.AddrPortFrom(server.Addr.Netip(), server.Port)
			row := admin.Server{
				Service: t.Name, Address: a, Mode: server.Mode.String(), Weight: server.Weight,
				State:  stateOf(server, verdicts[targetKey(p.config, a)]),
				Active: server.Load.Active(), Inactive: server.Load.Inactive(), Persistent: clients[bound{t.Name, a}],
				UpperThreshold: server.Upper, LowerThreshold: server.Lower,
			}
			if server.Mode == service.TUN {
				row.Tunnel = server.Tunnel.String()
			}
			all = append(all, row)
		}
	}
	return all, nil
}

// stateOf says in a word what a server is good for. One that is not known to be
// healthy is down, however gently its sessions are treated.
func stateOf(s *service.Server, v health.Verdict) string {
	switch {
	case s == s.Service.Sorry:
		return "sorry"
	case s.State == service.Up && s.Weight == 0:
		return service.Draining.String() // quiesced, as ipvsadm users say
	case s.State == service.Draining && !v.Up:
		return "down"
	case s.State == service.Up && s.Full():
		return "overloaded"
	}
	return s.State.String()
}

func (b backend) Health(ctx context.Context, name string) ([]admin.Health, error) {
	v, err := b.view(ctx)
	if err != nil {
		return nil, err
	}
	if err := v.known(name); err != nil {
		return nil, err
	}
	verdicts := b.monitor.Verdicts()
	var all []admin.Health
	for i := range v.running.Services {
		s := &v.running.Services[i]
		if name != "" && s.Name != name {
			continue
		}
		for j := range s.Servers {
			if h, ok := verdicts[targetKey(s, s.Servers[j].Address)]; ok {
				all = append(all, healthRow(s, &s.Servers[j], h))
			}
		}
	}
	return all, nil
}

func healthRow(s *config.Service, r *config.Server, v health.Verdict) admin.Health {
	row := admin.Health{
		Service: s.Name, Address: r.Address, Check: checkOf(s, r).Type, State: "down",
		Checks: v.Checks, Failures: v.Failures, DurationUS: v.Duration.Microseconds(), Reason: v.Reason,
	}
	if !v.Since.IsZero() {
		row.SinceS = seconds(time.Since(v.Since))
	}
	switch {
	case !v.Checked:
		row.State = "unchecked"
	case v.Flapping:
		row.State = "flapping"
	case v.Up:
		row.State = "up"
	}
	return row
}
