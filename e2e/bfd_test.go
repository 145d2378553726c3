package e2e

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleetlb/e2e/lab"
)

// TestBFD: each end is noticed by the other within milliseconds, whatever it
// died of, and who leaves in good order is not taken for dead.
func TestBFD(t *testing.T) {
	for _, router := range []string{"frr", "bird"} {
		t.Run(router, func(t *testing.T) {
			s := open(t, lab.Options{Router: router, BFD: "100ms"},
				service{name: "web", vip: "203.0.113.10", port: lab.HTTPPort},
				service{name: "web6", vip: "2001:db8:f::10", port: lab.HTTPPort})
			s.watched(t)
			t.Run("the director is stopped", func(t *testing.T) { directorStopped(t, s) })
			t.Run("kill -9 the director", func(t *testing.T) { unheardOf(t, s) })
			t.Run("silence on the wire", func(t *testing.T) { silence(t, s) })
			t.Run("the router dies", func(t *testing.T) { routerDies(t, s) })
			t.Run("the timers change", func(t *testing.T) { retimed(t, s) })
			t.Run("BFD is switched off", func(t *testing.T) { switchedOff(t, s) })
			t.Run("SIGTERM", func(t *testing.T) { leftInGoodOrder(t, s) })
		})
	}
}

// watched waits until BFD is up over both families.
func (s *site) watched(t *testing.T) {
	t.Helper()
	if err := s.awaitBFD(10*time.Second, "up"); err != nil {
		t.Fatal(err)
	}
}

func (s *site) awaitBFD(timeout time.Duration, state string) error {
	return lab.Await(timeout, "BFD to be "+state, func() error {
		neighbors, err := s.lb.BGPNeighbors()
		if err != nil {
			return err
		}
		for _, n := range neighbors {
			if n.BFD != state {
				return fmt.Errorf("with %s it is %s", n.Address, n.BFD)
			}
		}
		if len(neighbors) != 2 {
			return errors.New("there are too few neighbours")
		}
		return nil
	})
}

// unrouted waits until the router has no VIP left and says how long it took.
func (s *site) unrouted(t *testing.T, since time.Time) {
	t.Helper()
	for _, prefix := range s.vips() {
		if err := s.Gateway.AwaitLearned(5*time.Second, prefix); err != nil {
			t.Error(err)
		}
	}
	within(t, 600*time.Millisecond, since, "unrouted")
}

// A stopped director holds its connections and answers nothing. One that wakes
// is taken back.
func directorStopped(t *testing.T, s *site) {
	stopped := time.Now()
	s.lb.Process.Freeze()
	s.unrouted(t, stopped)
	time.Sleep(2 * time.Second)
	s.lb.Process.Thaw()
	thawed := time.Now()
	s.ready(t)
	s.watched(t)
	within(t, 12*time.Second, thawed, "back")
}

func unheardOf(t *testing.T, s *site) {
	killed := time.Now()
	s.lb.Process.Kill()
	s.unrouted(t, killed)
	restart(t, s)
	s.watched(t)
}

// Nothing dies, and nothing gets through.
func silence(t *testing.T, s *site) {
	port := s.lb.Host.Port("front")
	cut := time.Now()
	if err := port.Unplug(); err != nil {
		t.Fatal(err)
	}
	s.unrouted(t, cut)
	if err := s.awaitBFD(5*time.Second, "down"); err != nil {
		t.Error(err)
	}
	within(t, time.Second, cut, "noticed by the director")
	if err := port.Plug(); err != nil {
		t.Fatal(err)
	}
	s.ready(t)
	s.watched(t)
}

// A router that is killed and back before the hold time is over has forgotten
// the director, which must not believe in the old session.
func routerDies(t *testing.T, s *site) {
	killed := time.Now()
	s.Router.Kill()
	if err := s.awaitBFD(5*time.Second, "down"); err != nil {
		t.Error(err)
	}
	within(t, 600*time.Millisecond, killed, "noticed by the director")
	if findings, _ := s.lb.CLI("doctor"); !strings.Contains(findings, "bfd neighbor 10.1.0.1") {
		t.Errorf("doctor does not say so:\n%s", findings)
	}
	if err := s.Router.Start(); err != nil {
		t.Fatal(err)
	}
	s.ready(t)
	s.watched(t)
}

// Another interval is agreed on without losing anything.
func retimed(t *testing.T, s *site) {
	before := s.lb.Process.Log()
	for _, interval := range []string{"1s", "50ms", "100ms"} {
		s.lb.BFD = interval
		if err := s.lb.Reload(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // of the new pace
		if err := s.awaitBFD(time.Second, "up"); err != nil {
			t.Error(err)
		}
	}
	if said := strings.TrimPrefix(s.lb.Process.Log(), before); strings.Contains(said, ": down") {
		t.Errorf("lost by a change of timers:\n%s", said)
	}
}

// Without BFD all goes on as before it was there. The end of it is announced as
// no failure, which FRR 8.4 and BIRD 2.0 take for one all the same: they drop
// their BGP session, and have it back at once.
func switchedOff(t *testing.T, s *site) {
	for _, change := range []struct{ interval, state string }{{"", "off"}, {"100ms", "up"}} {
		s.lb.BFD = change.interval
		if err := s.lb.Reload(); err != nil {
			t.Fatal(err)
		}
		changed := time.Now()
		if err := s.awaitBFD(10*time.Second, change.state); err != nil {
			t.Error(err)
		}
		if err := s.AwaitEstablished(15 * time.Second); err != nil {
			t.Error(err)
		}
		s.ready(t)
		within(t, 15*time.Second, changed, "ready with BFD "+change.state)
	}
}

// Whoever is told to end says so by BFD too, over both families, and then is
// silent for ever: the router waits for nothing.
func leftInGoodOrder(t *testing.T, s *site) {
	capture, err := s.Gateway.Port("front").Capture(lab.Everything)
	if err != nil {
		t.Fatal(err)
	}
	told := time.Now()
	s.lb.Process.Signal(syscall.SIGTERM)
	if err := s.lb.Process.Wait(10 * time.Second); err != nil {
		t.Errorf("the director ended with %v", err)
	}
	within(t, 6*time.Second, told, "ended")
	if err := capture.Stop(); err != nil {
		t.Fatal(err)
	}
	last := map[bool][]byte{} // by IPv6: the last packet of the director's
	for _, f := range capture.Frames() {
		seen := f.Decode()
		if seen.Protocol == "udp" && seen.Dst.Port() == 3784 && !seen.Outgoing {
			last[seen.Dst.Addr().Is6()] = f.Bytes[len(f.Bytes)-24:]
			if seen.TTL != 255 {
				t.Errorf("hop limit: %v", seen)
			}
		}
	}
	for _, v6 := range []bool{false, true} {
		// Version 1, administratively down; state AdminDown, flags as they may be.
		if p := last[v6]; p == nil || p[0] != 0x27 || p[1]&0xc0 != 0 {
			t.Errorf("IPv6 %v: the last word was % x", v6, p)
		}
	}
}
