package health

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Monitor watches a set of targets. It is safe for concurrent use.
type Monitor struct {
	log     *slog.Logger
	try     func(context.Context, *Target) (hangUp func(), err error)
	started time.Time // the grid's zero
	ctx     context.Context
	stop    context.CancelFunc
	watches sync.WaitGroup
	changes chan struct{}

	mu  sync.Mutex
	set map[string]*watch
}

// A watch is one target under watch. A target that changes gets a new one.
type watch struct {
	target Target // never written again
	ctx    context.Context
	stop   context.CancelFunc
	state  state // guarded by Monitor.mu
}

// New returns a Monitor of no targets. Changes of verdict are logged to log.
func New(log *slog.Logger) *Monitor {
	m := &Monitor{
		log:     log,
		try:     try,
		started: time.Now(),
		changes: make(chan struct{}, 1),
		set:     map[string]*watch{},
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m
}

// Set replaces the watched set. A target that is in it already, unchanged,
// notices nothing. One whose check changed keeps its verdict until the new
// check has counted; one whose address changed starts afresh. Of targets with
// the same key the last counts. After Close it does nothing.
func (m *Monitor) Set(targets []Target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return
	}
	wanted := make(map[string]Target, len(targets))
	for _, t := range targets {
		t.Check = t.Check.withDefaults()
		wanted[t.Key] = t
	}
	for key, w := range m.set {
		if _, ok := wanted[key]; !ok {
			w.stop()
			delete(m.set, key)
		}
	}
	for key, t := range wanted {
		old := m.set[key]
		if old != nil && old.target.equal(&t) {
			continue
		}
		m.set[key] = m.replace(old, t)
	}
}

// replace ends the watch of an older form of t, if there is one, and begins the
// new.
func (m *Monitor) replace(old *watch, t Target) *watch {
	w := &watch{target: t, state: unknown}
	w.ctx, w.stop = context.WithCancel(m.ctx)
	if old != nil {
		old.stop()
		if old.target.Address == t.Address {
			w.state = old.state.restart()
		}
	}
	if t.Check.Type == "none" {
		if w.state.assume(time.Now()) {
			m.notify()
		}
		w.stop() // there is nothing to run
		return w
	}
	m.watches.Add(1)
	go m.watch(w)
	return w
}

// Changes is sent to after verdicts have changed. One receive may stand for
// many changes.
func (m *Monitor) Changes() <-chan struct{} { return m.changes }

// Verdicts returns what is known of each target, by key.
func (m *Monitor) Verdicts() map[string]Verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string]Verdict, len(m.set))
	for key, w := range m.set {
		all[key] = w.state.verdict(&w.target.Check)
	}
	return all
}

// Close ends all checks, those under way included, and waits for them.
func (m *Monitor) Close() {
	m.mu.Lock()
	m.stop()
	m.mu.Unlock()
	m.watches.Wait()
}

func (m *Monitor) notify() {
	select {
	case m.changes <- struct{}{}:
	default: // the one already waiting stands for this one too
	}
}
