package persist

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Whoever gives, moves and hears in whatever order: once all have heard all, all
// lead every client to the same server.
func TestFleetAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var directors [3]*Store
		var mail [3][]Record // on the way to each
		for i := range directors {
			directors[i] = prepared(64 * 16)
		}
		now := Tick(10)
		post := func(from int) {
			for _, r := range changed(directors[from], now) {
				for to := range mail {
					if to != from {
						mail[to] = append(mail[to], r)
					}
				}
			}
		}
		hear := func(to, at int) {
			r := mail[to][at]
			mail[to] = append(mail[to][:at:at], mail[to][at+1:]...)
			directors[to].Apply(&r, now)
		}
		clients := []string{"10.0.0.1", "10.0.0.2"}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "director")
			d, k := directors[i], key(rapid.SampledFrom(clients).Draw(t, "client"))
			to := rapid.SampledFrom([]Server{one, two, three}).Draw(t, "server")
			switch rapid.SampledFrom([]string{"open", "move", "post", "hear", "hear"}).Draw(t, "op") {
			case "open":
				if _, ref := d.Take(k, minute, now); ref != 0 {
					d.Release(ref, now)
				} else {
					give(d, k, to, now)
				}
			case "move":
				if at, ref := d.Take(k, minute, now); ref != 0 {
					d.Move(ref, at, to, now)
					d.Release(ref, now)
				}
			case "post":
				post(i)
			case "hear": // out of order
				if n := len(mail[i]); n > 0 {
					hear(i, rapid.IntRange(0, n-1).Draw(t, "which"))
				}
			}
			now++
		}
		for round := 0; ; round++ {
			quiet := true
			for i := range directors {
				post(i)
			}
			for i := range directors {
				for len(mail[i]) > 0 {
					hear(i, 0)
					quiet = false
				}
			}
			if quiet {
				break
			}
			if round > 20 {
				t.Fatal("they go on and on")
			}
		}
		for _, d := range directors[1:] {
			if a, b := listed(directors[0], now), listed(d, now); a != b {
				t.Fatalf("one has %s\nanother %s", a, b)
			}
		}
	})
}

// Who is told stays told: a template that is in use at one director does not run
// out at another, and one that is not runs out at both.
func TestFleetKeepsTime(t *testing.T) {
	a, b := prepared(640), prepared(640)
	k := key("198.51.100.7")
	_, held := a.Give(k, one, true, minute, 1)
	now := Tick(1)
	pass := func(d Tick) {
		for end := now + d; now < end; now += second {
			a.Age(now)
			b.Age(now)
			for _, r := range changed(a, now) {
				b.Apply(&r, now)
			}
			if r := changed(b, now); r != nil {
				t.Fatalf("who only heard tells %+v", r)
			}
		}
	}
	pass(20 * minute)
	if got := listed(b, now); got == "" {
		t.Error("run out though a session holds it elsewhere")
	}
	a.Release(held, now)
	pass(minute - 2*second)
	if listed(a, now) == "" || listed(b, now) == "" {
		t.Error("run out before its time")
	}
	pass(minute/reminders + 10*second)
	if at := listed(a, now) + listed(b, now); at != "" {
		t.Errorf("not run out: %s", at)
	}
}

// One that was away is told all that is known.
func TestKnown(t *testing.T) {
	a, b := prepared(64*20), prepared(64*20)
	for i := range 500 {
		give(a, key(fmt.Sprintf("10.0.%d.%d", i>>8, i&255)), one, 1)
	}
	a.Give(key("10.9.9.9"), one, false, minute, 1) // of which nobody shall hear
	var some [7]Record
	for from, first := Cursor(0), true; first || from != 0; first = false {
		var n int
		n, from = a.Known(from, 2, some[:])
		for i := range n {
			b.Apply(&some[i], 2)
		}
	}
	if n := b.Counts().Templates; n != 500 {
		t.Errorf("%d templates, want 500", n)
	}
}
