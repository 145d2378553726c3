package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"time"

	"fleetlb/e2e/bench/report"
)

// A measure is one thing that is measured.
type measure struct {
	name, unit string
	of         []string // devices; nil: of all at the sitting
}

// A sitting is what is measured of a device while it stands. Devices take turns
// at it, one after the other, so that what one did is beside what the others did
// within seconds.
type sitting struct {
	name     string
	devices  []string
	measures []measure
	rounds   int           // at most; 0: all of the run's
	takes    time.Duration // a turn, by experience

	// turn sets the device up, measures what the turn wants and takes the device
	// away again, whatever happens.
	turn func(ctx context.Context, t *turn) error
}

// A turn is one device's at one sitting.
type turn struct {
	Device string
	wants  []string // names of measures
	values map[string]float64
	idle   map[string]bool
}

// Wants reports whether somebody asked for a measure of this device.
func (t *turn) Wants(measure string) bool { return slices.Contains(t.wants, measure) }

// Is takes a value that was measured.
func (t *turn) Is(measure string, v float64) { t.values[measure] = v }

// Idled notes that the device had time left meanwhile.
func (t *turn) Idled(measure string) { t.idle[measure] = true }

// A bench is one run of everything.
type bench struct {
	report *report.Report
	rounds int
	limit  time.Duration // no turn begins that would end later
	only   *regexp.Regexp
	log    io.Writer
	now    func() time.Time

	began time.Time
	took  map[string]time.Duration // by the last turn of a device at a sitting
}

// run has all devices take their turns, round after round. A device that fails
// is in the report with the reason, and gets another chance in the next round.
func (b *bench) run(ctx context.Context, sittings []sitting) error {
	b.began, b.took = b.now(), map[string]time.Duration{}
	for round := range b.rounds {
		for i := range sittings {
			s := &sittings[i]
			if s.rounds > 0 && round >= s.rounds {
				continue
			}
			if err := b.sit(ctx, s, round); err != nil {
				return err
			}
		}
		b.report.Rounds = round + 1
	}
	return nil
}

// sit is one round of a sitting. Every other round goes backwards, so that
// nobody is always the first.
func (b *bench) sit(ctx context.Context, s *sitting, round int) error {
	devices := slices.DeleteFunc(slices.Clone(s.devices), func(d string) bool { return len(b.wanted(s, d)) == 0 })
	if round%2 == 1 {
		slices.Reverse(devices)
	}
	if round > 0 {
		// All of a sitting or nothing: half a round has no ratios.
		var need time.Duration
		for _, d := range devices {
			need += b.expect(s, d)
		}
		if b.now().Add(need).Sub(b.began) > b.limit {
			fmt.Fprintf(b.log, "round %d: %s: left out, for want of time\n", round+1, s.name)
			return nil
		}
	}
	for _, device := range devices {
		fmt.Fprintf(b.log, "%5s  round %d of %d: %s: %s\n", clock(b.now().Sub(b.began)), round+1, b.rounds, s.name, device)
		started := b.now()
		t := &turn{Device: device, values: map[string]float64{}, idle: map[string]bool{}}
		for _, m := range b.wanted(s, device) {
			t.wants = append(t.wants, m.name)
		}
		failure := b.attempt(ctx, s, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.took[s.name+device] = b.now().Sub(started)
		if failure != nil {
			fmt.Fprintf(b.log, "       %v\n", failure)
		}
		for _, m := range b.wanted(s, device) {
			why := ""
			v, ok := t.values[m.name]
			if !ok {
				v, why = math.NaN(), "it was not measured"
				if failure != nil {
					why = failure.Error()
				}
			}
			if r := b.report.Add(m.name, device, m.unit, v, why); t.idle[m.name] {
				r.Idle = true
			}
		}
	}
	return nil
}

// attempt takes a turn, which has three times as long as it should need.
func (b *bench) attempt(ctx context.Context, s *sitting, t *turn) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*s.takes+20*time.Second, errSlow)
	defer cancel()
	err = s.turn(ctx, t)
	if err != nil && errors.Is(context.Cause(ctx), errSlow) {
		err = fmt.Errorf("%w: %w", errSlow, err)
	}
	return err
}

var errSlow = errors.New("it took too long")

// wanted are the measures of a device at a sitting that somebody asked for.
func (b *bench) wanted(s *sitting, device string) (wanted []measure) {
	for _, m := range s.measures {
		if m.of != nil && !slices.Contains(m.of, device) {
			continue
		}
		if b.only == nil || b.only.MatchString(m.name+", "+device) {
			wanted = append(wanted, m)
		}
	}
	return wanted
}

// expect is how long a device's turn will take: as long as its last, or as they
// usually do.
func (b *bench) expect(s *sitting, device string) time.Duration {
	if took, ok := b.took[s.name+device]; ok {
		return took
	}
	return s.takes
}

// forecast is how long a run will take.
func (b *bench) forecast(sittings []sitting) (all time.Duration) {
	for i := range sittings {
		s := &sittings[i]
		rounds := b.rounds
		if s.rounds > 0 {
			rounds = min(rounds, s.rounds)
		}
		for _, d := range s.devices {
			if len(b.wanted(s, d)) > 0 {
				all += time.Duration(rounds) * s.takes
			}
		}
	}
	return all
}

// clock writes a time as on a stopwatch.
func clock(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
