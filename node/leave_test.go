package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fleetlb/node/admin"
)

// TestLeave: the routers are told first, then packets flow for as long as the
// file says, then as long as there are sessions, and the workers stop last.
func TestLeave(t *testing.T) {
	const quick = "withdraw_delay = \"0s\"\n"
	tests := []struct {
		name     string
		node     string // keys for [node]
		bgp      string
		sessions int // one of which ends every tenth of a second
		want     string
	}{
		{"as it is by default", "", speaks, 100, `
			0s announce 10.2.1.0/28
			0s announce 10.2.1.0/28
			0s flush
			2s announce
			2s announce
			2s flush
			2s close`},
		{"waiting for sessions to end", quick + `drain_timeout = "1m"`, speaks, 11, `
			0s announce 10.2.1.0/28
			0s announce 10.2.1.0/28
			0s flush
			1s announce
			1s announce
			1s flush
			1s close`},
		{"but not for ever", quick + `drain_timeout = "30s"`, speaks, 1000, `
			0s announce 10.2.1.0/28
			0s announce 10.2.1.0/28
			0s flush
			30s announce
			30s announce
			30s flush
			30s close`},
		{"at once, where nobody is told anything", `drain_timeout = "1m"`, "", 1000, ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := strings.Replace(carrier, "[node]\n", "[node]\n"+tt.node+"\n", 1)
				w, d := newWorld(t, write(t, t.TempDir(), file+tt.bgp+tomls(t, web)))
				w.sessions = tt.sessions
				w.health(d, "11 up")
				d.settle()
				w.since()
				w.timed()
				d.leave()
				if got := w.since(); got != strings.TrimSpace(unindent(tt.want)) {
					t.Errorf("\n%s\nwant\n%s", got, unindent(tt.want))
				}
				if err := d.do(t.Context(), func() error { return nil }); err != errEnding {
					t.Errorf("afterwards a command gets %v", err)
				}
			})
		})
	}
}

// TestLeaving: while it ends a director answers, and does not change its mind.
func TestLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, d := newWorld(t, write(t, t.TempDir(), carrier+speaks+tomls(t, web)))
		d.settle()
		left := make(chan struct{})
		go func() { d.leave(); close(left) }()
		time.Sleep(time.Second)
		b := backend{d}
		if s, err := b.Status(t.Context()); err != nil || s.State != "draining" {
			t.Errorf("status: %q, %v", s.State, err)
		}
		for what, err := range map[string]error{
			"undrain": b.UndrainNode(t.Context()),
			"weight":  b.Edit(t.Context(), []admin.Edit{{Verb: "weight", Service: "web", Server: server(11), Set: map[string]string{"weight": "5"}}}),
		} {
			if err == nil || err.Error() != errEnding.Error() {
				t.Errorf("%s: %v, want %v", what, err, errEnding)
			}
		}
		if _, err := b.Reload(t.Context()); err != errEnding {
			t.Errorf("reload: %v", err)
		}
		<-left
	})
}

// TestDrainNode: the VIPs go and come back; local addresses stay.
func TestDrainNode(t *testing.T) {
	w, d := newWorld(t, write(t, t.TempDir(), carrier+speaks+tomls(t, web)))
	w.health(d, "11 up")
	d.settle()
	serving(t, d)
	b := backend{d}
	for _, row := range []struct {
		drain bool
		state string
		want  string
	}{
		{true, "draining", "announce 10.2.1.0/28"},
		{false, "serving", "announce 10.2.1.0/28 203.0.113.10/32"},
	} {
		w.since()
		move := b.DrainNode
		if !row.drain {
			move = b.UndrainNode
		}
		if err := move(t.Context()); err != nil {
			t.Error(err)
		}
		if got := w.since(); !strings.HasSuffix(got, row.want) || d.state() != row.state {
			t.Errorf("drain %v: %s, %s; want %s, %s", row.drain, d.state(), got, row.state, row.want)
		}
	}
	d.speaker = nil
	if err := b.DrainNode(t.Context()); err == nil || err.Error() != "there is no [bgp]: nobody can be told to send connections elsewhere" {
		t.Error(err)
	}
}

// serving has a director's loop run until the test ends.
func serving(t *testing.T, d *director) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { d.run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
}

// timed notes with each event when it was.
func (w *world) timed() {
	start := time.Now()
	w.clock = func() string { return fmt.Sprint(time.Since(start).Round(time.Second), " ") }
}
