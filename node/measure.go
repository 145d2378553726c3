package node

import (
	"context"
	"net/netip"
	"time"

	"fleetlb/bgp/bfd"
	"fleetlb/fullnat"
	"fleetlb/node/health"
	"fleetlb/node/metrics"
)

// scrapeWithin bounds how long one scrape may wait for the workers.
const scrapeWithin = 5 * time.Second

// listenMetrics binds the address that Prometheus scrapes; nil where there is
// none.
func (d *director) listenMetrics(a netip.AddrPort) (*metrics.Listener, error) {
	if !a.IsValid() {
		return nil, nil
	}
	return metrics.Listen(a.String(), meter{d}, d.log)
}

func (d *director) serveMetrics(l *metrics.Listener) {
	if l == nil {
		return
	}
	go func() {
		if err := l.Serve(); err != nil {
			d.log.Error(err.Error())
		}
	}()
}

// A meter is what Prometheus sees of a director.
type meter struct{ *director }

func (m meter) Metrics() (metrics.Snapshot, error) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	v, c, err := backend(m).counted(ctx)
	if err != nil {
		return metrics.Snapshot{}, err
	}
	pools, err := m.plane.Pools(ctx)
	if err != nil {
		return metrics.Snapshot{}, err
	}
	s := metrics.Snapshot{
		Version: m.version, Started: m.started,
		Sessions: c.Sessions, MaxSessions: c.Room,
		Displaced: c.Displaced,
		Templates: c.Templates.Templates, TemplatesEvicted: c.Templates.Evicted + c.Templates.Refused,
		ReloadsApplied: v.reloads.done, ReloadsRefused: v.reloads.failed,
		LastReloadRefused: v.reloads.lastError != "", ConfigLoaded: v.loaded,
	}
	verdicts := m.monitor.Verdicts()
	clients := backend(m).clients()
	for i, p := range v.plan.services {
		s.Services = append(s.Services, metrics.Service{
			Name: p.config.Name, Up: p.state() == "up",
			Announced: p.announced && v.speaker != nil, Quorum: p.config.Quorum,
		})
		for _, server := range serversOf(v.table.Services[i]) {
			a := netip.AddrPortFrom(server.Addr.Netip(), server.Port)
			row := measured(c.Of(server), verdicts[targetKey(p.config, a)])
			row.Service, row.Address, row.Weight = p.config.Name, a.String(), server.Weight
			row.Persists = p.config.Persistence > 0
			row.Upper, row.Overloaded, row.Persistent = server.Upper, server.Full(), clients[bound{p.config.Name, a}]
			row.Active, row.Inactive = server.Load.Active(), server.Load.Inactive()
			row.Up = row.Up || server == server.Service.Sorry
			s.Servers = append(s.Servers, row)
		}
	}
	for _, d := range verdictDrops(c) {
		s.Drops = append(s.Drops, metrics.Drop(d))
	}
	for _, p := range pools {
		s.Locals = append(s.Locals, metrics.Local{
			Address: p.Local.String(), Ports: p.Ports, Sessions: p.Sessions, Busiest: p.BusiestPorts,
		})
	}
	m.measureLinks(&s, c)
	m.measureFleet(&s, &v, c)
	m.measureOffload(&s, c)
	m.measureVRRP(&s)
	if v.speaker != nil {
		s.Routes = len(v.plan.routes)
		measureBGP(&s, v.speaker)
		m.measureBFD(&s)
	}
	return s, nil
}

func measured(t fullnat.Traffic, v health.Verdict) metrics.Server {
	return metrics.Server{
		Up: v.Up, Checks: v.Checks, CheckFailures: v.Failures, CheckDuration: v.Duration,
		Opened: t.Connections, PacketsIn: t.PacketsIn, PacketsOut: t.PacketsOut, BytesIn: t.BytesIn, BytesOut: t.BytesOut,
	}
}

// measureLinks adds what workers and interfaces have done.
func (m meter) measureLinks(s *metrics.Snapshot, c *fullnat.Counters) {
	for _, w := range c.Workers {
		s.Workers = append(s.Workers, metrics.Worker{Busy: w.Busy, Batches: w.Turns})
	}
	lost := map[string]uint64{}
	for _, stat := range m.ports.Stats() {
		s.Workers[stat.Worker].Packets += stat.RxFrames
		lost[stat.Interface] += stat.RxFull
	}
	for _, i := range m.ports.Interfaces() {
		s.Interfaces = append(s.Interfaces, metrics.Interface{Name: i.Name, KernelDrops: lost[i.Name]})
	}
}

// measureBGP adds what the neighbours know.
func measureBGP(s *metrics.Snapshot, speaks speaker) {
	now := time.Now()
	s.SpeakerRestarts = speaks.Process().Restarts
	for _, n := range speaks.Neighbors() {
		s.Neighbors = append(s.Neighbors, metrics.Neighbor{
			Address: n.Address.String(), ASN: n.ASN, State: string(n.State),
			Uptime: n.Uptime(now), Announced: n.Announced,
		})
	}
}

// measureBFD adds what is known of them faster.
func (m meter) measureBFD(s *metrics.Snapshot) {
	if m.detector == nil {
		return
	}
	detections := m.detections()
	for i := range s.Neighbors {
		n := &s.Neighbors[i]
		if d, watched := detections[netip.MustParseAddr(n.Address)]; watched {
			n.BFD = &metrics.BFD{Up: d.State == bfd.Up, Failures: d.Failures, Detect: d.Detect}
		}
	}
	for reason, packets := range m.detector.Drops() {
		s.BFDDrops = append(s.BFDDrops, metrics.Drop{Reason: reason, Packets: packets})
	}
}
