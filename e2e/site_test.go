package e2e

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// service is one [[service]] of a story.
type service struct {
	name      string
	vip       string // address alone
	port      int    // of the VIP and of the servers
	protocol  string // "": tcp
	scheduler string // "": wrr
	servers   int    // the first so many of the site's; 0: all
	weights   []int  // of server1, server2, …; nil: 1 each
	more      string // further lines of the service's table
	check     string // further lines of its check
	backend   int    // port of the servers, if it is another
	cross     bool   // the servers' addresses are of the other family
	fall      int    // checks that must fail; 0: 2
}

// checked is how soon a story's health checks notice: fall × interval, and the
// time one may take.
const checked = 2*200*time.Millisecond + 500*time.Millisecond

// toml is the service as an operator would write it. Health is asked of the
// lab's server whatever the service itself is.
func (s service) toml(servers int) string {
	if s.protocol == "" {
		s.protocol = "tcp"
	}
	if s.scheduler == "" {
		s.scheduler = "wrr"
	}
	if s.backend == 0 {
		s.backend = s.port
	}
	v6 := netip.MustParseAddr(s.vip).Is6()
	var b strings.Builder
	fmt.Fprintf(&b, `
[[service]]
name = %q
vip = %q
protocol = %q
scheduler = %q
%s
  [service.check]
  type = "http"
  path = "/healthz"
  port = %d
  interval = "200ms"
  timeout = "500ms"
  fall = %d
  rise = 1
  %s
`, s.name, net.JoinHostPort(s.vip, fmt.Sprint(s.port)), s.protocol, s.scheduler, s.more, lab.HTTPPort, cmp.Or(s.fall, 2), s.check)
	if s.servers != 0 {
		servers = s.servers
	}
	for i := range servers {
		weight := 1
		if s.weights != nil {
			weight = s.weights[i]
		}
		fmt.Fprintf(&b, "  [[service.server]]\n  address = %q\n  weight = %d\n", lab.ServerAddress(i+1, s.backend, v6 != s.cross), weight)
	}
	return b.String()
}

func tomls(servers int, services ...service) string {
	var b strings.Builder
	for _, s := range services {
		b.WriteString(s.toml(servers))
	}
	return b.String()
}

// site is a lab.Site whose servers run and whose first director serves.
type site struct {
	*lab.Site
	lb     *lab.Director
	client *lab.Host
}

// open starts a site: its servers, then its first director with these services.
func open(t *testing.T, o lab.Options, services ...service) *site {
	t.Helper()
	s := prepare(t, o)
	s.start(t, services...)
	return s
}

// prepare lays out a site whose first director does not run yet.
func prepare(t *testing.T, o lab.Options) *site {
	t.Helper()
	s := &site{Site: lab.SiteForTest(t, o)}
	s.lb, s.client = s.Directors[0], s.Clients[0]
	for _, server := range s.Servers {
		if _, err := server.Serve(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// start starts the first director.
func (s *site) start(t *testing.T, services ...service) {
	t.Helper()
	s.lb.Services = tomls(len(s.Servers), services...)
	if err := s.lb.Start(); err != nil {
		t.Fatal(err)
	}
	s.ready(t)
}

// use gives the running director other services.
func (s *site) use(t *testing.T, services ...service) {
	t.Helper()
	s.lb.Services = tomls(len(s.Servers), services...)
	if err := s.lb.Reload(); err != nil {
		t.Fatal(err)
	}
	s.ready(t)
}

// ready waits until every server is up and every VIP reaches the director.
func (s *site) ready(t *testing.T) {
	t.Helper()
	if err := s.lb.AwaitAllUp(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if s.Router == nil {
		return
	}
	for _, prefix := range s.vips() {
		if err := s.Gateway.AwaitLearned(15*time.Second, prefix, s.lb.Host.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// vips are the prefixes of the addresses that the director's services use.
func (s *site) vips() (prefixes []string) {
	for _, a := range []string{s.VIP4, s.VIP6} {
		if ip := netip.MustParseAddr(a); strings.Contains(s.lb.Services, a+":") || strings.Contains(s.lb.Services, a+"]:") {
			prefixes = append(prefixes, netip.PrefixFrom(ip, ip.BitLen()).String())
		}
	}
	return prefixes
}

// pin has the router send the VIPs to the director even when it has learned no
// route: what happens then is the director's doing alone.
func (s *site) pin(t *testing.T) {
	t.Helper()
	// FRR reads the top byte of a kernel route's metric as its distance, and
	// prefers what BGP has taught it to 250.
	const last = 250 << 24
	for _, r := range []string{
		fmt.Sprintf("%s/32 via 10.1.0.11 metric %d", s.VIP4, last),
		fmt.Sprintf("%s/128 via 2001:db8:1::11 metric %d", s.VIP6, last),
	} {
		if err := s.Gateway.AddRoute(r); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Gateway.DelRoute(r) })
	}
}

// families are the VIPs a story that concerns both goes through.
func (s *site) families() map[string]string {
	return map[string]string{"IPv4": s.VIP4, "IPv6": s.VIP6}
}

// at joins an address and a port.
func at(address string, port int) string { return net.JoinHostPort(address, fmt.Sprint(port)) }

// url is where HTTP is served at an address.
func url(address string, port int) string { return "http://" + at(address, port) + "/" }

// crowd opens long-lived connections through a VIP and proves them alive.
func (s *site) crowd(t *testing.T, address string, n int) *lab.Crowd {
	t.Helper()
	c, err := s.client.Crowd(t.Context(), address, n, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop() })
	if err := c.Proven(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	return c
}

// unbroken ends a crowd, each of whose members must have spoken once more.
func unbroken(t *testing.T, c *lab.Crowd) {
	t.Helper()
	if err := c.Proven(10 * time.Second); err != nil {
		t.Error(err)
	}
	if broken := c.Stop(); len(broken) != 0 {
		t.Errorf("%d connections broke, the first: %v", len(broken), broken[0])
	}
}

// shared is how many times longer than promised a thing may take: the machine
// runs the whole site and whatever else it likes on a core or two. The promise
// itself is read off the log.
const shared = 3

// within logs what it measures, and fails the test if it took far longer than
// promised.
func within(t *testing.T, bound time.Duration, since time.Time, what string) {
	t.Helper()
	took := time.Since(since)
	t.Logf("%s after %v, promised within %v", what, took.Round(time.Millisecond), bound)
	if took > shared*bound {
		t.Errorf("%s after %v, want within %v", what, took, bound)
	}
}
