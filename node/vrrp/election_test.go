package vrrp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// Ours is 10.0.0.5 with priority 100, which advertises once a second: it skews
// by 609.375 ms and takes over after 3.609375 s of silence.
var ours = terms{priority: 100, interval: time.Second, preempt: true, address: netip.MustParseAddr("10.0.0.5")}

func (t terms) with(f func(*terms)) *terms { f(&t); return &t }

// TestElection is RFC 9568 §6.4: a timeline for each rule. The timer is from the
// beginning, in milliseconds.
func TestElection(t *testing.T) {
	type row struct {
		at    int // ms
		what  event
		state State
		timer float64 // ms; 0: none
		deeds deed
	}
	hear := func(priority uint8, from string) event {
		return event{heard, priority, time.Second, netip.MustParseAddr(from)}
	}
	slow := func(priority uint8) event {
		return event{heard, priority, 4 * time.Second, netip.MustParseAddr("10.0.0.9")}
	}
	begin, end, time_ := event{what: startup}, event{what: shutdown}, event{what: tick}
	const low, high = "10.0.0.1", "10.0.0.9"
	none := deed(0)
	tests := []struct {
		name  string
		terms *terms
		rows  []row
	}{
		{"who hears nobody takes over", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{3609, time_, Backup, 3609.375, none},
			{3610, time_, Active, 4610, advertise | claim},
			{4609, time_, Active, 4610, none},
			{4610, time_, Active, 5610, advertise},
		}},
		{"the owner of the addresses waits for nobody, and hears nobody", ours.with(func(t *terms) { t.priority = 255 }), []row{
			{0, begin, Active, 1000, advertise | claim},
			{100, hear(255, high), Active, 1000, none},
			{200, hear(0, high), Active, 1000, none},
		}},
		{"more priority, or as much, is followed", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{1000, hear(200, low), Backup, 4609.375, none},
			{2000, hear(100, low), Backup, 5609.375, none},
			{5610, time_, Active, 6610, advertise | claim},
		}},
		{"the interval is the active router's", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{1000, slow(200), Backup, 1000 + 12000 + 2437.5, none},
			{2000, hear(200, high), Backup, 5609.375, none},
		}},
		{"less priority is not", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{1000, hear(99, high), Backup, 3609.375, none},
			{3610, time_, Active, 4610, advertise | claim},
		}},
		{"without preemption it is", ours.with(func(t *terms) { t.preempt = false }), []row{
			{0, begin, Backup, 3609.375, none},
			{1000, hear(1, high), Backup, 4609.375, none},
			{4610, time_, Active, 5610, advertise | claim},
		}},
		{"with a delay it is until then", ours.with(func(t *terms) { t.delay = 10 * time.Second }), []row{
			{0, begin, Backup, 3609.375, none},
			{3000, hear(50, high), Backup, 6609.375, none},
			{6000, hear(50, high), Backup, 9609.375, none},
			{9000, hear(50, high), Backup, 12609.375, none},
			{10000, hear(50, high), Backup, 12609.375, none},
			{12610, time_, Active, 13610, advertise | claim},
		}},
		{"who resigns is followed in the skew time", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{1000, hear(0, high), Backup, 1609.375, none},
			{1610, time_, Active, 2610, advertise | claim},
		}},
		{"of the active router's interval", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{1000, slow(200), Backup, 15437.5, none},
			{2000, hear(0, high), Backup, 4437.5, none},
		}},
		{"an active one yields to more priority", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{4000, time_, Active, 5000, advertise | claim},
			{4500, slow(101), Backup, 4500 + 12000 + 2437.5, none},
		}},
		{"and in a tie to the greater address", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{4000, time_, Active, 5000, advertise | claim},
			{4100, hear(100, low), Active, 5100, advertise | claim},
			{4500, hear(100, high), Backup, 8109.375, none},
		}},
		{"and contradicts less, once an interval", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{4000, time_, Active, 5000, advertise | claim},
			{4500, hear(99, high), Active, 5500, advertise | claim},
			{4600, hear(99, high), Active, 5500, none},
			{5499, hear(99, high), Active, 5500, none},
			{5500, time_, Active, 6500, advertise},
			{5501, hear(99, high), Active, 6501, advertise | claim},
		}},
		{"and assures whoever resigns", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{4000, time_, Active, 5000, advertise | claim},
			{4500, hear(0, high), Active, 5500, advertise},
		}},
		{"and resigns when it ends", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{4000, time_, Active, 5000, advertise | claim},
			{4200, end, Initialize, 0, resign},
			{4300, hear(100, high), Initialize, 0, none},
			{9000, time_, Initialize, 0, none},
			{9000, begin, Backup, 12609.375, none},
		}},
		{"a backup ends in silence", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{100, end, Initialize, 0, none},
		}},
		{"other terms are said at once by who is active alone", &ours, []row{
			{0, begin, Backup, 3609.375, none},
			{100, event{what: changed}, Backup, 3609.375, none},
			{4000, time_, Active, 5000, advertise | claim},
			{4100, event{what: changed}, Active, 5100, advertise},
			{4200, end, Initialize, 0, resign},
			{4300, event{what: changed}, Initialize, 0, none},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			epoch := time.Unix(1000, 0)
			e := election{since: epoch}
			for i, r := range tt.rows {
				var deeds deed
				e, deeds = e.on(r.what, tt.terms, epoch.Add(time.Duration(r.at)*time.Millisecond))
				timer := 0.0
				if !e.timer.IsZero() {
					timer = float64(e.timer.Sub(epoch)) / 1e6
				}
				got, want := fmt.Sprint(e.state, timer, deeds), fmt.Sprint(r.state, r.timer, r.deeds)
				if got != want {
					t.Fatalf("row %d, at %d ms: %s, want %s", i+1, r.at, got, want)
				}
			}
		})
	}
}

// TestTimes is §6.1 with figures made by hand.
func TestTimes(t *testing.T) {
	for _, tt := range []struct {
		priority         uint8
		interval         string
		wantSkew, wantBe string
	}{
		{254, "1s", "7.8125ms", "3.0078125s"},
		{100, "1s", "609.375ms", "3.609375s"},
		{1, "1s", "996.09375ms", "3.99609375s"},
		{100, "40.95s", "24.95390625s", "2m27.80390625s"},
		{128, "10ms", "5ms", "35ms"},
	} {
		interval, _ := time.ParseDuration(tt.interval)
		if s, d := skew(tt.priority, interval), down(tt.priority, interval); s.String() != tt.wantSkew || d.String() != tt.wantBe {
			t.Errorf("priority %d, %v: skew %v, down %v", tt.priority, interval, s, d)
		}
	}
}
