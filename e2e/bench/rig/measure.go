package rig

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"fleetlb/e2e/bench/traffic"
)

// BusyEnough is how busy the device's core must be for a figure to be the
// device's: under it something else was the bottleneck.
const BusyEnough = 0.9

// warmAnswers is how many answers open a session: fleetlb lifts one that has
// carried eight packets.
const warmAnswers = 5

// A Sample is one measurement at saturation.
type Sample struct {
	PerSecond float64
	Busy      float64 // how much of its time the device's core worked, 0 to 1
	traffic.Count
}

func (s Sample) String() string {
	text := fmt.Sprintf("%.0f/s, core %.0f %% busy", s.PerSecond, 100*s.Busy)
	for _, n := range []struct {
		count uint64
		what  string
	}{{s.Lost, "lost"}, {s.Late, "late or double"}, {s.Wrong, "wrong"}, {s.Resets, "resets"}, {s.Unsent, "unsent"}} {
		if n.count > 0 {
			text += fmt.Sprintf(", %d %s", n.count, n.what)
		}
	}
	return text
}

// Warm opens so many sessions, if they are not open, and sees that all are answered.
func (r *Rig) Warm(ctx context.Context, sessions int) error {
	return r.about(r.crowd.Warm(ctx, sessions, warmAnswers))
}

// RoundTrips measures how many datagrams go to the server and come back while as
// many are under way as there is room for: of so many sessions, in frames of size
// bytes, for so long.
func (r *Rig) RoundTrips(ctx context.Context, sessions, size int, d time.Duration) (Sample, error) {
	if err := r.Warm(ctx, sessions); err != nil {
		return Sample{}, err
	}
	return r.sample(func() (traffic.Count, error) { return r.crowd.RoundTrips(ctx, sessions, size, d) })
}

// Connections measures how many TCP connections begin, carry a request and its
// answer, and end.
func (r *Rig) Connections(ctx context.Context, d time.Duration) (Sample, error) {
	return r.sample(func() (traffic.Count, error) { return r.crowd.Connections(ctx, d) })
}

func (r *Rig) sample(measure func() (traffic.Count, error)) (Sample, error) {
	r.marks = r.marks[:0]
	c, err := measure()
	if err != nil {
		return Sample{}, r.about(err)
	}
	return Sample{Count: c, PerSecond: c.PerSecond(), Busy: r.busy()}, nil
}

// A Delay is a measurement of the time that answers take.
type Delay struct {
	Busy float64
	traffic.Times
}

func (d Delay) String() string {
	return fmt.Sprintf("p50 %v, p99 %v, p99.9 %v at %.0f/s, core %.0f %% busy, %d lost", d.P50, d.P99, d.P999, d.PerSecond(), 100*d.Busy, d.Lost)
}

// Latency measures how long round trips take at a rate, of so many sessions, in
// frames of size bytes. What a device adds is the difference to [Bare].
func (r *Rig) Latency(ctx context.Context, sessions, size, rate int, d time.Duration) (Delay, error) {
	if err := r.Warm(ctx, sessions); err != nil {
		return Delay{}, err
	}
	if err := r.prefer(true); err != nil {
		return Delay{}, r.about(err)
	}
	defer r.prefer(false)
	r.marks = r.marks[:0]
	t, err := r.crowd.Latency(ctx, sessions, size, rate, d)
	return Delay{r.busy(), t}, r.about(err)
}

// busy is how much the device's core worked between the last two marks.
func (r *Rig) busy() float64 {
	if len(r.marks) < 2 {
		return 0
	}
	return r.marks[1].since(r.marks[0])
}

func (r *Rig) mark() { r.marks = append(r.marks, jiffies(deviceCore)) }

func (r *Rig) about(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rig: %s: %w", r.device.Name(), err)
}

// A core's time since the machine began, in the kernel's ticks.
type spent struct{ all, idle uint64 }

// since is how much of the time after another moment the core was busy.
func (s spent) since(o spent) float64 {
	if s.all == o.all {
		return 0
	}
	return 1 - float64(s.idle-o.idle)/float64(s.all-o.all)
}

func jiffies(core int) (s spent) {
	b, _ := os.ReadFile("/proc/stat")
	_, rest, _ := strings.Cut(string(b), fmt.Sprintf("\ncpu%d ", core))
	rest, _, _ = strings.Cut(rest, "\n")
	for i, word := range strings.Fields(rest) { // user nice system idle iowait irq softirq steal, and guests' share of these
		var n uint64
		fmt.Sscan(word, &n)
		switch {
		case i == 3 || i == 4:
			s.idle += n
			s.all += n
		case i < 8:
			s.all += n
		}
	}
	return s
}
