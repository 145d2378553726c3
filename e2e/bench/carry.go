package main

import (
	"context"
	"fmt"
	"time"

	"fleetlb/e2e/bench/rig"
	"fleetlb/e2e/bench/transfer"
)

// up sets a turn's device up on the rig.
func up(t *turn, sessions int) (*rig.Rig, error) {
	return rig.Up(onRig[t.Device](), rig.Options{Sessions: sessions})
}

func (p plan) connections(ctx context.Context, t *turn) error {
	r, err := up(t, 100_000)
	if err != nil {
		return err
	}
	defer r.Close()
	s, err := r.Connections(ctx, p.lasts)
	if err != nil {
		return err
	}
	return carried(t, connections, s)
}

// few100 measures with few sessions: what is carried at most, and how long it
// takes at half of that.
func (p plan) few100(ctx context.Context, t *turn) error {
	r, err := up(t, p.few)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := p.roundTrips(ctx, t, r, p.few); err != nil {
		return err
	}
	if !t.Wants(p50) && !t.Wants(p99) {
		return nil
	}
	full, err := r.RoundTrips(ctx, p.few, 64, p.lasts)
	if err != nil {
		return err
	}
	l, err := r.Latency(ctx, p.few, 64, max(min(int(full.PerSecond/2), fastest), 1), p.lasts)
	if err != nil {
		return err
	}
	if l.Done == 0 || l.Lost > l.Sent/100 {
		return fmt.Errorf("latency: it did not carry what it was given: %v", l)
	}
	t.Is(p50, micros(l.P50))
	t.Is(p99, micros(l.P99))
	return nil
}

// fastest is how many requests a second one core can send in time while it also
// receives the answers.
const fastest = 100_000

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// established measures with so many sessions.
func (p plan) established(sessions int) func(context.Context, *turn) error {
	return func(ctx context.Context, t *turn) error {
		r, err := up(t, sessions)
		if err != nil {
			return err
		}
		defer r.Close()
		return p.roundTrips(ctx, t, r, sessions)
	}
}

// crowded measures with the most sessions, and what they weigh.
func (p plan) crowded(ctx context.Context, t *turn) error {
	r, err := up(t, p.millions)
	if err != nil {
		return err
	}
	defer r.Close()
	if t.Wants(memory) {
		before, err := weigh(t.Device, r)
		if err != nil {
			return err
		}
		if err := r.Warm(ctx, p.millions); err != nil {
			return err
		}
		after, err := weigh(t.Device, r)
		if err != nil {
			return err
		}
		grown := after - before
		if t.Device == lifted {
			maps, err := reserved(r)
			if err != nil {
				return err
			}
			grown += maps
		}
		t.Is(memory, float64(grown)/float64(p.millions))
	}
	return p.roundTrips(ctx, t, r, p.millions)
}

func (p plan) roundTrips(ctx context.Context, t *turn, r *rig.Rig, sessions int) error {
	for _, size := range sizes {
		name := established(size, sessions)
		if !t.Wants(name) {
			continue
		}
		s, err := r.RoundTrips(ctx, sessions, size, p.lasts)
		if err != nil {
			return err
		}
		if err := carried(t, name, s); err != nil {
			return err
		}
	}
	return nil
}

// carried takes a figure that can be believed: nothing went wrong on the way.
func carried(t *turn, measure string, s rig.Sample) error {
	if s.Done == 0 || s.Wrong > 0 || s.Lost > s.Done/100 {
		return fmt.Errorf("%s: it did not carry what it was given: %v", measure, s)
	}
	t.Is(measure, s.PerSecond)
	if s.Busy < rig.BusyEnough {
		t.Idled(measure)
	}
	return nil
}

func (p plan) transfer(ctx context.Context, t *turn) error {
	s, err := transfer.Open(ctx, transfer.Device(t.Device))
	if err != nil {
		return err
	}
	defer s.Close()
	f, err := s.Measure(ctx, p.lasts)
	if err != nil {
		return err
	}
	t.Is(throughput, f.BitsPerSecond)
	t.Is(cpu, float64(f.CPU())/float64(time.Millisecond))
	return nil
}
