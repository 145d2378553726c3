package node

import (
	"context"
	"net/netip"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/persist"
	"fleetlb/gossip"
)

// TestLoads: what a server has with one director, the schedulers of another know
// of, and a service that only one of them has troubles nobody.
func TestLoads(t *testing.T) {
	ours, theirs := several(t, "web 203.0.113.10:80 > 11 12\ndns 203.0.113.53:53 protocol=\"udp\" > 11"), several(t, "web 203.0.113.10:80 > 12 11\ntls 203.0.113.10:443 > 11")
	table, other := built(t, ours), built(t, theirs)
	for i, n := range []uint32{5, 7, 9} {
		table.Servers[i].Load.Cell(0).Set(n, n+1)
	}
	sums := map[uint64]burden{}
	addLoads(sums, appendLoads(nil, table))
	addLoads(sums, appendLoads(nil, table)) // and as many with a third
	want := map[string]burden{"10.3.0.11:80": {10, 12}, "10.3.0.12:80": {14, 16}}
	for _, s := range other.Servers {
		w := want[netip.AddrPortFrom(s.Addr.Netip(), s.Port).String()]
		if s.Service.Name == "tls" {
			w = burden{}
		}
		if got := sums[loadKey(s)]; got != w {
			t.Errorf("%s %s: %v, want %v", s.Service.Name, s.Name, got, w)
		}
	}
}

// What another director says may be anything.
func FuzzLoads(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		sums := map[uint64]burden{}
		addLoads(sums, b)
		if len(sums)*10 > len(b) {
			t.Errorf("%d servers out of %d bytes", len(sums), len(b))
		}
	})
}

// TestTemplates: what one director remembers of its clients, another knows after
// it was told, and one that comes later as well.
func TestTemplates(t *testing.T) {
	a, b := persist.New(64), persist.New(64)
	a.Prepare()
	b.Prepare()
	client := packet.AddrFrom(netip.MustParseAddr("198.51.100.7"))
	key, server := persist.KeyOf(1, client, 32), persist.Server{Addr: packet.AddrFrom(server(11).Addr()), Port: 80}
	a.Give(&key, server, true, 100, 1)
	news := make([]persist.Record, 8)
	n := a.Changed(1, news)
	_, d := newWorld(t, write(t, t.TempDir(), carrier))
	d.plane = remembering{d.plane, b}
	if err := d.learnTemplates(context.Background(), gossip.Member{}, encoded(news[:n]), nil); err != nil {
		t.Fatal(err)
	}
	all := 0
	for x := range b.All(1) {
		all++
		if x.Server != server {
			t.Errorf("%+v, want %+v", x.Server, server)
		}
	}
	if all != 1 {
		t.Errorf("%d templates, want 1", all)
	}
	if err := d.learnTemplates(context.Background(), gossip.Member{}, []byte("nonsense"), nil); err == nil {
		t.Error("nonsense is taken for templates")
	}
}

// remembering is a dataplane with templates.
type remembering struct {
	dataplane
	store *persist.Store
}

func (r remembering) Templates() *persist.Store { return r.store }
