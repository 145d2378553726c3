package vrrp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Speaker takes part in a set of virtual routers. Its methods are safe for
// concurrent use, and none but Close waits.
type Speaker struct {
	log    *slog.Logger
	alive  func() bool
	wire   wire
	came   int           // messages of the last round; run's own
	vouch  bool          // alive said yes in this round; run's own
	change chan struct{} // Changes
	done   chan struct{} // closed when run has returned

	mu      sync.Mutex
	routers []*router // those that leave included
	closing bool
	moved   bool // since change was poked last
}

// New starts a speaker without groups. It asks alive before it says, from one
// goroutine, that this host is active or becomes so, and while the answer is no
// lets others take over; alive must not wait.
func New(log *slog.Logger, alive func() bool) (*Speaker, error) {
	w, err := newSockets()
	if err != nil {
		return nil, err
	}
	s := newSpeaker(log, alive, w)
	go s.run()
	return s, nil
}

func newSpeaker(log *slog.Logger, alive func() bool, w wire) *Speaker {
	return &Speaker{log: log, alive: alive, wire: w, change: make(chan struct{}, 1), done: make(chan struct{})}
}

// Set makes groups the whole set. One that is active stays so whatever else of it
// changes, as long as it is ready; one that is no longer in the set, or not
// ready, resigns.
func (s *Speaker) Set(groups []Group) error {
	if err := Check(groups); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil
	}
	now := time.Now()
	for _, r := range s.routers {
		r.leaving = true
	}
	for _, g := range groups {
		i := slices.IndexFunc(s.routers, func(r *router) bool { return r.group.Place() == g.Place() })
		if i < 0 {
			s.routers = append(s.routers, &router{group: g, election: election{since: now}})
			continue
		}
		s.routers[i].wanted, s.routers[i].leaving = &g, false
	}
	s.wire.wake()
	return nil
}

// Groups returns how each group of the set is doing, in the order it was added.
func (s *Speaker) Groups() (all []Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.routers {
		if !r.leaving {
			all = append(all, r.status(time.Now()))
		}
	}
	return all
}

// Changes gets a value after something has changed that Groups tells, but for
// counters. Several changes may give one value.
func (s *Speaker) Changes() <-chan struct{} { return s.change }

// Close resigns wherever this host is active, and returns when that is said.
func (s *Speaker) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for _, r := range s.routers {
		r.leaving = true
	}
	s.mu.Unlock()
	s.wire.wake()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A round that finds more than a crowd of messages is followed by a rest, so that
// a flood from next door gets no more of a processor than this leaves it.
const (
	crowd = 64
	rest  = time.Millisecond
)

// run is the speaker's goroutine.
func (s *Speaker) run() {
	defer close(s.done)
	defer s.wire.close()
	for until := time.Now(); ; {
		s.wire.wait(until)
		if until = s.step(); s.finished() {
			return
		}
		if s.came > crowd {
			time.Sleep(rest)
		}
	}
}

func (s *Speaker) finished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing && len(s.routers) == 0
}

// heartless is how often to ask whether there is a heartbeat again.
const heartless = 10 * time.Millisecond

// step takes what has come, then looks at the time, and returns when it wants to
// do so again; the zero time is not before something comes. The order matters on
// a host that is short of processors: an advertisement that has been waiting for
// us is no silence of its sender's.
func (s *Speaker) step() (until time.Time) {
	s.vouch = s.alive()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.came = 0
	for _, r := range s.routers {
		if r.line != nil {
			r.line.receive(func(a *arrival) {
				s.came++
				s.watch(r, func() deed { return r.hear(a, now) })
			})
		}
		deeds := r.change(now)
		s.open(r, now)
		s.act(r, deeds)
		s.watch(r, func() deed { return r.begin(now) })
		if !r.wants() { // the interface may be another by the time we do
			r.hangUp()
			r.next, r.problem = time.Time{}, ""
		}
		if s.vouch {
			s.watch(r, func() deed { return r.elapse(now) })
		}
		at := r.wakeAt()
		if !s.vouch && !at.IsZero() && !at.After(now) {
			at = now.Add(heartless)
		}
		until = earlier(until, at)
	}
	s.routers = slices.DeleteFunc(s.routers, func(r *router) bool { return r.leaving })
	if s.moved {
		s.moved = false
		select {
		case s.change <- struct{}{}:
		default:
		}
	}
	return until
}

// watch has f do something to a router, does what follows from it, and tells if
// its state has changed.
func (s *Speaker) watch(r *router, f func() deed) {
	was, claims := r.election.state, r.claims
	s.act(r, f())
	s.moved = s.moved || r.election.state != was || r.claims != claims
	if r.election.state != was {
		s.log.Info(fmt.Sprintf("vrrp: %s: %v: %s", r.group.Name, r.election.state, r.reason))
	}
}

// act does what the election asks for.
func (s *Speaker) act(r *router, d deed) {
	switch {
	case d&resign != 0:
		s.say(r, release)
	case d&advertise != 0 && s.vouch:
		s.say(r, r.group.Priority)
	}
}

// redial is how long to wait with a line that could not be opened, or does not
// carry: there may be no address yet.
const redial = time.Second

// open opens the line of a router that wants one.
func (s *Speaker) open(r *router, now time.Time) {
	if r.line != nil || !r.wants() || now.Before(r.next) {
		return
	}
	l, err := s.wire.open(r.group.Place(), r.group.Source)
	if err != nil {
		r.next = now.Add(redial)
	} else {
		r.line = l
	}
	s.complain(r, err)
}

// say tells the others our priority. A line that does not carry is opened anew,
// once: the interface may have another address.
func (s *Speaker) say(r *router, priority uint8) {
	if r.line == nil {
		return
	}
	var err error
	for again := false; r.line != nil; again = true {
		m := r.message(priority)
		err = r.line.send(m.put(nil, r.line.local(), r.group.Checksum))
		if err == nil || errors.Is(err, unix.ENOBUFS) {
			r.packets[0]++
			break
		}
		r.hangUp()
		if r.next = time.Now().Add(redial); again {
			break
		}
		r.line, _ = s.wire.open(r.group.Place(), r.group.Source)
	}
	if !r.leaving {
		s.complain(r, err)
	}
}

// complain notes what is in the way, and says so once.
func (s *Speaker) complain(r *router, err error) {
	before := r.problem
	if r.problem = ""; err != nil {
		r.problem = err.Error()
	}
	if r.problem != before {
		s.moved = true
		if err != nil {
			s.log.Warn(fmt.Sprintf("vrrp: %s: %v", r.group.Name, strings.TrimSpace(err.Error())))
		}
	}
}

// wakeAt is when a router wants to be looked at again.
func (r *router) wakeAt() time.Time {
	if r.line == nil {
		return earlier(r.election.timer, r.next)
	}
	return r.election.timer
}

// earlier of two times, where the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
