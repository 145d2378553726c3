package bgp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Options are what a speaker needs beside its configuration.
type Options struct {
	Logger *slog.Logger // nil: slog.Default()
}

// Speaker announces a set of routes to a set of neighbours through a child
// process that it keeps alive. Its methods are safe for concurrent use, and
// none but Flush and Close waits for the child.
type Speaker struct {
	log    *slog.Logger
	wake   chan struct{} // the writer has something to write; holds one
	change chan struct{} // Changes
	cancel context.CancelFunc
	done   chan struct{} // closed when the last child is gone for good

	mu         sync.Mutex
	config     Config
	routes     []Route
	resets     map[netip.Addr]reset
	generation uint64 // of config and routes
	settled    uint64 // the latest generation known to be on every wire
	progress   chan struct{}
	closing    bool
	neighbors  []NeighborStatus
	process    Process
}

// Start starts a speaker that announces nothing yet. It runs until ctx ends,
// which kills it, or until Close, which is kinder.
func Start(ctx context.Context, c Config, o Options) (*Speaker, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Speaker{
		log:        o.Logger,
		wake:       make(chan struct{}, 1),
		change:     make(chan struct{}, 1),
		cancel:     cancel,
		done:       make(chan struct{}),
		config:     c.clone(),
		generation: 1,
		progress:   make(chan struct{}),
		resets:     make(map[netip.Addr]reset),
	}
	s.forget("")
	started := make(chan error)
	go s.supervise(ctx, started)
	if err := <-started; err != nil {
		cancel()
		<-s.done
		return nil, err
	}
	return s, nil
}

// Announce makes routes the whole set that is announced. It returns once the
// set is accepted; Flush waits until the neighbours have it.
func (s *Speaker) Announce(routes []Route) error {
	if err := checkRoutes(routes); err != nil {
		return err
	}
	routes = slices.Clone(routes)
	slices.SortFunc(routes, func(a, b Route) int { return a.Prefix.Compare(b.Prefix) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.EqualFunc(s.routes, routes, Route.Equal) {
		return nil
	}
	s.routes = routes
	s.desire()
	return nil
}

// Configure makes c the whole configuration. Sessions with neighbours that c
// does not change go on undisturbed, unless the ASN, the router id or the port
// to listen on changes.
func (s *Speaker) Configure(c Config) error {
	if err := c.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config.equal(&c) {
		return nil
	}
	s.config = c.clone()
	s.desire()
	return nil
}

// Reset ends the session with a neighbour, for a reason that is none of BGP's,
// and begins another at once. Whoever is no neighbour is left alone.
func (s *Speaker) Reset(a netip.Addr, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resets[a] = reset{s.resets[a].Count + 1, why}
	s.desire()
}

// desire tells the writer that there is a new desired state. Callers hold mu.
func (s *Speaker) desire() {
	s.generation++
	poke(s.wake)
}

// Flush waits until every established neighbour has been sent what was
// announced and configured before the call. A neighbour whose session is down
// is not waited for: it has nothing that could be withdrawn.
func (s *Speaker) Flush(ctx context.Context) error {
	s.mu.Lock()
	want := s.generation
	s.mu.Unlock()
	for {
		s.mu.Lock()
		settled, progress := s.settled, s.progress
		s.mu.Unlock()
		if settled >= want {
			return nil
		}
		select {
		case <-progress:
		case <-s.done:
			return errClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var errClosed = errors.New("bgp: speaker is closed")

// Neighbors returns every configured neighbour, sorted by address.
func (s *Speaker) Neighbors() []NeighborStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.neighbors)
}

// Routes returns the set that is announced, sorted by prefix.
func (s *Speaker) Routes() []Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.routes)
}

// Process returns the child's condition.
func (s *Speaker) Process() Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// Changes gets a value after neighbours or process have changed. Several
// changes may give one value.
func (s *Speaker) Changes() <-chan struct{} { return s.change }

// Close ends all sessions with a notification, so that the neighbours withdraw
// at once, and ends the child. When ctx ends first the child is killed.
func (s *Speaker) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	poke(s.wake)
	defer s.cancel()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		s.cancel()
		<-s.done
		return context.Cause(ctx)
	}
}

// heard takes a child's report.
func (s *Speaker) heard(r *report) {
	s.mu.Lock()
	problem := r.Problem != s.process.Problem && r.Problem != ""
	s.process.Problem = r.Problem
	before := s.neighbors
	s.neighbors = remember(before, r.Neighbors)
	now := s.neighbors
	if r.Settled && r.Generation > s.settled {
		s.settled = r.Generation
		s.advance()
	}
	s.mu.Unlock()

	if problem {
		s.log.Error("bgp: " + r.Problem)
	}
	for _, l := range r.Log {
		s.log.Debug("bgp: " + l)
	}
	s.tell(before, now)
	poke(s.change)
}

// tell logs which sessions came up and which went down.
func (s *Speaker) tell(before, now []NeighborStatus) {
	old := byAddress(before)
	for i := range now {
		n := &now[i]
		o := old[n.Address]
		was := o != nil && o.State == Established
		switch is := n.State == Established; {
		case is && !(was && o.Since.Equal(n.Since)):
			s.log.Info(fmt.Sprintf("bgp: neighbor %v: established", n.Address))
		case was && !is:
			s.log.Warn(fmt.Sprintf("bgp: neighbor %v: %s; %d prefixes withdrawn", n.Address, n.LastError, o.Announced))
		}
	}
}

// forget notes that no session is left, and why if there were any. Callers do
// not hold mu.
func (s *Speaker) forget(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var lost []NeighborStatus
	for i := range s.config.Neighbors {
		n := &s.config.Neighbors[i]
		l := NeighborStatus{Address: n.Address, ASN: n.ASN, State: Idle, Since: now}
		if why != "" {
			l.LastError, l.LastErrorAt = why, now
		}
		lost = append(lost, l)
	}
	sortNeighbors(lost)
	s.neighbors = lost
	s.process.PID = 0
	s.process.Problem = ""
	poke(s.change)
}

// advance wakes those in Flush. Callers hold mu.
func (s *Speaker) advance() {
	close(s.progress)
	s.progress = make(chan struct{})
}

// remember returns now with the last errors that only before knows: a child
// that has just been started has heard of none.
func remember(before, now []NeighborStatus) []NeighborStatus {
	old := byAddress(before)
	for i := range now {
		n := &now[i]
		if o := old[n.Address]; o != nil && n.LastError == "" {
			n.LastError, n.LastErrorAt = o.LastError, o.LastErrorAt
		}
	}
	sortNeighbors(now)
	return now
}

func byAddress(ns []NeighborStatus) map[netip.Addr]*NeighborStatus {
	m := make(map[netip.Addr]*NeighborStatus, len(ns))
	for i := range ns {
		m[ns[i].Address] = &ns[i]
	}
	return m
}

func sortNeighbors(ns []NeighborStatus) {
	slices.SortFunc(ns, func(a, b NeighborStatus) int { return a.Address.Compare(b.Address) })
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
