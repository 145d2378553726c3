package main

import (
	"context"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"fleetlb/e2e/bench/report"
)

// A fake is a bench on a clock of its own, and a diary of who did what.
type fake struct {
	bench
	clock time.Time
	diary []string
}

func newFake(rounds int) *fake {
	f := &fake{clock: time.Unix(0, 0)}
	f.bench = bench{report: &report.Report{}, rounds: rounds, limit: time.Hour, log: io.Discard, now: func() time.Time { return f.clock }}
	return f
}

// sitting lasts a minute a turn; values are 1, 2, 3 … as they are measured.
func (f *fake) sitting(name string, devices ...string) sitting {
	return sitting{
		name: name, devices: devices, measures: []measure{{name: name, unit: "m"}}, takes: time.Minute,
		turn: func(_ context.Context, t *turn) error {
			f.diary = append(f.diary, name+"/"+t.Device)
			f.clock = f.clock.Add(time.Minute)
			t.Is(name, float64(len(f.diary)))
			return nil
		},
	}
}

func (f *fake) values(t *testing.T, measure, device string) []float64 {
	t.Helper()
	for _, r := range f.report.Results {
		if r.Measure == measure && r.Device == device {
			return r.Values
		}
	}
	t.Fatalf("nothing of %s, %s", measure, device)
	return nil
}

func TestDevicesTakeTurns(t *testing.T) {
	f := newFake(3)
	if err := f.run(t.Context(), []sitting{f.sitting("x", "a", "b", "c"), f.sitting("y", "a", "b")}); err != nil {
		t.Fatal(err)
	}
	want := "x/a x/b x/c y/a y/b  x/c x/b x/a y/b y/a  x/a x/b x/c y/a y/b"
	if got := strings.Join(f.diary, " "); got != strings.Join(strings.Fields(want), " ") {
		t.Errorf("turns: %s, want %s", got, want)
	}
	if got := f.values(t, "x", "a"); !cmp.Equal(got, []float64{1, 8, 11}) {
		t.Errorf("a's values are %v", got)
	}
	if f.report.Rounds != 3 {
		t.Errorf("%d rounds in the report, want 3", f.report.Rounds)
	}
}

// Who fails has no value for that round, says why, and may try again; the others
// do not notice.
func TestFailure(t *testing.T) {
	f := newFake(2)
	s := f.sitting("x", "a", "b")
	well := s.turn
	s.turn = func(ctx context.Context, turn *turn) error {
		if turn.Device == "a" && len(f.diary) == 0 {
			f.diary = append(f.diary, "oh")
			return errors.New("b is better")
		}
		return well(ctx, turn)
	}
	if err := f.run(t.Context(), []sitting{s}); err != nil {
		t.Fatal(err)
	}
	if got := f.values(t, "x", "a"); !cmp.Equal(got, []float64{math.NaN(), 4}, cmpopts.EquateNaNs()) {
		t.Errorf("a's values are %v", got)
	}
	if got := f.values(t, "x", "b"); !cmp.Equal(got, []float64{2, 3}) {
		t.Errorf("b's values are %v", got)
	}
	if got := f.report.Results[0].Failure; got != "b is better" {
		t.Errorf("a failed because %q", got)
	}
}

// A turn that measures half of what it should says so for the rest.
func TestHalfATurn(t *testing.T) {
	f := newFake(1)
	s := f.sitting("x", "a", "b")
	s.measures = append(s.measures, measure{name: "rest"}, measure{name: "of b", of: []string{"b"}})
	if err := f.run(t.Context(), []sitting{s}); err != nil {
		t.Fatal(err)
	}
	if got := f.values(t, "x", "a"); !cmp.Equal(got, []float64{1}) {
		t.Errorf("x of a is %v", got)
	}
	var missing []string
	for _, r := range f.report.Results {
		if math.IsNaN(r.Values[0]) {
			missing = append(missing, r.Measure+"/"+r.Device+": "+r.Failure)
		}
	}
	want := []string{"rest/a: it was not measured", "rest/b: it was not measured", "of b/b: it was not measured"}
	if !cmp.Equal(missing, want) {
		t.Errorf("missing: %q, want %q", missing, want)
	}
}

// A run ends in time. What it leaves out it leaves out whole.
func TestLimit(t *testing.T) {
	f := newFake(3)
	f.limit = 9 * time.Minute // of 15
	sittings := []sitting{f.sitting("x", "a", "b"), f.sitting("y", "a", "b", "c")}
	if got := f.forecast(sittings); got != 15*time.Minute {
		t.Errorf("forecast %v, want 15m", got)
	}
	if err := f.run(t.Context(), sittings); err != nil {
		t.Fatal(err)
	}
	want := "x/a x/b y/a y/b y/c  x/b x/a  x/a x/b"
	if got := strings.Join(f.diary, " "); got != strings.Join(strings.Fields(want), " ") {
		t.Errorf("turns: %s, want %s", got, want)
	}
}

func TestOnly(t *testing.T) {
	f := newFake(1)
	f.only = regexp.MustCompile("^(x, b|y)")
	sittings := []sitting{f.sitting("x", "a", "b"), f.sitting("y", "a"), f.sitting("z", "a")}
	if got := f.forecast(sittings); got != 2*time.Minute {
		t.Errorf("forecast %v, want 2m", got)
	}
	if err := f.run(t.Context(), sittings); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.diary, " "); got != "x/b y/a" {
		t.Errorf("turns: %s", got)
	}
}

// An interrupted run ends at once, and after the turn has cleaned up.
func TestInterrupt(t *testing.T) {
	f := newFake(1)
	ctx, cancel := context.WithCancel(t.Context())
	s := f.sitting("x", "a", "b")
	s.turn = func(ctx context.Context, turn *turn) error {
		f.diary = append(f.diary, turn.Device)
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	if err := f.run(ctx, []sitting{s}); !errors.Is(err, context.Canceled) || len(f.diary) != 1 {
		t.Errorf("error %v after %v", err, f.diary)
	}
}

// Every target and panel is about something that is measured.
func TestPlan(t *testing.T) {
	p := plan{lasts: time.Second, few: 100, many: 100_000, millions: 1_000_000, process: true}
	measured := map[string]bool{}
	for _, s := range p.sittings() {
		for _, m := range s.measures {
			for _, d := range s.devices {
				measured[m.name+"/"+d] = true
				measured[m.name] = true
			}
		}
	}
	for _, target := range p.targets() {
		if !measured[target.Measure+"/"+target.Device] {
			t.Errorf("nobody measures %s of %s", target.Measure, target.Device)
		}
		peer := target.PeerMeasure
		if peer == "" {
			peer = target.Measure
		}
		if target.Peer != "" && !measured[peer+"/"+target.Peer] {
			t.Errorf("nobody measures %s of %s", peer, target.Peer)
		}
	}
	for _, panel := range p.panels() {
		for _, g := range panel.Groups {
			if !measured[g.Measure] {
				t.Errorf("panel %q: nobody measures %s", panel.Title, g.Measure)
			}
		}
	}
	f := bench{rounds: 3}
	if got := f.forecast(p.sittings()); got > 15*time.Minute {
		t.Errorf("a whole run takes %v", got)
	}
}

func TestReadBenchmarks(t *testing.T) {
	values, err := readBenchmarks(strings.NewReader(`goos: linux
BenchmarkForward/both/sessions=1000000-2         	 1000000	       160.5 ns/op	       153.2 cpu-ns/op	       0 B/op
BenchmarkOpen/sessions=1000000-2  	  500000	       700 ns/op	       652 cpu-ns/op
PASS
`), 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"Forward/both/sessions=1000000": 153.2, "Open/sessions=1000000": 652} {
		if got := values[name]["cpu-ns/op"]; math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: %v cpu-ns/op, want %v", name, got, want)
		}
	}
}
