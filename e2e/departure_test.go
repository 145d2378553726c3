package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// One site for the stories of how a director, or part of it, goes.
func TestDeparture(t *testing.T) {
	s := open(t, lab.Options{Router: "frr"},
		service{name: "web", vip: "203.0.113.10", port: lab.HTTPPort},
		service{name: "web6", vip: "2001:db8:f::10", port: lab.HTTPPort},
		service{name: "echo", vip: "203.0.113.10", port: lab.EchoPort},
		service{name: "echo-udp", vip: "203.0.113.10", port: lab.EchoPort, protocol: "udp"})

	t.Run("a second director on the host", func(t *testing.T) { second(t, s) })
	t.Run("kill -9 the speaker", func(t *testing.T) { speakerKilled(t, s) })
	t.Run("the router drops the session", func(t *testing.T) { sessionReset(t, s) })
	t.Run("no server is left", func(t *testing.T) { noServer(t, s) })
	t.Run("SIGTERM", func(t *testing.T) { terminated(t, s) })
	t.Run("kill -9 the director", func(t *testing.T) { directorKilled(t, s) })
}

// probe starts datagrams through the UDP echo service.
func (s *site) probe(t *testing.T) *lab.Probe {
	t.Helper()
	p, err := s.client.Probe(t.Context(), at(s.VIP4, lab.EchoPort), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lossless ends a probe that may have lost nothing.
func lossless(t *testing.T, p *lab.Probe) {
	t.Helper()
	r := p.Stop()
	t.Log("probe:", r)
	if r.Lost != 0 || r.Sent < 100 {
		t.Errorf("probe: %v, want none lost", r)
	}
}

// An interface has one director. A second one is told who that is, and ends before
// it has touched anything.
func second(t *testing.T, s *site) {
	s.pin(t)
	crowd := s.crowd(t, at(s.VIP4, lab.EchoPort), 10)
	text, err := os.ReadFile(s.lb.Host.File("fleetlb.toml"))
	if err != nil {
		t.Fatal(err)
	}
	path, err := s.lb.Host.WriteFile("second.toml", strings.ReplaceAll(string(text), "admin.sock", "second.sock"))
	if err != nil {
		t.Fatal(err)
	}
	program, err := lab.Binary("fleetlbd")
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.lb.Host.Start("second", program, "-config", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(10 * time.Second); err == nil || p.Running() {
		t.Errorf("the second ended with %v, running: %v", err, p.Running())
	}
	want := fmt.Sprintf("in use by another director (process %d, socket %q)", s.lb.Process.Pid, s.lb.Socket())
	if log := p.Log(); !strings.Contains(log, want) {
		t.Errorf("it says %q, want %q", log, want)
	}
	unbroken(t, crowd)
}

func speakerKilled(t *testing.T, s *site) {
	s.pin(t)
	crowd := s.crowd(t, at(s.VIP4, lab.EchoPort), 30)
	probe := s.probe(t)
	pid, err := s.lb.Speaker()
	if err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := lab.Await(5*time.Second, "a new speaker", func() error {
		now, err := s.lb.Speaker()
		if err == nil && now == pid {
			err = errors.New("the old one is still there")
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	within(t, time.Second, killed, "restarted")
	s.ready(t)
	within(t, 10*time.Second, killed, "routed again")
	lossless(t, probe)
	unbroken(t, crowd)
}

func sessionReset(t *testing.T, s *site) {
	s.pin(t)
	probe := s.probe(t)
	neighbors, err := s.Router.Neighbors()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range neighbors {
		if err := s.Router.Reset(n.Address); err != nil {
			t.Error(err)
		}
	}
	if err := s.AwaitEstablished(15 * time.Second); err != nil {
		t.Error(err)
	}
	s.ready(t)
	lossless(t, probe)
}

// Without a healthy server the VIP is withdrawn; who comes all the same is
// refused at once, and counted.
func noServer(t *testing.T, s *site) {
	s.pin(t)
	health(t, s, false)
	for i := range s.Servers {
		for service, address := range map[string]string{
			"web": lab.ServerAddress(i+1, lab.HTTPPort, false), "web6": lab.ServerAddress(i+1, lab.HTTPPort, true),
		} {
			if err := s.lb.AwaitServer(5*time.Second, service, address, "down"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, prefix := range s.vips() {
		if err := s.Gateway.AwaitLearned(5*time.Second, prefix); err != nil {
			t.Error(err)
		}
	}
	before, _ := s.lb.Drops()
	for _, vip := range s.families() {
		started := time.Now()
		c, err := s.client.Dial(t.Context(), "tcp", at(vip, lab.HTTPPort))
		if err == nil {
			c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "refused") || time.Since(started) > time.Second {
			t.Errorf("a connection without a server: %v after %v", err, time.Since(started))
		}
	}
	after, err := s.lb.Drops()
	if n := after["no_server"] - before["no_server"]; err != nil || n != 2 {
		t.Errorf("%d connections were counted as no_server, want 2: %v (%v)", n, after, err)
	}
	health(t, s, true)
	s.ready(t)
}

// health has all servers say that they are well, or not.
func health(t *testing.T, s *site, well bool) {
	t.Helper()
	for _, server := range s.Servers {
		res, err := server.HTTP(time.Second).Post(fmt.Sprintf("http://127.0.0.1:%d/healthz?up=%v", lab.HTTPPort, well), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
}

// A director that is told to end withdraws its addresses first and goes on
// carrying packets meanwhile: nobody loses a request.
func terminated(t *testing.T, s *site) {
	s.pin(t)
	s.lb.Node = `withdraw_delay = "1s"
drain_timeout = "5s"
`
	restart(t, s)
	defer func() {
		s.lb.Node = ""
		restart(t, s)
	}()

	// In flight when the word comes, and done after the routes are gone.
	slow := make(chan error, 1)
	go func() {
		res, err := s.client.HTTP(10 * time.Second).Get(url(s.VIP4, lab.HTTPPort) + "wait?for=2s")
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		slow <- err
	}()
	if err := lab.Await(5*time.Second, "the slow request to be served", func() error {
		sessions, err := s.lb.Sessions("--service", "web", "--state", "established")
		if err == nil && len(sessions) == 0 {
			err = errors.New("there is no session")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	probe := s.probe(t)
	time.Sleep(200 * time.Millisecond) // of undisturbed probing

	told := time.Now()
	s.lb.Process.Signal(syscall.SIGTERM)
	asked := 0
	for gone := false; !gone; asked++ {
		if _, err := s.client.Ask(t.Context(), url(s.VIP4, lab.HTTPPort)); err != nil {
			t.Errorf("request %d after SIGTERM: %v", asked+1, err)
			break
		}
		hops, err := s.Gateway.Learned(s.vips()[0])
		if err != nil {
			t.Fatal(err)
		}
		if gone = len(hops) == 0; time.Since(told) > 5*time.Second {
			t.Error("the VIP was not withdrawn within 5 s")
			break
		}
	}
	within(t, time.Second, told, fmt.Sprintf("withdrawn, %d requests later,", asked))
	time.Sleep(700 * time.Millisecond) // within withdraw_delay, packets flow
	lossless(t, probe)
	if err := <-slow; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	if err := s.lb.Process.Wait(8 * time.Second); err != nil {
		t.Errorf("the director ended with %v", err)
	}
	within(t, 7*time.Second, told, "ended")
}

func restart(t *testing.T, s *site) {
	t.Helper()
	if s.lb.Process.Running() {
		s.lb.Process.Kill()
	}
	if err := s.lb.Start(); err != nil {
		t.Fatal(err)
	}
	s.ready(t)
}

// A dead director leaves nothing behind that answers: its host's kernel does not
// know the VIPs, and so sends no reset for them.
func directorKilled(t *testing.T, s *site) {
	s.pin(t)
	resets, err := s.lb.WatchResets()
	if err != nil {
		t.Fatal(err)
	}
	crowd := s.crowd(t, at(s.VIP4, lab.EchoPort), 10)
	speaker, err := s.lb.Speaker()
	if err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	s.lb.Process.Kill()
	if err := lab.Await(2*time.Second, "the speaker to die with the director", func() error {
		if lab.Alive(speaker) {
			return errors.New("it lives")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	for _, prefix := range s.vips() {
		if err := s.Gateway.AwaitLearned(2*time.Second, prefix); err != nil {
			t.Error(err)
		}
	}
	within(t, time.Second, killed, "unrouted")

	d := net.Dialer{Timeout: 500 * time.Millisecond}
	err = s.client.Do(func() error {
		c, err := d.Dial("tcp", at(s.VIP4, lab.HTTPPort))
		if err == nil {
			c.Close()
		}
		return err
	})
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a connection to a dead director: %v, want silence", err)
	}
	if broken := crowd.Broken(); len(broken) != 0 {
		t.Errorf("%d connections were ended for the dead: %v", len(broken), broken[0])
	}
	born, err := resets.Born()
	if err != nil || len(born) != 0 {
		t.Errorf("%d resets came from a dead director's host (%v): %v", len(born), err, born)
	}
	// The name and the socket of the dead are no obstacle.
	restart(t, s)
	if _, err := s.client.Ask(t.Context(), url(s.VIP4, lab.HTTPPort)); err != nil {
		t.Error(err)
	}
}
