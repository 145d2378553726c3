package node

import (
	"context"
	"os"
	"time"

	"fleetlb/bgp"
	"fleetlb/fullnat"
	"fleetlb/node/admin"
	"fleetlb/node/config"
	"fleetlb/session"
)

func (b backend) Status(ctx context.Context) (admin.Status, error) {
	v, c, err := b.counted(ctx)
	if err != nil {
		return admin.Status{}, err
	}
	s := admin.Status{
		Node: v.config.Node.Name, State: v.state, Version: b.version, PID: os.Getpid(),
		UptimeS: seconds(time.Since(b.started)),
		Workers: b.workers, Steering: b.ports.Steering(), Offload: b.offloading().Mode,
		Services: len(v.plan.services),
		Sessions: c.Sessions, SessionsHome: c.Fleet.Roles[session.Home], MaxSessions: c.Room,

		ConfigFile: v.config.File, ConfigDigest: v.read, RunningDigest: v.digest, ConfigAgeS: seconds(time.Since(v.loaded)),
		Reloads: v.reloads.done, ReloadFailures: v.reloads.failed, ReloadError: v.reloads.lastError,
	}
	for _, i := range b.ports.Interfaces() {
		s.Interfaces = append(s.Interfaces, i.Name)
	}
	for _, d := range append(verdictDrops(c), linkDrops(b.ports.Stats())...) {
		s.Dropped += d.Packets
	}
	for i, p := range v.plan.services {
		s.Servers += len(v.table.Services[i].Servers)
		s.ServersUp += p.up
		if p.state() == "up" {
			s.ServicesUp++
		}
	}
	t := c.Total()
	s.Opened = t.Connections
	s.PacketsIn, s.BytesIn = t.PacketsIn, t.BytesIn
	s.PacketsOut, s.BytesOut = t.PacketsOut, t.BytesOut
	if v.speaker != nil {
		s.Routes = len(v.plan.routes)
		for _, n := range v.speaker.Neighbors() {
			s.Neighbors++
			if n.State == bgp.Established {
				s.Established++
			}
		}
	}
	return s, nil
}

// counted is a view and what the workers have counted.
func (b backend) counted(ctx context.Context) (view, *fullnat.Counters, error) {
	v, err := b.view(ctx)
	if err != nil {
		return view{}, nil, err
	}
	c, err := b.plane.Counters(ctx)
	return v, c, err
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// Config is the running configuration, with what was changed by command.
func (b backend) Config(ctx context.Context) (admin.Config, error) {
	v, err := b.view(ctx)
	if err != nil {
		return admin.Config{}, err
	}
	c := admin.Config{
		File: v.config.File, Digest: v.read, Running: v.digest, AgeS: seconds(time.Since(v.loaded)),
		TOML: string(config.Marshal(v.running)),
	}
	for i := range v.changes {
		c.Runtime = append(c.Runtime, v.changes[i].says())
	}
	return c, nil
}
