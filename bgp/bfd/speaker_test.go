package bfd

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	us   = netip.MustParseAddr("10.1.0.11")
	them = netip.MustParseAddr("10.1.0.1")
)

// pair is two speakers that have each other for a peer, under a clock that
// jumps.
type pair struct {
	*testing.T
	*air
	here, there *Speaker
	heart       atomic.Bool // ours
	log         bytes.Buffer
}

// story runs f with a pair of speakers that do not know each other yet.
func story(t *testing.T, f func(p *pair)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pair{T: t, air: newAir()}
		p.heart.Store(true)
		p.here = newSpeaker(slog.New(slog.NewTextHandler(&p.log, nil)), p.heart.Load, p.antenna(us))
		p.there = newSpeaker(slog.New(slog.NewTextHandler(io.Discard, nil)), func() bool { return true }, p.antenna(them))
		go p.here.run()
		go p.there.run()
		defer func() {
			p.close(p.here)
			p.close(p.there)
		}()
		f(p)
	})
}

func (p *pair) close(b *Speaker) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		p.Error(err)
	}
}

func (p *pair) set(interval time.Duration, multiplier int) {
	p.Helper()
	for b, a := range map[*Speaker]netip.Addr{p.here: them, p.there: us} {
		if err := b.Set([]Peer{{Address: a, Interval: interval, Multiplier: multiplier}}); err != nil {
			p.Fatal(err)
		}
	}
}

// up lets the two find each other and forgets how.
func (p *pair) up(interval time.Duration, multiplier int) {
	p.Helper()
	p.set(interval, multiplier)
	time.Sleep(5 * time.Second)
	p.is(p.here, Up)
	p.is(p.there, Up)
	p.sent(us)
}

func (p *pair) is(b *Speaker, want State) Status {
	p.Helper()
	synctest.Wait()
	all := b.Sessions()
	if len(all) != 1 || all[0].State != want {
		p.Fatalf("sessions are %+v, want one that is %v", all, want)
	}
	return all[0]
}

// until sleeps until a speaker's session is in a state and returns how long.
func (p *pair) until(b *Speaker, want State) time.Duration {
	p.Helper()
	began := time.Now()
	for time.Since(began) < time.Minute {
		synctest.Wait()
		if all := b.Sessions(); len(all) == 1 && all[0].State == want {
			return time.Since(began)
		}
		time.Sleep(time.Millisecond)
	}
	p.Fatalf("not %v within a minute", want)
	return 0
}

func TestUp(t *testing.T) {
	story(t, func(p *pair) {
		p.set(0, 0)
		if took := p.until(p.here, Up); took > 10*time.Millisecond {
			t.Errorf("up after %v, want a few round trips", took)
		}
		time.Sleep(time.Second)
		s := p.is(p.here, Up)
		if s.Interval != DefaultInterval || s.Detect != 3*DefaultInterval || s.RemoteState != Up || s.Local != us || s.Diag != NoDiag {
			t.Errorf("%+v", s)
		}
		select {
		case <-p.here.Changes():
		default:
			t.Error("nobody was told")
		}
		all := p.sent(us)
		if len(all) == 0 || all[0].state != Down || all[0].desired != time.Second || all[0].yours != 0 {
			t.Errorf("the first packet was %+v", all)
		}
		polled := slices.ContainsFunc(all, func(h heard) bool { return h.poll && h.desired == DefaultInterval })
		if last := all[len(all)-1]; !polled || last.poll {
			t.Errorf("polled: %v; still does: %v", polled, last.poll)
		}
	})
}

// A peer that is not there is asked once a second, and no more.
func TestSlowStart(t *testing.T) {
	story(t, func(p *pair) {
		p.here.Set([]Peer{{Address: them, Interval: MinInterval}})
		time.Sleep(100 * time.Second)
		if n := len(p.sent(us)); n < 100 || n > 134 {
			t.Errorf("%d packets in 100 s, want one each 0.75 to 1 s", n)
		}
		p.is(p.here, Down)
	})
}

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		multiplier int
		most       time.Duration
	}{{3, 50 * time.Millisecond}, {1, 45 * time.Millisecond}} {
		story(t, func(p *pair) {
			p.up(50*time.Millisecond, tt.multiplier)
			time.Sleep(time.Minute)
			all := p.sent(us)
			for i := range all[1:] {
				if gap := all[i+1].at.Sub(all[i].at); gap < 37500*time.Microsecond || gap > tt.most {
					t.Errorf("multiplier %d: %v between two packets", tt.multiplier, gap)
				}
			}
			p.is(p.here, Up)
			if f := p.here.Sessions()[0].Failures; f != 0 {
				t.Errorf("%d failures", f)
			}
		})
	}
}

// The peer falls silent, as when it is killed: nothing is heard of it.
func TestSilence(t *testing.T) {
	for _, interval := range []time.Duration{50 * time.Millisecond, 300 * time.Millisecond} {
		story(t, func(p *pair) {
			p.up(interval, 3)
			p.losing(func(from netip.Addr, _ packet) bool { return from == them })
			took := p.until(p.here, Down)
			if took < 2*interval || took > 3*interval+time.Millisecond {
				t.Errorf("down after %v, want 3 × %v since the last packet", took, interval)
			}
			s := p.here.Sessions()[0]
			if s.Diag != Expired || s.Failures != 1 || s.RemoteState != Down || s.Detect != 0 {
				t.Errorf("%+v", s)
			}
			// It hears that we have given up, and we agree again once it is back.
			if s := p.is(p.there, Down); s.Diag != Signaled || s.Failures != 1 {
				t.Errorf("there: %+v", s)
			}
			p.losing(func(netip.Addr, packet) bool { return false })
			if took := p.until(p.here, Up); took > 1100*time.Millisecond {
				t.Errorf("up again after %v", took)
			}
			for _, line := range []string{"bfd: peer 10.1.0.1: up", "bfd: peer 10.1.0.1: down: detection time expired"} {
				if !strings.Contains(p.log.String(), line) {
					t.Errorf("the log has no %q:\n%s", line, &p.log)
				}
			}
		})
	}
}

// Two packets of three may be lost.
func TestLoss(t *testing.T) {
	story(t, func(p *pair) {
		p.up(100*time.Millisecond, 3)
		sent := map[netip.Addr]int{}
		p.losing(func(from netip.Addr, _ packet) bool { sent[from]++; return sent[from]%3 != 0 })
		time.Sleep(time.Minute)
		p.is(p.here, Up)
	})
}

// The packets do not flow: nothing is sent, and the peer notices.
func TestHeartbeat(t *testing.T) {
	story(t, func(p *pair) {
		p.up(100*time.Millisecond, 3)
		p.heart.Store(false)
		if took := p.until(p.there, Down); took > 301*time.Millisecond {
			t.Errorf("noticed after %v", took)
		}
		if s := p.there.Sessions()[0]; s.Diag != Expired {
			t.Errorf("there: %+v", s)
		}
		time.Sleep(10 * time.Second)
		if all := p.sent(us); len(all) != 0 {
			t.Errorf("%d packets without a heartbeat", len(all))
		}
		p.heart.Store(true)
		if took := p.until(p.there, Up); took > 1100*time.Millisecond {
			t.Errorf("up again after %v", took)
		}
	})
}

// Whoever is taken off the list is told, and treats it as no failure.
func TestFarewell(t *testing.T) {
	story(t, func(p *pair) {
		p.up(300*time.Millisecond, 3)
		p.here.Set(nil)
		s := p.is(p.there, Down)
		if s.Diag != Signaled || s.RemoteState != AdminDown || s.RemoteDiag != ByOperator || s.Failures != 0 {
			t.Errorf("there: %+v", s)
		}
		if all := p.here.Sessions(); len(all) != 0 {
			t.Errorf("here: %+v", all)
		}
		p.sent(us)
		time.Sleep(10 * time.Second)
		if all := p.sent(us); len(all) != 0 {
			t.Errorf("%d packets of a session that is over", len(all))
		}
		// And back on it.
		p.here.Set([]Peer{{Address: them}})
		if took := p.until(p.here, Up); took > 1100*time.Millisecond {
			t.Errorf("up again after %v", took)
		}
	})
}

// A peer that hears nothing is waited for as long as it would wait.
func TestFarewellToTheDeaf(t *testing.T) {
	story(t, func(p *pair) {
		p.up(300*time.Millisecond, 3)
		p.losing(func(netip.Addr, packet) bool { return true })
		began := time.Now()
		p.close(p.here)
		if took := time.Since(began); took < 600*time.Millisecond || took > 900*time.Millisecond {
			t.Errorf("closed after %v", took)
		}
	})
}

func TestCloseInAHurry(t *testing.T) {
	story(t, func(p *pair) {
		p.up(300*time.Millisecond, 3)
		p.losing(func(netip.Addr, packet) bool { return true })
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if err := p.here.Close(ctx); err != context.DeadlineExceeded {
			t.Error(err)
		}
	})
}

// Back on the list before the farewell is over, the session goes on.
func TestRevived(t *testing.T) {
	story(t, func(p *pair) {
		p.up(300*time.Millisecond, 3)
		p.losing(func(netip.Addr, packet) bool { return true })
		p.here.Set(nil)
		time.Sleep(100 * time.Millisecond)
		p.here.Set([]Peer{{Address: them}})
		p.losing(func(netip.Addr, packet) bool { return false })
		p.until(p.here, Up)
		p.until(p.there, Up)
	})
}

// Other timers are agreed on without losing the session, in either direction
// and however often.
func TestRetimed(t *testing.T) {
	story(t, func(p *pair) {
		p.up(300*time.Millisecond, 3)
		for _, interval := range []time.Duration{50 * time.Millisecond, time.Second, 100 * time.Millisecond, 10 * time.Second, 300 * time.Millisecond} {
			p.here.Set([]Peer{{Address: them, Interval: interval, Multiplier: 4}})
			time.Sleep(30 * time.Second)
			want := max(interval, 300*time.Millisecond)
			here, there := p.is(p.here, Up), p.is(p.there, Up)
			if here.Interval != want || here.Detect != 3*want || there.Interval != want || there.Detect != 4*want {
				t.Errorf("%v: here %v, %v; there %v, %v", interval, here.Interval, here.Detect, there.Interval, there.Detect)
			}
			if here.Failures+there.Failures != 0 {
				t.Fatalf("%v: down", interval)
			}
		}
	})
}

// A peer that starts again has forgotten us, and says so.
func TestPeerStartsAgain(t *testing.T) {
	story(t, func(p *pair) {
		p.up(10*time.Second, 3)
		// It forgets without a word, as after kill -9.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.losing(func(netip.Addr, packet) bool { return true })
		p.there.Close(ctx)
		p.losing(func(netip.Addr, packet) bool { return false })
		p.there = newSpeaker(p.there.log, p.there.alive, p.antenna(them))
		go p.there.run()
		p.there.Set([]Peer{{Address: us}})
		time.Sleep(time.Second)
		if s := p.is(p.here, Up); s.Failures != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// What is in the way is said once, and tried again.
func TestNoRoute(t *testing.T) {
	story(t, func(p *pair) {
		broken := func(b bool) {
			p.air.mu.Lock()
			p.ears[us].broken = b
			p.air.mu.Unlock()
		}
		broken(true)
		p.set(0, 0)
		time.Sleep(10 * time.Second)
		if s := p.is(p.here, Down); s.Problem != "no route to host" {
			t.Errorf("%+v", s)
		}
		if n := strings.Count(p.log.String(), "no route"); n != 1 {
			t.Errorf("said %d times", n)
		}
		broken(false)
		p.until(p.here, Up)
		broken(true)
		p.until(p.there, Down)
		if s := p.here.Sessions()[0]; s.State != Down || s.Problem != "network is down" {
			t.Errorf("%+v", s)
		}
		broken(false)
		if took := p.until(p.here, Up); took > 3*time.Second {
			t.Errorf("up again after %v", took)
		}
		if s := p.here.Sessions()[0]; s.Problem != "" {
			t.Errorf("%+v", s)
		}
	})
}

// Whoever guesses addresses but not discriminators moves nothing, and is counted.
func TestForged(t *testing.T) {
	story(t, func(p *pair) {
		p.up(300*time.Millisecond, 3)
		mine, before := p.here.sessions[0].mine, p.here.Drops()
		down := packet{state: Down, mine: 66, yours: mine ^ 1, multiplier: 3}
		var wire, short [packetSize]byte
		down.put(&wire)
		right := down
		right.yours = mine
		var elsewhere [packetSize]byte
		right.put(&elsewhere)
		ear := p.ears[us]
		p.air.mu.Lock()
		ear.queue = append(ear.queue,
			arrival{wire[:], them, us, false},                                    // not our discriminator
			arrival{elsewhere[:], netip.MustParseAddr("10.1.0.66"), us, false},   // not the peer's address
			arrival{elsewhere[:], them, netip.MustParseAddr("10.1.0.12"), false}, // not our address
			arrival{elsewhere[:], them, us, true},                                // not the port
			arrival{short[:23], them, us, false})
		p.air.mu.Unlock()
		ear.wake()
		p.is(p.here, Up)
		if d := p.here.Drops(); d["no_session"]-before["no_session"] != 4 || d["too_short"] != 1 || len(d) != int(numFaults)-1 {
			t.Errorf("%v", d)
		}
	})
}

func TestSetRefuses(t *testing.T) {
	story(t, func(p *pair) {
		p.up(300*time.Millisecond, 3)
		if err := p.here.Set([]Peer{{}}); err == nil {
			t.Error("a peer without an address is taken")
		}
		p.is(p.here, Up)
	})
}
