package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestOrder is what is done, and in which order, when something happens: what
// will not be served is withdrawn before the workers hear of it, and what will
// is announced after.
func TestOrder(t *testing.T) {
	w, d := newWorld(t, write(t, t.TempDir(), carrier+speaks+tomls(t, `
		web 203.0.113.10:80 > 11 12
		dns 203.0.113.53:53 > 21`)))
	for _, row := range []struct {
		name   string
		happen func()
		want   string
	}{
		{"start", func() {}, `
			publish web(0) dns(0)
			announce 10.2.1.0/28`},
		{"nothing", func() {}, `
			announce 10.2.1.0/28
			announce 10.2.1.0/28`},
		{"the first server is up", func() { w.health(d, "11 up") }, `
			announce 10.2.1.0/28
			publish web(1) dns(0)
			announce 10.2.1.0/28 203.0.113.10/32`},
		{"others follow", func() { w.health(d, "11 up, 12 up, 21 up") }, `
			announce 10.2.1.0/28 203.0.113.10/32
			publish web(2) dns(1)
			announce 10.2.1.0/28 203.0.113.10/32 203.0.113.53/32`},
		{"a service loses its servers while another gains one", func() { w.health(d, "11 up, 21 down") }, `
			announce 10.2.1.0/28 203.0.113.10/32
			publish web(1) dns(0)
			announce 10.2.1.0/28 203.0.113.10/32`},
		{"the workers are stuck", func() { d.pulse.alive = false }, `
			announce
			announce`},
		{"and go on", func() { d.pulse.alive = true }, `
			announce
			announce 10.2.1.0/28 203.0.113.10/32`},
	} {
		row.happen()
		d.settle()
		if got := w.since() + "\n"; got != unindent(row.want) {
			t.Errorf("%s:\n%s\nwant\n%s", row.name, got, unindent(row.want))
		}
	}
}

// TestTrouble: what fails leaves what was in force, withdraws what must go all
// the same, and is tried again.
func TestTrouble(t *testing.T) {
	w, d := newWorld(t, write(t, t.TempDir(), carrier+speaks+tomls(t, web)))
	w.health(d, "11 up, 12 up")
	d.settle()
	w.since()

	w.failing("publish", errors.New("steering: no memory"))
	w.health(d, "11 down, 12 down")
	d.settle()
	if got, want := w.since(), "announce 10.2.1.0/28\npublish web(0)"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if want := "dataplane: steering: no memory"; d.trouble != want || d.plan.services[0].up != 2 {
		t.Errorf("trouble %q, want %q; %d up", d.trouble, want, d.plan.services[0].up)
	}
	w.failing("publish", nil)
	d.settle()
	if d.trouble != "" || d.plan.services[0].up != 0 {
		t.Errorf("trouble %q; %d up", d.trouble, d.plan.services[0].up)
	}
}

// TestPanic: a step that panics is an error, and the next one is made.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t, write(t, t.TempDir(), carrier+speaks+tomls(t, web)))
		d.settle()
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		go d.run(ctx)

		err := d.do(t.Context(), func() error { panic("a mistake of ours") })
		if want := "control plane: panic: a mistake of ours"; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		w.failing("publish", errPanic)
		w.health(d, "11 up")
		w.healthNews <- struct{}{}
		time.Sleep(time.Second)
		d.do(t.Context(), func() error {
			if want := "control plane: panic: a mistake of ours"; d.trouble != want {
				t.Errorf("trouble %q, want %q", d.trouble, want)
			}
			return nil
		})
		w.failing("publish", nil)
		time.Sleep(time.Second)
		if got := w.since(); !strings.Contains(got, "announce 10.2.1.0/28 203.0.113.10/32") {
			t.Errorf("after the panic: %s", got)
		}
	})
}

func TestPulse(t *testing.T) {
	start := time.Now()
	var p pulse
	for i, row := range []struct {
		at, age time.Duration
		alive   bool
		why     string
	}{
		{0, time.Hour, false, "the workers have not come round yet"},
		{100 * time.Millisecond, 0, true, "the first beat is believed at once"},
		{200 * time.Millisecond, 900 * time.Millisecond, true, "late, but not stuck"},
		{300 * time.Millisecond, time.Second, false, "stuck"},
		{400 * time.Millisecond, 0, false, "once stuck, they must be steady"},
		{5200 * time.Millisecond, 0, false, ""},
		{5300 * time.Millisecond, 0, true, "for five seconds"},
		{6 * time.Second, 2 * time.Second, false, "stuck again"},
		{8 * time.Second, 2 * time.Second, false, ""},
		{12 * time.Second, 0, false, "the five seconds begin when they were last stuck"},
		{13 * time.Second, 0, true, ""},
	} {
		was := p.alive
		if changed := p.feel(row.age, start.Add(row.at)); p.alive != row.alive || changed != (was != p.alive) {
			t.Errorf("row %d: alive %v, changed %v: %s", i+1, p.alive, changed, row.why)
		}
	}
}

// TestHeartbeat: the loop notices by itself.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t, write(t, t.TempDir(), carrier+speaks+tomls(t, web)))
		d.pulse = pulse{}
		w.health(d, "11 up")
		d.settle()
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		w.since()
		go d.run(ctx)
		time.Sleep(heartbeatPeriod)
		synctest.Wait()
		if got := w.since(); !strings.HasSuffix(got, "announce 10.2.1.0/28 203.0.113.10/32") {
			t.Errorf("after the first beat: %s", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := w.since(); got != "" {
			t.Errorf("a healthy minute: %s", got)
		}
		w.stuck(2 * time.Second)
		time.Sleep(heartbeatPeriod)
		synctest.Wait()
		if got := w.since(); !strings.HasSuffix(got, "announce") {
			t.Errorf("stuck: %s", got)
		}
	})
}

// TestFollow: next hops are kept for every server once, sorry servers included.
func TestFollow(t *testing.T) {
	w, _ := newWorld(t, write(t, t.TempDir(), carrier+tomls(t, `
		web 203.0.113.10:80 sorry_server="10.3.0.99:80" > 11 12
		tls 203.0.113.10:443 > 12 11 13-`)))
	var kept []string
	for _, a := range w.kept {
		kept = append(kept, a.String())
	}
	if got, want := strings.Join(kept, " "), "10.3.0.11 10.3.0.12 10.3.0.13 10.3.0.99"; got != want {
		t.Errorf("kept %s, want %s", got, want)
	}
	if n := len(w.targets); n != 4 {
		t.Errorf("%d targets, want 4: one is disabled", n)
	}
}
