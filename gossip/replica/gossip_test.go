package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fleetlb/gossip"
	"fleetlb/gossip/gossiptest"
	"fleetlb/session"
)

// A company is directors that find each other by gossip, and replicate over it.
type company struct {
	t   *testing.T
	net *gossiptest.Network
	all []*associate
}

type associate struct {
	*memory
	e *Engine
	g *gossip.Fleet
}

// lazyWire is a wire that comes after the engine.
type lazyWire struct{ fleet atomic.Pointer[gossip.Fleet] }

func (w *lazyWire) Send(to session.NodeID, payload []byte) error {
	if f := w.fleet.Load(); f != nil {
		return f.Send(to, payload)
	}
	return errors.New("joining")
}

func (w *lazyWire) Open(ctx context.Context, to session.NodeID) (net.Conn, error) {
	if f := w.fleet.Load(); f != nil {
		return f.Open(ctx, to)
	}
	return nil, errors.New("joining")
}

func host(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 7946)
}

func (c *company) join(ctx context.Context, i int) {
	name := fmt.Sprintf("lb%d", i+1)
	self := session.Owner{ID: session.NodeIDOf(name), Epoch: uint64(time.Now().UnixNano())}
	a := &associate{memory: newMemory(self)}
	w := new(lazyWire)
	log := slog.New(slog.DiscardHandler)
	a.e = New(self, w, a.memory, Options{Blocks: []netip.Prefix{block(self.ID)}, Log: log})
	a.engine = a.e
	g, err := gossip.Join(ctx, gossip.Config{
		Name: name, Bind: host(i), Seeds: []netip.AddrPort{host(0), host(1)}, Keys: [][]byte{bytes.Repeat([]byte{7}, 32)}, Label: "lab",
		Self: gossip.Info{Epoch: self.Epoch, State: gossip.Serving, Blocks: []netip.Prefix{block(self.ID)}},
	}, gossip.Options{Network: c.net, Log: log, OnDatagram: a.e.Receive, OnStream: a.e.Accept})
	if err != nil {
		c.t.Fatal(err)
	}
	a.g = g
	w.fleet.Store(g)
	a.meet()
	go a.e.Run(ctx)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-g.Changes():
				a.meet()
			}
		}
	}()
	c.all = append(c.all, a)
}

func (a *associate) meet() {
	var members []Member
	for _, m := range a.g.Members() {
		if m.Alive {
			members = append(members, Member{ID: m.ID, Epoch: m.Epoch, Blocks: m.Blocks, Serving: m.State == gossip.Serving})
		}
	}
	a.e.SetMembers(members)
}

// alike says in what directors differ.
func (c *company) alike() error {
	for _, home := range c.all {
		for _, keeper := range c.all {
			x, _ := home.Digests(context.Background())
			y, _ := keeper.Digests(context.Background())
			if id := home.self.ID; x[id] == nil || y[id] == nil || *x[id] != *y[id] {
				return fmt.Errorf("%v differs from the home %v: %d sessions, it has %d", keeper.self.ID, id, keeper.count(id), home.count(id))
			}
		}
	}
	return nil
}

// TestOverGossip is one director against two for a minute while sessions come and
// go, over a network that loses and reorders, sealed and all.
func TestOverGossip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		c := &company{t: t, net: gossiptest.New(1)}
		for i := range 3 {
			c.join(ctx, i)
			time.Sleep(time.Second)
		}
		defer func() {
			stop()
			for _, a := range c.all {
				a.g.Close()
			}
			time.Sleep(30 * time.Second) // whatever still waits for an answer
		}()
		for _, a := range c.all {
			if err := a.e.Sync(ctx, nil); err != nil {
				t.Fatal(err)
			}
		}
		c.net.Suffer(gossiptest.Faults{Loss: 0.05, Duplicate: 0.05, Delay: 100 * time.Microsecond, Jitter: 2 * time.Millisecond})
		for i, a := range c.all {
			a.open(10000*i, 1000)
		}
		eventually(t, time.Second, c.alike)

		c.net.Part([]netip.Addr{host(0).Addr()})
		for n := range 60 {
			for i, a := range c.all {
				a.open(10000*i+1000+20*n, 20)
				a.end(10000*i+10*n, 10)
			}
			time.Sleep(time.Second)
		}
		if len(c.all[0].e.Stats().Peers) != 0 {
			t.Error("a minute apart, they have not noticed")
		}
		c.net.Part()
		eventually(t, 10*time.Second, func() error {
			for _, a := range c.all {
				if n := len(a.e.Stats().Peers); n != 2 {
					return fmt.Errorf("%v knows %d others", a.self.ID, n)
				}
			}
			return nil
		})
		eventually(t, 5*time.Second, c.alike)
		for _, a := range c.all {
			if n := a.count(a.self.ID); n != 1000+60*20-60*10 {
				t.Errorf("%v has %d sessions of its own", a.self.ID, n)
			}
			for _, r := range a.e.Refusals() {
				if r.Count > 0 && r.Reason != "stranger" && r.Reason != "stale_epoch" {
					t.Errorf("%v refused %d: %s", a.self.ID, r.Count, r.Text)
				}
			}
		}
	})
}
