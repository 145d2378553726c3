package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// One site for all stories about who gets which connection.
func TestBalance(t *testing.T) {
	s := open(t, lab.Options{Router: "bird"}, service{name: "web", vip: "203.0.113.10", port: lab.HTTPPort})

	t.Run("wrr", func(t *testing.T) { wrr(t, s) })
	t.Run("weights and draining", func(t *testing.T) { weights(t, s) })
	t.Run("mh survives a restart", func(t *testing.T) { mh(t, s) })
	t.Run("a server is killed", func(t *testing.T) { serverKilled(t, s) })
	t.Run("a server falls silent", func(t *testing.T) { serverSilent(t, s) })
	t.Run("reload", func(t *testing.T) { reload(t, s) })
	t.Run("bad reload", func(t *testing.T) { badReload(t, s) })
	t.Run("ping", func(t *testing.T) { ping(t, s) })
}

// local reports whether an address lies in one of the blocks.
func local(address string, blocks []string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	for _, b := range blocks {
		if netip.MustParsePrefix(b).Masked().Contains(a) {
			return true
		}
	}
	return false
}

func wrr(t *testing.T, s *site) {
	s.use(t, service{name: "web", vip: s.VIP4, port: lab.HTTPPort, weights: []int{3, 2, 1}},
		service{name: "web6", vip: s.VIP6, port: lab.HTTPPort, weights: []int{3, 2, 1}})
	for family, vip := range s.families() {
		got, err := s.client.AskMany(t.Context(), url(vip, lab.HTTPPort), 1000)
		if err != nil {
			t.Fatal(err)
		}
		for server, want := range map[string]int{"server1": 500, "server2": 333, "server3": 167} {
			if n := got[server]; n < want-1 || n > want+1 {
				t.Errorf("%s: %s answered %d of 1000, want %d ± 1", family, server, n, want)
			}
		}
	}
}

func weights(t *testing.T, s *site) {
	// Names of its own: what commands change outlives a reload.
	s.use(t, service{name: "scaled", vip: s.VIP4, port: lab.HTTPPort}, service{name: "kept", vip: s.VIP4, port: lab.EchoPort})
	crowd := s.crowd(t, at(s.VIP4, lab.EchoPort), 30)
	ask := func(want map[string]int) {
		t.Helper()
		got, err := s.client.AskMany(t.Context(), url(s.VIP4, lab.HTTPPort), 60)
		if err != nil {
			t.Fatal(err)
		}
		for server, n := range want {
			if d := got[server] - n; d < -1 || d > 1 {
				t.Errorf("%d of 60 answers from %s, want %d ± 1", got[server], server, n)
			}
		}
	}
	cli := func(args ...string) {
		t.Helper()
		if _, err := s.lb.CLI(args...); err != nil {
			t.Fatal(err)
		}
	}
	server2, echo2 := lab.ServerAddress(2, lab.HTTPPort, false), lab.ServerAddress(2, lab.EchoPort, false)
	ask(map[string]int{"server1": 20, "server2": 20, "server3": 20})
	cli("server", "weight", "scaled", server2, "4")
	ask(map[string]int{"server1": 10, "server2": 40, "server3": 10})
	cli("server", "drain", "scaled", server2)
	cli("server", "drain", "kept", echo2)
	ask(map[string]int{"server1": 30, "server2": 0, "server3": 30})
	if err := s.lb.AwaitServer(time.Second, "scaled", server2, "draining"); err != nil {
		t.Error(err)
	}
	if n := established(t, s, echo2); n != 10 {
		t.Errorf("the draining server keeps %d sessions, want its 10", n)
	}
	cli("server", "ready", "scaled", server2)
	cli("server", "ready", "kept", echo2)
	ask(map[string]int{"server1": 10, "server2": 40, "server3": 10})
	cli("server", "weight", "scaled", server2, "0")
	ask(map[string]int{"server1": 30, "server2": 0, "server3": 30})
	unbroken(t, crowd)
}

// established counts a server's established sessions.
func established(t *testing.T, s *site, server string) (n int) {
	t.Helper()
	sessions, err := s.lb.Sessions("--server", server)
	if err != nil {
		t.Fatal(err)
	}
	for _, session := range sessions {
		if session.State == "established" {
			n++
		}
	}
	return n
}

func mh(t *testing.T, s *site) {
	s.use(t, service{name: "web", vip: s.VIP4, port: lab.HTTPPort, scheduler: "mh", more: `scheduler_flags = ["mh-port"]`})
	first := rand.IntN(10_000) + 20_000 // the last run's are in TIME_WAIT still
	whom := func() (answers []string) {
		for port := first; port < first+100; port++ {
			name, err := askFrom(t.Context(), s.client, port, at(s.VIP4, lab.HTTPPort))
			if err != nil {
				t.Fatalf("from port %d: %v", port, err)
			}
			answers = append(answers, name)
		}
		return answers
	}
	before := whom()
	// The last word of each connection needs a living director.
	if err := lab.Await(5*time.Second, "the client's connections to end", func() error { return ended(s.client, first, first+100) }); err != nil {
		t.Fatal(err)
	}
	s.lb.Process.Kill()
	if err := s.lb.Start(); err != nil {
		t.Fatal(err)
	}
	s.ready(t)
	after := whom()
	share := make(map[string]int)
	for i := range before {
		share[before[i]]++
		if before[i] != after[i] {
			t.Errorf("client port %d met %s, and %s after a restart", first+i, before[i], after[i])
		}
	}
	if len(share) != 3 {
		t.Errorf("only these servers had any clients: %v", share)
	}
}

// ended reports a TCP connection from one of these local ports that the client's
// kernel still knows.
func ended(client *lab.Host, low, high int) error {
	var table []byte
	if err := client.Do(func() (err error) {
		table, err = os.ReadFile("/proc/thread-self/net/tcp")
		return err
	}); err != nil {
		return err
	}
	for _, line := range strings.Split(string(table), "\n")[1:] {
		var slot string
		var address, port, peer, peerPort, state int
		fmt.Sscanf(line, "%s %x:%x %x:%x %x", &slot, &address, &port, &peer, &peerPort, &state)
		if port >= low && port < high {
			return fmt.Errorf("port %d is in state %d", port, state)
		}
	}
	return nil
}

// askFrom asks a server's name from a fixed port. The server closes first, so
// that the port can be used again at once.
func askFrom(ctx context.Context, client *lab.Host, port int, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := client.DialFrom(ctx, port, "tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	var name string
	for lines := bufio.NewScanner(c); lines.Scan(); {
		name = strings.TrimSpace(lines.Text()) // the body is the last line
	}
	return name, nil
}

func serverKilled(t *testing.T, s *site) {
	s.use(t, service{name: "web", vip: s.VIP4, port: lab.HTTPPort}, service{name: "echo", vip: s.VIP4, port: lab.EchoPort})
	victim := s.Servers[1]
	crowd := s.crowd(t, at(s.VIP4, lab.EchoPort), 30)

	killed := time.Now()
	program(t, s, victim, "server").Kill()
	// The director's promise: fall × interval later no new connection goes
	// there. Until then the victim's kernel refuses them.
	if err := s.lb.AwaitServer(5*time.Second, "web", lab.ServerAddress(2, lab.HTTPPort, false), "down"); err != nil {
		t.Fatal(err)
	}
	within(t, checked, killed, "down")
	got, err := s.client.AskMany(t.Context(), url(s.VIP4, lab.HTTPPort), 200)
	if err != nil || got["server2"] != 0 || got["server1"]+got["server3"] != 200 {
		t.Errorf("answers after the death: %v: %v", got, err)
	}
	if err := crowd.Proven(10 * time.Second); err != nil {
		t.Error(err)
	}
	if broken := crowd.Stop(); len(broken) != 10 {
		t.Errorf("%d connections broke, want the victim's 10: %v", len(broken), broken)
	}
	if _, err := victim.Serve(); err != nil {
		t.Fatal(err)
	}
	s.ready(t)
}

// program finds the newest program of that name on a host.
func program(t *testing.T, s *site, h *lab.Host, name string) *lab.Process {
	t.Helper()
	p := s.Program(h, name)
	if p == nil {
		t.Fatalf("%s runs no %s", h.Name, name)
	}
	return p
}

// A server that falls silent tells nobody: the director resets its sessions, so
// that clients need not wait for their own timeouts.
func serverSilent(t *testing.T, s *site) {
	s.use(t, service{name: "echo", vip: s.VIP4, port: lab.EchoPort})
	crowd := s.crowd(t, at(s.VIP4, lab.EchoPort), 30)
	port := s.Servers[1].Port("back")
	if err := port.Unplug(); err != nil {
		t.Fatal(err)
	}
	silent := time.Now()
	err := lab.Await(10*time.Second, "the silent server's connections to be reset", func() error {
		if n := len(crowd.Broken()); n < 10 {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	within(t, checked+time.Second, silent, "reset")
	if err != nil {
		t.Error(err)
	}
	if err := crowd.Proven(5 * time.Second); err != nil {
		t.Error(err)
	}
	broken := crowd.Stop()
	if len(broken) != 10 {
		t.Errorf("%d connections broke, want the silent server's 10", len(broken))
	}
	for _, b := range broken {
		if !strings.Contains(b.Err.Error(), "connection reset by peer") {
			t.Error(b)
		}
	}
	if err := port.Plug(); err != nil {
		t.Fatal(err)
	}
	s.ready(t)
}

func reload(t *testing.T, s *site) {
	web := service{name: "web", vip: s.VIP4, port: lab.HTTPPort}
	echo := service{name: "echo", vip: s.VIP4, port: lab.EchoPort}
	s.use(t, web, echo)
	crowd := s.crowd(t, at(s.VIP4, lab.EchoPort), 30)

	// While the configuration changes under them, requests go on.
	stop := make(chan struct{})
	var asked int
	var failed error
	var wait sync.WaitGroup
	wait.Go(func() {
		for ; ; asked++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, failed = s.client.Ask(context.Background(), url(s.VIP4, lab.HTTPPort)); failed != nil {
				return
			}
		}
	})
	for i := range 5 {
		web.weights = []int{1 + i, 2, 3}
		web.more = fmt.Sprintf("mss = %d", 1300+i)
		echo.scheduler = []string{"rr", "wlc", "mh", "wrr", "rr"}[i]
		services := []service{web, echo}
		if i%2 == 0 {
			services = append(services, service{name: "web6", vip: s.VIP6, port: lab.HTTPPort})
		}
		s.use(t, services...)
	}
	// A signal does the same without an answer.
	web.weights = []int{1, 1, 9}
	s.lb.Services = tomls(3, web, echo)
	if err := s.lb.Write(); err != nil {
		t.Fatal(err)
	}
	s.lb.Hangup()
	if err := lab.Await(5*time.Second, "SIGHUP to change a weight", func() error {
		servers, err := s.lb.ServerList("web")
		if err == nil && (len(servers) != 3 || servers[2].Weight != 9) {
			err = fmt.Errorf("servers are %+v", servers)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	close(stop)
	wait.Wait()
	if failed != nil {
		t.Errorf("request %d: %v", asked, failed)
	}
	t.Logf("%d requests during 6 reloads", asked)
	if err := s.Gateway.AwaitLearned(5*time.Second, s.VIP6+"/128"); err != nil {
		t.Error("the removed service's VIP is still announced:", err)
	}
	unbroken(t, crowd)
}

func badReload(t *testing.T, s *site) {
	s.use(t, service{name: "web", vip: s.VIP4, port: lab.HTTPPort}, service{name: "echo", vip: s.VIP4, port: lab.EchoPort})
	crowd := s.crowd(t, at(s.VIP4, lab.EchoPort), 10)
	before, err := s.lb.Status()
	if err != nil {
		t.Fatal(err)
	}
	config, err := s.lb.CLI("config")
	if err != nil {
		t.Fatal(err)
	}
	good := s.lb.Services
	for _, bad := range []struct{ services, want string }{
		{good + "\n[[service]]\nnaem = \"x\"\n", `did you mean "name"`},
		{strings.Replace(good, lab.ServerAddress(2, lab.HTTPPort, false), "10.3.0.12:0", 1), "services.toml:"},
		{"[[service]\n", "services.toml:1"},
		{strings.Replace(good, s.VIP4, "10.1.0.11", 1), "10.1.0.11"}, // the host's own address
	} {
		s.lb.Services = bad.services
		err := s.lb.Reload()
		if err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("reload says %v, want %q", err, bad.want)
		}
	}
	after, err := s.lb.Status()
	if err != nil {
		t.Fatal(err)
	}
	if after.ReloadFailures != before.ReloadFailures+4 || after.ConfigDigest != before.ConfigDigest || after.ReloadError == "" {
		t.Errorf("status was %+v and is %+v", before, after)
	}
	if now, err := s.lb.CLI("config"); err != nil || now != config {
		t.Errorf("the running configuration changed (%v):\n%s\nwas\n%s", err, now, config)
	}
	if _, err := s.client.AskMany(t.Context(), url(s.VIP4, lab.HTTPPort), 10); err != nil {
		t.Error(err)
	}
	unbroken(t, crowd)
	s.lb.Services = good
	if err := s.lb.Reload(); err != nil {
		t.Error(err)
	}
}

func ping(t *testing.T, s *site) {
	s.use(t, service{name: "web", vip: s.VIP4, port: lab.HTTPPort}, service{name: "web6", vip: s.VIP6, port: lab.HTTPPort})
	for family, vip := range s.families() {
		for _, size := range []string{"56", "1400"} {
			if _, err := s.client.Run(t.Context(), "ping", "-c", "3", "-i", "0.01", "-W", "2", "-s", size, vip); err != nil {
				t.Errorf("%s, %s bytes: %v", family, size, err)
			}
		}
	}
	// From the servers' side, where the local addresses are.
	for _, block := range s.lb.Locals {
		a := netip.MustParsePrefix(block).Addr().Next().String()
		if _, err := s.Servers[0].Run(t.Context(), "ping", "-c", "1", "-W", "2", a); err != nil {
			t.Error(err)
		}
	}
	// Nobody serves another port of the VIP, and that is counted.
	before, _ := s.lb.Drops()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if c, err := s.client.Dial(ctx, "tcp", at(s.VIP4, 9)); err == nil {
		c.Close()
		t.Error("a port without a service accepts connections")
	}
	if err := counted(s, before, "no_service", 1); err != nil {
		t.Error(err)
	}
}
