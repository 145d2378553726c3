package traffic

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Times are how long round trips took.
type Times struct {
	P50, P99, P999 time.Duration
	Sent           uint64 // requests, of which some may have been lost
	Count
}

// Latency sends requests at a rate, of so many sessions at random, in frames of
// this size, and has the time that each answer took.
//
// The generator spins, and sends a request at the moment that it is due. So the
// ends' receiving threads must go before it on their core.
func (t *Crowd) Latency(ctx context.Context, sessions, size, rate int, d time.Duration) (Times, error) {
	var r Times
	err := t.generating(func() error {
		t.begin(control{mode: once, sessions: uint32(sessions), size: uint32(size), gap: uint64(time.Second) / uint64(rate)})
		defer t.still()
		if err := t.paced(ctx, settling); err != nil {
			return err
		}
		for i := range t.times {
			atomic.StoreUint64(&t.times[i], 0)
		}
		before, sent := t.now(), t.control.sent
		t.config.Mark()
		err := t.paced(ctx, d)
		t.config.Mark()
		time.Sleep(stillness)
		r.since(before, t.now())
		r.Sent, r.Took = t.control.sent-sent, d
		r.Lost = r.Sent - min(r.Sent, r.Done)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("traffic: %w", err)
	}
	r.P50, r.P99, r.P999 = t.quantile(0.5), t.quantile(0.99), t.quantile(0.999)
	return r, nil
}

// spins is how often the generator looks at the clock in one system call: for
// some tenths of a second.
const spins = 1 << 23

// paced sends for so long what is due.
func (t *Crowd) paced(ctx context.Context, d time.Duration) error {
	now := monotonic()
	t.control.due, t.control.until = now, now+uint64(d)
	for monotonic() < t.control.until {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := t.generate(spins); err != nil {
			return err
		}
	}
	return nil
}

// monotonic is the clock of the programs.
func monotonic() uint64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail
	return uint64(t.Nano())
}

// quantile is the time within which this share of the answers came.
func (t *Crowd) quantile(q float64) time.Duration {
	var all, so uint64
	for i := range t.times {
		all += t.times[i]
	}
	for i, n := range t.times {
		if so += n; all > 0 && float64(so) >= q*float64(all) {
			return until(i)
		}
	}
	return 0
}

// until is the end of a bucket: there are sixteen to an octave, the first
// sixteen of which are a nanosecond long, as in udp.h.
func until(bucket int) time.Duration {
	octave, part := bucket/16, bucket%16
	return time.Duration((16 + part + 1) << octave)
}
