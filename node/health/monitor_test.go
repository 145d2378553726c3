package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A script stands in for the servers: it answers checks and remembers when
// they came.
type script struct {
	mu    sync.Mutex
	times map[string][]time.Time
	bad   map[string]error
	take  time.Duration
}

func (s *script) try(ctx context.Context, t *Target) (func(), error) {
	s.mu.Lock()
	s.times[t.Key] = append(s.times[t.Key], time.Now())
	err, take := s.bad[t.Key], s.take
	s.mu.Unlock()
	if take > 0 {
		deadline, _ := ctx.Deadline()
		select {
		case <-time.After(min(take, time.Until(deadline))):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, err
}

func (s *script) set(key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad[key] = err
}

func (s *script) count(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times[key])
}

func scripted(t *testing.T) (*Monitor, *script) {
	s := &script{times: map[string][]time.Time{}, bad: map[string]error{}}
	m := New(slog.New(slog.DiscardHandler))
	m.try = s.try
	t.Cleanup(m.Close)
	return m, s
}

func target(key string) Target {
	return Target{Key: key, Address: netip.MustParseAddrPort("10.0.0.11:80"), Check: Check{Type: "tcp", Interval: 2 * time.Second}}
}

func TestChecksSpreadAndKeepTheirDistance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := scripted(t)
		var targets []Target
		for i := range 1000 {
			targets = append(targets, target(fmt.Sprintf("web/10.0.%d.%d:80", i/256, i%256)))
		}
		m.Set(targets)
		time.Sleep(firstWithin)
		synctest.Wait()
		for key, v := range m.Verdicts() {
			if !v.Checked {
				t.Fatalf("%s has no result after %v", key, firstWithin)
			}
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()

		var tenths [20]int // of the interval
		for key, times := range s.times {
			for i := 2; i < len(times); i++ {
				if gap := times[i].Sub(times[i-1]); gap != 2*time.Second {
					t.Fatalf("%s: %v between checks, want 2s", key, gap)
				}
			}
			if gap := times[1].Sub(times[0]); gap < time.Second || gap > 3*time.Second {
				t.Errorf("%s: %v from the first check to the second, want about 2s", key, gap)
			}
			tenths[times[5].Sub(m.started)%(2*time.Second)/(100*time.Millisecond)]++
		}
		for i, n := range tenths {
			if n < 25 || n > 80 {
				t.Errorf("%d of 1000 checks in tenth %d of the interval, want about 50: %v", n, i, tenths)
				break
			}
		}
		m.Close()
	})
}

func TestSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := scripted(t)
		run := func(d time.Duration) { time.Sleep(d); synctest.Wait() }

		s.set("b", errors.New("connect: connection refused"))
		m.Set([]Target{target("a"), target("b")})
		run(10 * time.Second)
		v := m.Verdicts()
		if !v["a"].Up || v["b"].Up || v["b"].Reason != "connect: connection refused" || len(v) != 2 {
			t.Fatalf("verdicts %+v", v)
		}

		// The same set again: nobody is checked out of turn, nothing is forgotten.
		before := s.count("a")
		for range 100 {
			m.Set([]Target{target("b"), target("a")})
		}
		run(time.Millisecond)
		if n := s.count("a"); n != before || m.Verdicts()["a"].Checks != uint64(before) {
			t.Errorf("setting the same again made %d more checks", n-before)
		}

		// Another check of the same server: the old verdict holds until it has
		// counted, by rise and fall as usual.
		a := target("a")
		a.Check.Interval, a.Check.Fall = time.Second, 3
		s.set("a", errors.New("bad"))
		m.Set([]Target{a, target("b")})
		if v := m.Verdicts()["a"]; !v.Up || !v.Checked {
			t.Errorf("a changed check lost the verdict: %+v", v)
		}
		run(firstWithin)
		if v := m.Verdicts()["a"]; !v.Up || v.Reason != "bad (1 of 3)" {
			t.Errorf("one of three bad results: %+v", v)
		}
		run(5 * time.Second)
		if v := m.Verdicts()["a"]; v.Up {
			t.Errorf("still up: %+v", v)
		}

		// Another address is another server.
		a.Address = netip.MustParseAddrPort("10.0.0.12:80")
		m.Set([]Target{a})
		if v := m.Verdicts(); v["a"].Checked || v["a"].Up || len(v) != 1 {
			t.Errorf("a server of another address inherits: %+v", v)
		}
		n := s.count("b")
		run(10 * time.Second)
		if s.count("b") != n {
			t.Error("b is no longer wanted and is checked")
		}

		m.Close()
		m.Set([]Target{target("c")})
		run(10 * time.Second)
		if s.count("c") != 0 {
			t.Error("checked after Close")
		}
	})
}

func TestNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := scripted(t)
		none := target("a")
		none.Check = Check{Type: "none"}
		m.Set([]Target{none})
		if v := m.Verdicts()["a"]; !v.Up || !v.Checked {
			t.Errorf("unchecked target is not up at once: %+v", v)
		}
		<-m.Changes()

		s.set("a", errors.New("bad"))
		m.Set([]Target{target("a")})
		if v := m.Verdicts()["a"]; !v.Up {
			t.Errorf("down before the new check has run: %+v", v)
		}
		time.Sleep(firstWithin)
		synctest.Wait()
		if v := m.Verdicts()["a"]; v.Up {
			t.Errorf("the new check does not count: %+v", v)
		}
		m.Set([]Target{none})
		if v := m.Verdicts()["a"]; !v.Up {
			t.Errorf("no longer checked, and not up: %+v", v)
		}
		m.Close()
	})
}

func TestChangesCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := scripted(t)
		var targets []Target
		for i := range 100 {
			targets = append(targets, target(fmt.Sprint(i)))
		}
		m.Set(targets)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		told := 0
		drain := func() {
			for {
				select {
				case <-m.Changes():
					told++
				default:
					return
				}
			}
		}
		drain()
		if told != 1 {
			t.Errorf("told %d times of 100 first results nobody waited for, want once", told)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if drain(); told != 1 {
			t.Error("told of a change where nothing changed")
		}
		s.set("7", errors.New("bad"))
		<-m.Changes()
		if m.Verdicts()["7"].Up {
			t.Error("told before the verdict changed")
		}
		m.Close()
	})
}

func TestHangingServersHoldUpOnlyThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := scripted(t)
		s.take = time.Hour
		slow := target("slow")
		slow.Check.Timeout = 5 * time.Second // longer than the interval
		before := runtime.NumGoroutine()
		m.Set([]Target{slow, target("usual")})
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n != 2 {
			t.Errorf("two hanging servers cost %d goroutines", n)
		}
		if n := s.count("slow"); n < 11 || n > 12 {
			t.Errorf("%d checks of 5s in a minute, want them back to back", n)
		}
		if n := s.count("usual"); n < 29 || n > 31 {
			t.Errorf("%d checks every 2s in a minute", n)
		}
		m.Close()
	})
}

func TestGoodbyeIsNoPartOfTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := scripted(t)
		m.try = func(context.Context, *Target) (func(), error) {
			return func() { time.Sleep(time.Second) }, nil
		}
		m.Set([]Target{target("a")})
		<-m.Changes()
		if v := m.Verdicts()["a"]; !v.Up || v.Duration != 0 {
			t.Errorf("%+v", v)
		}
		m.Close()
	})
}
