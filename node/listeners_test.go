package node

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/node/admin"
	"fleetlb/node/config"
)

// What a service listens at is told to the dataplane whole, and announced whole.
func TestListeners(t *testing.T) {
	read := func(text string) config.Service {
		s, err := config.ReadService(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	shop := read(`name = "shop"
vip = "203.0.113.10:80"
vips = ["203.0.113.10:443/udp", "203.0.113.11:8000-8999", "203.0.113.12:0"]
check = { type = "none" }
persistence = "5m"
persistence_prefix4 = 24
expire_quiescent_template = true
removed_server = "expire"
server = [ { address = "10.3.0.11:0", upper_threshold = 9, lower_threshold = 3 } ]`)
	relay := read(`name = "relay"
vip = "203.0.113.13:0"
ports = "5000-5009"
protocol = "udp"
mode = "dr"
one_packet = true
check = { type = "none" }
server = [ { address = "10.3.0.11:0" } ]`)
	p := newPlan(&inputs{services: []config.Service{shop, relay}, reachable: func(netip.Addr) bool { return true }, alive: true, verdicts: verdicts([]config.Service{shop, relay}, "11 up")})

	var got []string
	for _, s := range p.specs {
		for _, l := range s.Listeners() {
			got = append(got, fmt.Sprintf("%s %v-%d/%d", s.Name, l.VIP, l.Last, l.Protocol))
		}
	}
	want := fmt.Sprintf("shop 203.0.113.10:80-0/%d, shop 203.0.113.10:443-0/%d, shop 203.0.113.11:8000-8999/%[1]d, shop 203.0.113.12:0-65535/%[1]d, relay 203.0.113.13:5000-5009/%[2]d", packet.TCP, packet.UDP)
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("listeners %s\nwant %s", text, want)
	}
	one, two := p.specs[0], p.specs[1]
	if fmt.Sprint(one.Persistence) != "{5m0s 24 128 true}" || one.RemovedServer.String() != "expire" || one.Servers[0].Upper != 9 || one.Servers[0].Lower != 3 || !two.OnePacket {
		t.Errorf("%+v\n%+v", one, two)
	}
	var routes []string
	for _, r := range p.routes {
		routes = append(routes, r.Prefix.String()+" "+p.serves(r))
	}
	if text := strings.Join(routes, ", "); text != "203.0.113.10/32 shop, 203.0.113.11/32 shop, 203.0.113.12/32 shop, 203.0.113.13/32 relay" {
		t.Errorf("routes %s", text)
	}
}

// A service of many ports is as busy as its servers, and known by all its
// addresses.
func TestListenersAtWork(t *testing.T) {
	w, d := newWorld(t, write(t, t.TempDir(), carrier+`
[[service]]
name = "relay"
vip = "203.0.113.13:0"
ports = "5000-5009"
vips = ["203.0.113.14:7"]
check = { type = "none" }
server = [ { address = "10.3.0.11:0" } ]
`))
	w.verdicts = verdicts(d.running.Services, "11 up")
	d.settle()
	s := &d.running.Services[0]
	if d.busy(s) {
		t.Error("busy without a session")
	}
	d.table.Services[0].Servers[0].Load.Cell(0).Set(1, 0)
	if !d.busy(s) {
		t.Error("has a session, and is not busy")
	}
	v := view{settings: d.settings}
	for dst, want := range map[string]string{
		"203.0.113.13:80": `[203.0.113.13 has "relay" at 203.0.113.13:5000-5009/tcp]`,
		"203.0.113.14:80": `[203.0.113.14 has "relay" at 203.0.113.14:7/tcp]`,
		"203.0.113.15:80": "[]",
	} {
		if got := fmt.Sprint(v.neighbours(admin.Tuple{Dst: netip.MustParseAddrPort(dst)})); got != want {
			t.Errorf("%s: %s, want %s", dst, got, want)
		}
	}
}
