package vrrp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func group(change ...func(*Group)) Group {
	g := Group{Name: "lan", Interface: "eth0", ID: 51, Priority: 100, Interval: time.Second, Preempt: true,
		Addresses: addresses("10.0.0.80", "10.0.0.81"), Ready: true}
	for _, f := range change {
		f(&g)
	}
	return g
}

func priority(p uint8) func(*Group) { return func(g *Group) { g.Priority = p } }
func ready(r bool) func(*Group)     { return func(g *Group) { g.Ready = r } }

// A station is a speaker on the air.
type station struct {
	t *testing.T
	*Speaker
	*antenna
	alive atomic.Bool
}

func (a *air) station(t *testing.T, at string) *station {
	s := &station{t: t, antenna: a.antenna(at)}
	s.alive.Store(true)
	s.Speaker = newSpeaker(slog.New(slog.NewTextHandler(io.Discard, nil)), s.alive.Load, s.antenna)
	go s.run()
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

func (s *station) wake()          { s.antenna.wake() }
func (s *station) set(g ...Group) { s.t.Helper(); must(s.t, s.Set(g)) }
func (s *station) status() Status { return s.Groups()[0] }
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// expect waits, and looks at who is what then.
func expect(t *testing.T, after time.Duration, want string, all ...*station) {
	t.Helper()
	time.Sleep(after)
	synctest.Wait()
	var got []string
	for _, s := range all {
		got = append(got, s.status().State.String())
	}
	if g := strings.Join(got, " "); g != want {
		t.Fatalf("%s, want %s", g, want)
	}
}

// TestSpeakers: two routers on one LAN, and all that can happen to them.
func TestSpeakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := &air{}
		a, b := lan.station(t, "10.0.0.1"), lan.station(t, "10.0.0.2")
		a.set(group(priority(150)))
		b.set(group())
		expect(t, 3*time.Second, "backup backup", a, b)
		expect(t, time.Second, "active backup", a, b)
		if who, ok := ptr(b.status()).Active(); !ok || who.Address.String() != "10.0.0.1" || who.Priority != 150 || len(who.Addresses) != 2 {
			t.Errorf("b takes %+v for active", who)
		}
		if s := a.status(); s.Claims != 1 || s.Transitions != 1 || s.Reason != "nobody else was heard in time" || s.Address.String() != "10.0.0.1" {
			t.Errorf("%+v", s)
		}

		// Not ready: resigned at once, and followed in the skew time of 609 ms.
		lan.sent()
		a.set(group(priority(150), ready(false)))
		expect(t, 600*time.Millisecond, "init backup", a, b)
		if said := lan.sent(); len(said) != 1 || said[0].priority != 0 {
			t.Errorf("said %v", said)
		}
		expect(t, 20*time.Millisecond, "init active", a, b)
		if s := b.status(); s.Reason != "10.0.0.1 has resigned" {
			t.Error(s.Reason)
		}

		// Ready again: it preempts, and b yields as soon as it hears of it.
		a.set(group(priority(150)))
		expect(t, 3400*time.Millisecond, "backup active", a, b)
		expect(t, 20*time.Millisecond, "active backup", a, b)

		// Dead without a word: three intervals and the skew time.
		lan.set(func() { a.deaf, a.broken = true, true })
		expect(t, 3*time.Second, "init backup", a, b)
		expect(t, 700*time.Millisecond, "init active", a, b)
		if s := a.status(); !strings.Contains(s.Problem, "no IPv4 address") {
			t.Error("a has no problem:", s.Problem)
		}
		lan.set(func() { a.deaf, a.broken = false, false })
		expect(t, 5*time.Second, "active backup", a, b)

		// Two that did not hear each other: the lesser yields, the other claims again.
		claims := a.status().Claims
		lan.set(func() { b.deaf = true })
		expect(t, 4*time.Second, "active active", a, b)
		lan.set(func() { b.deaf = false })
		expect(t, 1100*time.Millisecond, "active backup", a, b)
		if again := a.status().Claims; again == claims {
			t.Error("the stations are not told again")
		}

		// Ended in good order.
		lan.sent()
		must(t, a.Close(t.Context()))
		if said := lan.sent(); len(said) != 1 || said[0].priority != 0 {
			t.Errorf("said %v", said)
		}
		expect(t, 700*time.Millisecond, "active", b)
	})
}

func ptr[T any](v T) *T { return &v }

// TestChanges: an active router stays so whatever it is told to be, and says it.
func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := &air{}
		a, b := lan.station(t, "10.0.0.1"), lan.station(t, "10.0.0.2")
		a.set(group(priority(150)))
		b.set(group(func(g *Group) { g.Preempt = false }))
		expect(t, 4*time.Second, "active backup", a, b)
		for _, g := range []Group{
			group(priority(140)),
			group(priority(140), func(g *Group) { g.Interval = 2 * time.Second }),
			group(priority(140), func(g *Group) { g.Addresses = g.Addresses[:1] }),
			group(priority(140), func(g *Group) { g.Name = "other" }),
			group(priority(140), func(g *Group) { g.Source = addresses("10.0.0.7")[0] }),
			group(priority(50)),
		} {
			lan.sent()
			a.set(g)
			synctest.Wait()
			said := lan.sent()
			if len(said) != 1 || said[0].priority != g.Priority || said[0].interval != g.Interval || len(said[0].addresses) != len(g.Addresses) ||
				g.Source.IsValid() && said[0].from != g.Source.String() {
				t.Errorf("%+v: said %v", g, said)
			}
			a.set(g)
			synctest.Wait()
			if said := lan.sent(); len(said) != 0 {
				t.Errorf("said again what is not new: %v", said)
			}
			expect(t, 3*time.Second, "active backup", a, b)
		}
		if s := a.status(); s.Transitions != 1 {
			t.Errorf("it was active %d times", s.Transitions)
		}
		// It leaves the set: resigned. The order of two things in one step is kept.
		a.set()
		expect(t, 700*time.Millisecond, "active", b)
		if len(a.Groups()) != 0 {
			t.Error("it is still there")
		}
	})
}

// TestHeartbeat: who does not carry packets says nothing, and does not take over.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := &air{}
		a, b := lan.station(t, "10.0.0.1"), lan.station(t, "10.0.0.2")
		a.set(group(priority(150)))
		b.set(group())
		expect(t, 4*time.Second, "active backup", a, b)
		a.alive.Store(false)
		b.alive.Store(false)
		expect(t, 20*time.Second, "active backup", a, b)
		b.alive.Store(true)
		expect(t, time.Second, "active active", a, b)
		a.alive.Store(true)
		expect(t, 100*time.Millisecond, "active backup", a, b)
	})
}

// TestFaultsAreCounted: what is not for us, or of nobody next door.
func TestFaultsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := &air{}
		a := lan.station(t, "10.0.0.1")
		a.set(group())
		synctest.Wait()
		m := advert{51, 200, time.Second, addresses("10.0.0.80")}
		other := advert{52, 200, time.Second, addresses("10.0.0.80")}
		from := addresses("10.0.0.9")[0]
		good := m.put(nil, from, Pseudo)
		mine := addresses("10.0.0.1")[0]
		lan.set(func() {
			a.queue = []arrival{
				{good, from, group4, 254},
				{good, from, mine, 255},
				{m.put(nil, mine, Pseudo), mine, group4, 255},
				{good[:7], from, group4, 255},
				{other.put(nil, from, Pseudo), from, group4, 255},
			}
			for range 5 {
				a.queue = append(a.queue, arrival{[]byte{0x21, 51, 100, 1, 0, 1, 0, 0, 10, 0, 0, 80}, from, group4, 255})
			}
		})
		a.wake()
		synctest.Wait()
		if got := fmt.Sprint(a.status().Drops); got != "map[bad_version:5 far:1 not_multicast:1 own_address:1 too_short:1]" {
			t.Error(got)
		}
		if s := a.status(); s.Received != 0 || len(s.Others) != 0 {
			t.Errorf("%+v", s)
		}
		lan.set(func() {
			for i := range 40 {
				from := addresses(fmt.Sprintf("10.0.1.%d", i))[0]
				a.queue = append(a.queue, arrival{m.put(nil, from, Plain), from, group4, 255})
			}
		})
		a.wake()
		synctest.Wait()
		if s := a.status(); s.Received != 40 || len(s.Others) != mostOthers || s.Others[0].Address.String() != "10.0.1.39" || s.Others[0].Checksum != Plain {
			t.Errorf("%d heard, %d known: %+v", s.Received, len(s.Others), s.Others[0])
		}
	})
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		want string
		all  []Group
	}{
		{"", []Group{group()}},
		{"", []Group{group(), group(func(g *Group) { g.Addresses = addresses("2001:db8::80") }), group(func(g *Group) { g.Interface = "eth1" })}},
		{"vrrp: b: id 51 on eth0 is that of lan", []Group{group(), group(func(g *Group) { g.Name = "b" })}},
		{"vrrp: lan: id 0 is not between 1 and 255", []Group{group(func(g *Group) { g.ID = 0 })}},
		{"vrrp: lan: priority 0 is not between 1 and 255", []Group{group(priority(0))}},
		{"vrrp: lan: interval 15ms is not in steps of 10ms between that and 40.95s", []Group{group(func(g *Group) { g.Interval = 15 * time.Millisecond })}},
		{"vrrp: lan: no addresses", []Group{group(func(g *Group) { g.Addresses = nil })}},
		{"vrrp: lan: address fe80::1 is of another family than 10.0.0.80", []Group{group(func(g *Group) { g.Source = addresses("fe80::1")[0] })}},
	} {
		if err := Check(tt.all); fmt.Sprint(err) != tt.want && (err != nil || tt.want != "") {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}
