package health

import (
	"context"
	"hash/fnv"
	"time"
)

// firstWithin bounds the wait for a target's first check; a little spread is
// left so that a thousand new targets do not cost a thousand sockets at once.
const firstWithin = 250 * time.Millisecond

// watch is the life of a target's goroutine: wait, check, record, say goodbye.
func (m *Monitor) watch(w *watch) {
	defer m.watches.Done()
	c := &w.target.Check
	phase := spread(w.target.Key, c.Interval)
	timer := time.NewTimer(spread(w.target.Key, min(c.Interval, firstWithin)))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-w.ctx.Done():
			return
		}
		began := time.Now()
		m.check(w)
		next := nextCheck(m.started.Add(phase), began, c.Interval)
		timer.Reset(time.Until(next)) // at once, if the check took longer than that
	}
}

// check runs one check and records its result before it takes leave of the
// server, which can take a moment that is no part of the result.
func (m *Monitor) check(w *watch) {
	began := time.Now()
	hangUp, err := m.try(due{w.ctx, began.Add(w.target.Check.Timeout)}, &w.target)
	m.record(w, err, time.Since(began))
	if hangUp != nil {
		hangUp()
	}
}

// due is a context that knows its deadline and leaves it to sockets to keep it.
// One of context's own would borrow two goroutines when it fires, for each
// server that hangs.
type due struct {
	context.Context
	deadline time.Time
}

func (d due) Deadline() (time.Time, bool) { return d.deadline, true }

// record enters a result and tells the world if the verdict changed.
func (m *Monitor) record(w *watch, err error, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.ctx.Err() != nil {
		return // no longer wanted, and perhaps failed for just that reason
	}
	c := &w.target.Check
	if !w.state.observe(c, err, took, time.Now()) {
		return
	}
	switch v := w.state.verdict(c); {
	case v.Up:
		m.log.Info("server up", "server", w.target.name())
	default:
		m.log.Warn("server down", "server", w.target.name(), "reason", v.Reason)
	}
	m.notify()
}

// spread maps a key to a moment within d, evenly and always the same.
func spread(key string, d time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(key))
	x := h.Sum64()
	x ^= x >> 32 // FNV leaves its high bits poor when only the last bytes differ
	x *= 0x9e3779b97f4a7c15
	return time.Duration((x >> 1) % uint64(d))
}

// nextCheck is the first point of the grid at least half an interval after
// began. Half, because the first check of a target is off the grid and because
// timers fire late: a whole interval would skip every other point.
func nextCheck(zero, began time.Time, interval time.Duration) time.Time {
	since := began.Add(interval / 2).Sub(zero)
	n := since / interval
	if since > n*interval {
		n++
	}
	return zero.Add(n * interval)
}
