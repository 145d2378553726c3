package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// One site for the stories of what ends and what is full. Its director has the
// smallest table there is.
func TestLimits(t *testing.T) {
	s := &site{Site: lab.SiteForTest(t, lab.Options{Router: "bird"})}
	s.lb, s.client = s.Directors[0], s.Clients[0]
	for _, server := range s.Servers {
		if _, err := server.Serve(); err != nil {
			t.Fatal(err)
		}
	}
	s.lb.Node = "max_sessions = 1024\n"
	s.lb.Services = tomls(3, service{name: "echo", vip: s.VIP4, port: lab.EchoPort})
	if err := s.lb.Start(); err != nil {
		t.Fatal(err)
	}
	s.ready(t)

	t.Run("an idle session expires and both ends are told", func(t *testing.T) { idle(t, s) })
	t.Run("a silent one expires and nobody is told", func(t *testing.T) { idleSilent(t, s) })
	t.Run("the session table is full", func(t *testing.T) { tableFull(t, s) })
	t.Run("the local ports are all in use", func(t *testing.T) { portsOut(t, s) })
}

const shortLived = `  [service.timeouts]
  established = "1s"
`

func idle(t *testing.T, s *site) {
	s.use(t, service{name: "echo", vip: s.VIP4, port: lab.EchoPort, more: shortLived},
		service{name: "echo6", vip: s.VIP6, port: lab.EchoPort, more: shortLived})
	for family, vip := range s.families() {
		resets, err := s.lb.WatchResets()
		if err != nil {
			t.Fatal(err)
		}
		c := exchange(t, s, at(vip, lab.EchoPort))
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		used := time.Now()
		_, err = c.Read(make([]byte, 1))
		if err == nil || !strings.Contains(err.Error(), "connection reset by peer") {
			t.Errorf("%s: the client's idle connection ends with %v, want a reset", family, err)
		}
		if d := time.Since(used); d < 900*time.Millisecond || d > 3*time.Second {
			t.Errorf("%s: reset after %v idle, want 1 s", family, d)
		}
		born, err := resets.Born()
		if err != nil {
			t.Error(err)
		}
		var toClient, toServer int
		for _, r := range born {
			switch {
			case r.Src.Addr().String() == vip && r.Dst.String() == c.LocalAddr().String():
				toClient++
			case local(r.Src.Addr().String(), s.lb.Locals):
				toServer++
			default:
				t.Errorf("%s: reset from nowhere: %v", family, r)
			}
		}
		if toClient != 1 || toServer != 1 {
			t.Errorf("%s: %d resets to the client and %d to the server, want 1 each: %v", family, toClient, toServer, born)
		}
		if sessions, err := s.lb.Sessions(); err != nil || len(sessions) != 0 {
			t.Errorf("%s: the session is still there: %+v (%v)", family, sessions, err)
		}
	}
}

// exchange opens a connection to the echo service and proves it.
func exchange(t *testing.T, s *site, address string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := s.client.Dial(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("once")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	return c
}

func idleSilent(t *testing.T, s *site) {
	s.use(t, service{name: "echo", vip: s.VIP4, port: lab.EchoPort, more: "reset_on_expiry = false\n" + shortLived})
	c := exchange(t, s, at(s.VIP4, lab.EchoPort))
	c.SetReadDeadline(time.Now().Add(2500 * time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
		t.Errorf("the idle connection ends with %v, want silence", err)
	}
	if sessions, err := s.lb.Sessions(); err != nil || len(sessions) != 0 {
		t.Errorf("the session is still there: %+v (%v)", sessions, err)
	}
	// Its next packet belongs to nothing.
	before, _ := s.lb.Drops()
	c.Write([]byte("again"))
	if err := counted(s, before, "no_session", 1); err != nil {
		t.Error(err)
	}
}

// counted waits until at least n more drops have the reason.
func counted(s *site, before map[string]uint64, reason string, n uint64) error {
	return lab.Await(3*time.Second, fmt.Sprintf("%d drops for %s", n, reason), func() error {
		now, err := s.lb.Drops()
		if err == nil && now[reason] < before[reason]+n {
			err = fmt.Errorf("drops were %v and are %v", before, now)
		}
		return err
	})
}

func tableFull(t *testing.T, s *site) {
	s.use(t, service{name: "echo", vip: s.VIP4, port: lab.EchoPort}, service{name: "web", vip: s.VIP4, port: lab.HTTPPort})
	crowd := s.crowd(t, at(s.VIP4, lab.EchoPort), 300)
	before, _ := s.lb.Drops()

	// Twice as many as there is room for, and idle.
	var refused int
	var slowest time.Duration
	for range 1500 {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		started := time.Now()
		c, err := s.client.Dial(ctx, "tcp", at(s.VIP4, lab.HTTPPort))
		cancel()
		if err == nil {
			defer c.Close()
			continue
		}
		refused++
		slowest = max(slowest, time.Since(started))
	}
	t.Logf("%d of 1500 refused, the slowest after %v", refused, slowest)
	// Each worker may hold an eighth more than its share, for slots are not hit
	// evenly.
	const room = 1024 * 9 / 8
	if refused < 1500+300-room {
		t.Errorf("%d connections were refused, and there was room for %d", refused, room)
	}
	if slowest > time.Second {
		t.Errorf("a refusal took %v", slowest)
	}
	if err := counted(s, before, "table_full", uint64(refused)); err != nil {
		t.Error(err)
	}
	if status, err := s.lb.Status(); err != nil || status.Sessions > room || status.MaxSessions != room {
		t.Errorf("%d sessions of at most %d, and there is room for %d: %v", status.Sessions, status.MaxSessions, room, err)
	}
	unbroken(t, crowd)
}

// With one local address and a handful of ports, the ports of the one server
// run out long before the table does.
func portsOut(t *testing.T, s *site) {
	was := s.lb.Locals
	defer func() { s.lb.Locals = was }()
	s.lb.Locals = []string{"10.3.0.129/32"}
	s.lb.Fullnat = `local_ports = "2048-2559"` + "\n" // two for each slot
	defer func() { s.lb.Fullnat = "" }()
	restart(t, s)
	s.lb.Services = tomls(1, service{name: "web", vip: s.VIP4, port: lab.HTTPPort})
	if err := s.lb.Reload(); err != nil {
		t.Fatal(err)
	}
	s.ready(t)
	before, _ := s.lb.Drops()
	refused := 0
	for range 700 {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		started := time.Now()
		c, err := s.client.Dial(ctx, "tcp", at(s.VIP4, lab.HTTPPort))
		cancel()
		if err == nil {
			defer c.Close()
			continue
		}
		if refused++; time.Since(started) > time.Second {
			t.Fatalf("a refusal took %v: %v", time.Since(started), err)
		}
	}
	if refused < 700-512 {
		t.Errorf("%d connections were refused, and there were 512 ports", refused)
	}
	if err := counted(s, before, "no_port", uint64(refused)); err != nil {
		t.Error(err)
	}
}
