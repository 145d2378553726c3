package node

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"fleetlb/fullnat"
	"fleetlb/node/admin"
)

// TestRates: an average that forgets a quarter every two seconds, as IPVS's, over
// what was carried since the last look, however long that is ago.
func TestRates(t *testing.T) {
	id := fullnat.ServerID{Protocol: 6, VIP: netip.MustParseAddrPort("203.0.113.10:80"), Server: server(11)}
	at := time.Unix(1_700_000_000, 0)
	var tl tally
	for i, row := range []struct {
		after   time.Duration
		packets uint64
		want    float64 // a second
	}{
		{0, 1000, 0}, // what came before the first look has no time
		{2 * time.Second, 1200, 25},
		{2 * time.Second, 1400, 43.75},
		{4 * time.Second, 1400, 32.8125},
		{2 * time.Second, 40, 29.609375}, // the workers began anew
		{0, 90, 29.609375},               // in no time nothing can be said
	} {
		at = at.Add(row.after)
		tl.sample(map[fullnat.ServerID]fullnat.Traffic{id: {PacketsIn: row.packets}}, at)
		var got admin.Traffic
		tl.count(&got, id, fullnat.Traffic{PacketsIn: row.packets})
		if math.Abs(got.PacketInRate-row.want) > 1e-9 || got.PacketsIn != row.packets {
			t.Errorf("row %d: %v a second, want %v; %d packets", i, got.PacketInRate, row.want, got.PacketsIn)
		}
	}
}

// TestZero: counting begins anew for who looks at it, and not for Prometheus.
func TestZero(t *testing.T) {
	w, d := newWorld(t, write(t, t.TempDir(), carrier+tomls(t, "web 203.0.113.10:80 > 11 12\ndns 203.0.113.53:53 > 21")))
	w.health(d, "11 up, 12 up, 21 up")
	d.settle()
	serving(t, d)
	b := backend{d}
	carried := func(n uint64) {
		w.counters.Servers = map[fullnat.ServerID]fullnat.Traffic{}
		for _, s := range d.table.Servers {
			w.counters.Servers[fullnat.IDOf(s)] = fullnat.Traffic{Connections: n, BytesOut: 10 * n}
		}
	}
	connections := func() map[string]uint64 {
		t.Helper()
		all := map[string]uint64{}
		rows, err := b.Traffic(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			name := r.Service
			if r.Server.IsValid() {
				name += " " + last(r.Server)
			}
			all[name] = r.Connections
		}
		return all
	}
	want := func(web, one, dns uint64) {
		t.Helper()
		got := connections()
		if got["web"] != web || got["web 11"] != one || got["web 12"] != one || got["dns"] != dns || got["dns 21"] != dns || len(got) != 5 {
			t.Errorf("%v, want web %d, its servers %d, dns %d", got, web, one, dns)
		}
	}
	carried(100)
	want(200, 100, 100)
	if err := b.Zero(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	want(0, 0, 100)
	carried(130)
	want(60, 30, 130)
	if err := b.Zero(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	want(0, 0, 0)
	m, err := meter{d}.Metrics()
	if err != nil || len(m.Servers) != 3 || m.Servers[0].Opened != 130 {
		t.Errorf("Prometheus sees %+v, %v", m.Servers, err)
	}
	if err := b.Zero(t.Context(), "wbe"); err == nil || err.Error() != `there is no service "wbe"; did you mean "web"?` {
		t.Errorf("%v", err)
	}
}
