package health

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Each letter is one result, a second apart: g good, b bad. The verdict after it
// stands below: U up, d down, f held down for flapping.
func TestState(t *testing.T) {
	tests := []struct {
		name    string
		check   Check
		results string
		want    string
	}{
		{"the first result counts at once",
			Check{Rise: 3, Fall: 3},
			"g",
			"U"},
		{"a bad one too",
			Check{Rise: 3, Fall: 3},
			"b",
			"d"},
		{"three bad ones in a row take it down",
			Check{Fall: 3},
			"gbbgbbb",
			"UUUUUUd"},
		{"two good ones in a row bring it up",
			Check{Rise: 2},
			"bgbgg",
			"ddddU"},
		{"two falls are no flapping",
			Check{FlapCount: 3, FlapWindow: time.Minute, FlapHold: 5 * time.Second},
			"gbgbg",
			"UdUdU"},
		{"three are, until it was steady",
			Check{FlapCount: 3, FlapWindow: time.Minute, FlapHold: 5 * time.Second},
			"gbgbgbgggggg",
			"UdUdUdffffUU"},
		{"a fall while held begins the hold anew",
			Check{FlapCount: 3, FlapWindow: time.Minute, FlapHold: 5 * time.Second},
			"gbgbgbggbggggg",
			"UdUdUdffdffffU"},
		{"falls outside the window are forgotten",
			Check{FlapCount: 3, FlapWindow: 3 * time.Second, FlapHold: 5 * time.Second},
			"gbgggbgbg",
			"UdUUUdUdU"},
		{"and after the hold it starts with a clean slate",
			Check{FlapCount: 2, FlapWindow: time.Minute, FlapHold: 2 * time.Second},
			"gbgbggbg",
			"UdUdfUdU"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.check.withDefaults()
			c.FlapWindow, c.FlapHold = tt.check.FlapWindow, tt.check.FlapHold
			s, now, got := unknown, time.Unix(1e9, 0), ""
			for _, r := range tt.results {
				var err error
				if r == 'b' {
					err = errors.New("bad")
				}
				before := s.verdict(&c)
				changed := s.observe(&c, err, 0, now)
				v := s.verdict(&c)
				if want := !before.Checked || before.Up != v.Up || before.Flapping != v.Flapping; changed != want {
					t.Errorf("after %q: changed %v, want %v", got+string(r), changed, want)
				}
				if v.Up != before.Up && !v.Since.Equal(now) {
					t.Errorf("after %q: since %v, want %v", got, v.Since, now)
				}
				got += map[[2]bool]string{{true, false}: "U", {false, false}: "d", {false, true}: "f"}[[2]bool{v.Up, v.Flapping}]
				now = now.Add(time.Second)
			}
			if got != tt.want {
				t.Errorf("\nresults %s\nverdict %s\nwant    %s", tt.results, got, tt.want)
			}
		})
	}
}

func TestReason(t *testing.T) {
	bad := errors.New("connect: connection refused")
	tests := []struct {
		name    string
		results []error
		want    string
	}{
		{"unknown", nil, "not checked yet"},
		{"well", []error{nil}, ""},
		{"down from the start", []error{bad}, "connect: connection refused"},
		{"on its way down", []error{nil, bad}, "connect: connection refused (1 of 3)"},
		{"down", []error{nil, bad, bad, bad}, "connect: connection refused"},
		{"on its way up", []error{bad, nil}, "passes again (1 of 2)"},
		{"flapping", []error{nil, bad, bad, bad, nil, nil}, "flapping: passes its checks, held down until it was steady for 5m0s"},
		{"what the network says cannot harm a terminal",
			[]error{errors.New("exec: exit status 1: \x1b[2J" + strings.Repeat("x", 300))},
			"exec: exit status 1: ?[2J" + strings.Repeat("x", 175)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Check{Rise: 2, Fall: 3, FlapCount: 1}.withDefaults()
			s := unknown
			for i, err := range tt.results {
				s.observe(&c, err, 0, time.Unix(int64(i), 0))
			}
			if got := s.verdict(&c).Reason; got != tt.want {
				t.Errorf("reason %q, want %q", got, tt.want)
			}
		})
	}
}
