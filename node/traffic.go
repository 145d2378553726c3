package node

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"fleetlb/fullnat"
	"fleetlb/node/admin"
)

// rateEvery is how often rates are estimated. It is IPVS's interval, and so is
// the weight of the past: tools that read one shall read the other.
const (
	rateEvery = 2 * time.Second
	ratePast  = 0.75
)

// A tally is what servers have carried, as the operator sees it: since somebody
// zeroed the counters, and a second. The workers' own counters, which Prometheus
// reads, only ever grow.
type tally struct {
	mu    sync.Mutex
	zero  map[fullnat.ServerID]fullnat.Traffic // what is not to be counted
	last  map[fullnat.ServerID]fullnat.Traffic // when rates were last estimated
	at    time.Time
	rates map[fullnat.ServerID]rates
}

// rates are per second.
type rates struct{ connections, packetsIn, packetsOut, bytesIn, bytesOut float64 }

// follow estimates rates until ctx ends.
func (t *tally) follow(ctx context.Context, counters func(context.Context) (*fullnat.Counters, error)) {
	tick := time.NewTicker(rateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if c, err := counters(ctx); err == nil {
				t.sample(c.Servers, now)
			}
		}
	}
}

// sample takes what was carried since the last one into the averages. A server
// that is seen for the first time began with nothing.
func (t *tally) sample(servers map[fullnat.ServerID]fullnat.Traffic, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first, took := t.at.IsZero(), now.Sub(t.at).Seconds()
	if !first && took <= 0 {
		return // in no time nothing can be said
	}
	before := t.rates
	t.rates = map[fullnat.ServerID]rates{}
	for id, n := range servers {
		if first {
			continue
		}
		was, r := t.last[id], before[id]
		for _, m := range []struct {
			rate     *float64
			now, was uint64
		}{
			{&r.connections, n.Connections, was.Connections},
			{&r.packetsIn, n.PacketsIn, was.PacketsIn}, {&r.packetsOut, n.PacketsOut, was.PacketsOut},
			{&r.bytesIn, n.BytesIn, was.BytesIn}, {&r.bytesOut, n.BytesOut, was.BytesOut},
		} {
			*m.rate = ratePast**m.rate + (1-ratePast)*float64(since(m.now, m.was))/took
		}
		t.rates[id] = r
	}
	t.last, t.at = servers, now
	for id := range t.zero {
		if _, there := servers[id]; !there {
			delete(t.zero, id) // it begins anew if it comes back
		}
	}
}

// since is how much a counter has grown. One that is smaller has begun anew.
func since(now, was uint64) uint64 {
	if now < was {
		return now
	}
	return now - was
}

// reset counts from now on, for one server.
func (t *tally) reset(id fullnat.ServerID, n fullnat.Traffic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.zero == nil {
		t.zero = map[fullnat.ServerID]fullnat.Traffic{}
	}
	t.zero[id] = n
	delete(t.rates, id)
}

// count adds a server to a row.
func (t *tally) count(row *admin.Traffic, id fullnat.ServerID, n fullnat.Traffic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	z, r := t.zero[id], t.rates[id]
	row.Connections += since(n.Connections, z.Connections)
	row.PacketsIn += since(n.PacketsIn, z.PacketsIn)
	row.PacketsOut += since(n.PacketsOut, z.PacketsOut)
	row.BytesIn += since(n.BytesIn, z.BytesIn)
	row.BytesOut += since(n.BytesOut, z.BytesOut)
	row.ConnectionRate += r.connections
	row.PacketInRate += r.packetsIn
	row.PacketOutRate += r.packetsOut
	row.ByteInRate += r.bytesIn
	row.ByteOutRate += r.bytesOut
}

// Traffic is a row for each service, and one for each of its servers.
func (b backend) Traffic(ctx context.Context, name string) ([]admin.Traffic, error) {
	var all []admin.Traffic
	err := b.eachServed(ctx, name, func(s *served) {
		whole := admin.Traffic{Service: s.service}
		for _, one := range s.servers {
			row := admin.Traffic{Service: s.service, Server: one.at, Active: one.active, Inactive: one.inactive, Persistent: one.persistent}
			b.tally.count(&row, one.id, one.traffic)
			whole.Active += row.Active
			whole.Inactive += row.Inactive
			whole.Persistent += row.Persistent
			b.tally.count(&whole, one.id, one.traffic)
			all = append(all, row)
		}
		all = append(all, whole)
	})
	return all, err
}

// Zero has Traffic begin anew.
func (b backend) Zero(ctx context.Context, name string) error {
	return b.eachServed(ctx, name, func(s *served) {
		for _, one := range s.servers {
			b.tally.reset(one.id, one.traffic)
		}
	})
}

// served is a service with what its servers have carried.
type served struct {
	service string
	servers []servedBy
}

type servedBy struct {
	at               netip.AddrPort
	id               fullnat.ServerID
	traffic          fullnat.Traffic
	active, inactive int
	persistent       int
}

func (b backend) eachServed(ctx context.Context, name string, do func(*served)) error {
	v, c, err := b.counted(ctx)
	if err == nil {
		err = v.known(name)
	}
	if err != nil {
		return err
	}
	clients := b.clients()
	for _, t := range v.table.Services {
		if name != "" && t.Name != name {
			continue
		}
		s := served{service: t.Name}
		for _, server := range serversOf(t) {
			id := fullnat.IDOf(server)
			at := netip.AddrPortFrom(server.Addr.Netip(), server.Port)
			s.servers = append(s.servers, servedBy{
				at: at, id: id, traffic: c.Of(server),
				active: server.Load.Active(), inactive: server.Load.Inactive(), persistent: clients[bound{t.Name, at}],
			})
		}
		do(&s)
	}
	return nil
}
