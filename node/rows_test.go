package node

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fleetlb/bgp"
	"fleetlb/fullnat"
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/node/admin"
	"fleetlb/session"
)

var update = flag.Bool("update", false, "write what is into testdata instead of comparing")

// TestRows holds every noun, as the operator's API answers it, to
// testdata/rows.txt.
func TestRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := troubled(t)
		serving(t, d)
		b := backend{d}
		time.Sleep(90 * time.Second)
		if err := b.Edit(t.Context(), []admin.Edit{{Verb: "drain", Service: "web", Server: server(12)}}); err != nil {
			t.Fatal(err)
		}

		var out bytes.Buffer
		show := func(noun string, rows any, err error) {
			text, _ := json.Marshal(rows)
			fmt.Fprintf(&out, "-- %s --\n%s\n", noun, bytes.ReplaceAll(text, []byte("},{"), []byte("},\n{")))
			if err != nil {
				t.Errorf("%s: %v", noun, err)
			}
		}
		status, err := b.Status(t.Context())
		status.PID, status.ConfigFile = 4711, "lb.toml"
		show("status", status, err)
		services, err := b.Services(t.Context(), "")
		show("services", services, err)
		servers, err := b.Servers(t.Context(), "")
		show("servers", servers, err)
		of, err := b.Servers(t.Context(), "dns")
		show("servers dns", of, err)
		checks, err := b.Health(t.Context(), "")
		show("health", checks, err)
		for _, f := range []admin.SessionFilter{{}, {Service: "web"}, {Limit: 1}, {State: "udp"}} {
			all, err := listed(b, f)
			show(fmt.Sprintf("sessions %s %s %d", f.Service, f.State, f.Limit), all, err)
		}
		for _, name := range []string{"", "tls"} {
			templates, err := b.Persistence(t.Context(), name)
			show(strings.TrimSpace("persistence "+name), templates, err)
		}
		nodes, err := b.Nodes(t.Context())
		show("nodes", nodes, err)
		neighbors, err := b.Neighbors(t.Context())
		show("bgp neighbors", neighbors, err)
		routes, err := b.Routes(t.Context())
		show("bgp routes", routes, err)
		pool, err := b.Pool(t.Context())
		show("pool", pool, err)
		drops, err := b.Drops(t.Context())
		show("drops", drops, err)
		running, err := b.Config(t.Context())
		running.File, running.TOML = "lb.toml", "…"
		show("config", running, err)
		snapshot, err := meter{d}.Metrics()
		show("metrics", snapshot, err)
		golden(t, "rows", out.Bytes())
	})
}

// listed collects sessions.
func listed(b backend, f admin.SessionFilter) (all []admin.Session, err error) {
	for s, err := range b.Sessions(context.Background(), f) {
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return all, nil
}

// TestNobody: a service that is not there is said so.
func TestNobody(t *testing.T) {
	d := troubled(t)
	serving(t, d)
	b := backend{d}
	const want = `there is no service "gone"`
	_, servers := b.Servers(t.Context(), "gone")
	_, checks := b.Health(t.Context(), "gone")
	_, sessions := listed(b, admin.SessionFilter{Service: "gone"})
	for _, err := range []error{servers, checks, sessions} {
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

var digests = regexp.MustCompile(`"(config_|running_)?digest":"[0-9a-f]*"`)

// golden compares with testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	got = digests.ReplaceAllFunc(got, func(b []byte) []byte {
		key, _, _ := bytes.Cut(b, []byte(":"))
		return append(key, `:"…"`...)
	})
	path := "testdata/" + name + ".txt"
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("not as in %s; run with -update and read the difference:\n%s", path, got)
	}
}

// troubled is a director to whom things have happened.
func troubled(t *testing.T) *director {
	t.Helper()
	const neighbours = "next_hop6 = \"2001:db8:1::11\"\n[[bgp.neighbor]]\naddress = \"2001:db8:1::1\"\nasn = 65000\n"
	w, d := newWorld(t, write(t, t.TempDir(), carrier+speaks+neighbours+tomls(t, `
		web 203.0.113.10:80 sorry_server="10.3.0.99:80" persistence="5m" vips=["203.0.113.11:443"] tag=7 > 11 12=3 13
		tls 203.0.113.10:443 quorum=2 > 11 12
		dns 203.0.113.53:53 protocol="udp" > 21 22-`)))
	w.verdicts = verdicts(d.running.Services, "11 up, 12 up, 13 down, 21 flapping")
	hung := w.verdicts["203.0.113.10:443/tcp/10.3.0.12:80"]
	hung.Up, hung.Reason, hung.Since, hung.Checks, hung.Failures, hung.Duration = false, "connect: no answer within 1s", time.Now(), 45, 40, time.Second
	w.verdicts["203.0.113.10:443/tcp/10.3.0.12:80"] = hung
	d.settle()

	addr := mustAddrPort
	load := func(service, server int, active, inactive uint32) fullnat.ServerID {
		s := d.table.Services[service].Servers[server]
		s.Load.Cell(0).Set(active, inactive)
		return fullnat.IDOf(s)
	}
	w.counters = fullnat.Counters{
		Sessions: 6, Room: 1_000_000,
		Workers: []fullnat.WorkerCounters{{Turns: 100, Busy: time.Second}, {Turns: 50, Busy: time.Second / 2}},
		Servers: map[fullnat.ServerID]fullnat.Traffic{
			load(0, 0, 2, 1): {Connections: 10, PacketsIn: 100, PacketsOut: 90, BytesIn: 10_000, BytesOut: 90_000},
			load(0, 1, 3, 0): {Connections: 30, PacketsIn: 300, PacketsOut: 270, BytesIn: 30_000, BytesOut: 270_000},
			{Protocol: packet.TCP, VIP: addr("203.0.113.10:80"), Server: addr("10.3.0.19:80")}: {Connections: 1, PacketsIn: 1},
		},
	}
	w.counters.Fleet.Roles[session.Home], w.counters.Fleet.Roles[session.Replica] = 4, 2
	w.counters.Verdicts[fullnat.Forwarded] = 1000
	w.counters.Verdicts[fullnat.NotOurs] = 7
	w.counters.Verdicts[fullnat.DropNoServer] = 3
	w.counters.Verdicts[fullnat.DropFault] = 2
	w.infos = []fullnat.SessionInfo{
		{Protocol: packet.TCP, State: "established", Service: "web", Client: addr("198.51.100.7:4711"), VIP: addr("203.0.113.10:80"),
			Local: addr("10.2.1.3:5120"), Server: addr("10.3.0.11:80"), Slot: 7, Expires: 890 * time.Second, PacketsIn: 4, PacketsOut: 3, BytesIn: 400, BytesOut: 3000},
		{Protocol: packet.UDP, State: "udp", Service: "dns", Client: addr("198.51.100.7:5353"), VIP: addr("203.0.113.53:53"),
			Local: addr("10.2.1.4:5121"), Server: addr("10.3.0.21:80"), Slot: 8, Worker: 1, Expires: time.Minute, PacketsIn: 1},
		{Protocol: packet.TCP, State: "fin_wait", Client: addr("198.51.100.8:4711"), VIP: addr("203.0.113.10:80"),
			Local: addr("10.2.1.3:5122"), Server: addr("10.3.0.19:80"), Slot: 9},
	}
	w.templates = []fullnat.TemplateInfo{
		{Service: "web", Client: netip.MustParsePrefix("198.51.100.7/32"), Server: addr("10.3.0.11:80"), Expires: 5 * time.Minute, Sessions: 2},
		{Service: "web", Client: netip.MustParsePrefix("198.51.100.8/32"), Server: addr("10.3.0.11:80"), Expires: 9 * time.Second},
		{Service: "tls", Client: netip.MustParsePrefix("198.51.100.8/32"), Server: addr("10.3.0.12:80"), Expires: time.Second},
	}
	w.pools = []fullnat.PoolInfo{
		{Local: netip.MustParseAddr("10.2.1.0"), Ports: 64512, Sessions: 6, BusiestServer: addr("10.3.0.12:80"), BusiestPorts: 3},
		{Local: netip.MustParseAddr("10.2.1.1"), Ports: 64512},
	}
	w.stats = []link.Stat{
		{Interface: "eth0", Worker: 0, RxFrames: 600, RxFull: 4, TxFrames: 590},
		{Interface: "eth0", Worker: 1, RxFrames: 400, RxFull: 1, RxRefused: 2, TxFrames: 400, TxDown: 5},
	}
	w.peers = []bgp.NeighborStatus{
		{Address: netip.MustParseAddr("10.1.0.1"), ASN: 65000, State: bgp.Established, Since: time.Now(), Announced: 2},
		{Address: netip.MustParseAddr("2001:db8:1::1"), ASN: 65000, State: bgp.Active, Since: time.Now(), LastError: "hold timer expired"},
	}
	w.child = bgp.Process{PID: 4712, Restarts: 1, LastExit: "died: panic: runtime error"}
	w.explains = fullnat.Explanation{
		Direction: "inbound", Verdict: fullnat.DropNoServer, Service: "tls", Scheduler: true, Slot: 7, Worker: 1,
		Why: []string{"203.0.113.10 is a VIP", "no session has these ends"},
	}
	return d
}

func mustAddrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// The operator can ask for every state there is, by its name.
func TestSessionStates(t *testing.T) {
	var names []string
	for s := range session.NumStates {
		names = append(names, s.String())
	}
	if !slices.Equal(names, admin.SessionStates) {
		t.Errorf("sessions are in states %q, and can be asked for in %q", names, admin.SessionStates)
	}
}
