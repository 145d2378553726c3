package bfd

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Speaker has a session with each of a set of peers. Its methods are safe for
// concurrent use, and none but Close waits.
type Speaker struct {
	log    *slog.Logger
	alive  func() bool
	wire   wire
	came   int           // packets of the last round; run's own
	change chan struct{} // Changes
	done   chan struct{} // closed when run has returned

	mu       sync.Mutex
	sessions []*session // those that end included
	closing  bool
	hurry    bool // closing without farewells
	drops    [numFaults]uint64
	moved    bool // since change was poked last
}

// New starts a speaker without peers. It asks alive before it sends, from one
// goroutine, and sends nothing while the answer is no; alive must not wait.
func New(log *slog.Logger, alive func() bool) (*Speaker, error) {
	w, err := newSockets()
	if err != nil {
		return nil, err
	}
	b := newSpeaker(log, alive, w)
	go func() {
		precede()
		b.run()
	}()
	return b, nil
}

func newSpeaker(log *slog.Logger, alive func() bool, w wire) *Speaker {
	return &Speaker{
		log: log, alive: alive, wire: w,
		change: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// Set makes peers the whole set. A session whose peer is in it with the same
// ends stays, with other parameters if need be; one whose peer is not is ended
// on purpose, which the peer is told.
func (b *Speaker) Set(peers []Peer) error {
	if err := Check(peers); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return nil
	}
	now := time.Now()
	for _, s := range b.sessions {
		if !slices.ContainsFunc(peers, func(p Peer) bool { return p.ends() == s.peer.ends() }) {
			s.end(now)
		}
	}
	for _, p := range peers {
		i := slices.IndexFunc(b.sessions, func(s *session) bool { return s.peer.ends() == p.ends() })
		if i >= 0 {
			b.sessions[i].change(p.full(), now)
			continue
		}
		b.sessions = append(b.sessions, newSession(p.full(), newDiscriminator(b.taken), now))
	}
	b.moved = true
	b.wire.wake()
	return nil
}

func (b *Speaker) taken(discriminator uint32) bool {
	return slices.ContainsFunc(b.sessions, func(s *session) bool { return s.mine == discriminator })
}

// Sessions returns the session with each peer of the set, sorted by address.
func (b *Speaker) Sessions() (all []Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sessions {
		if s.over.IsZero() {
			all = append(all, s.status())
		}
	}
	slices.SortFunc(all, func(x, y Status) int { return x.Address.Compare(y.Address) })
	return all
}

// Drops returns how many packets were received and not used, by reason.
func (b *Speaker) Drops() map[string]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	drops := make(map[string]uint64)
	for f := None + 1; f < numFaults; f++ {
		drops[f.String()] = b.drops[f]
	}
	return drops
}

// Changes gets a value after a session has changed its state. Several changes
// may give one value.
func (b *Speaker) Changes() <-chan struct{} { return b.change }

// Close ends every session on purpose and returns when each peer knows, would
// have noticed by itself, or ctx ends.
func (b *Speaker) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closing = true
	for _, s := range b.sessions {
		s.end(time.Now())
	}
	b.mu.Unlock()
	b.wire.wake()
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	b.hurry = true
	b.mu.Unlock()
	b.wire.wake()
	<-b.done
	return context.Cause(ctx)
}

// A round that finds more than a crowd of packets is followed by a rest, so that
// a flood from next door gets no more of a processor than this leaves it: the
// socket holds a few hundred.
const (
	crowd = 64
	rest  = time.Millisecond
)

// run is the speaker's goroutine.
func (b *Speaker) run() {
	defer close(b.done)
	defer b.wire.close()
	for until := time.Now(); ; {
		b.wire.wait(until)
		if until = b.step(); b.finished() {
			return
		}
		if b.came > crowd {
			time.Sleep(rest)
		}
	}
}

func (b *Speaker) finished() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closing && len(b.sessions) == 0
}

// heartless is how often to ask whether there is a heartbeat again.
const heartless = 10 * time.Millisecond

// step takes what has come, then looks at the time, and returns when it wants
// to do so again; the zero time is not before something comes. The order
// matters on a host that is short of processors: a packet that has been waiting
// for us is no silence of the peer's.
func (b *Speaker) step() (until time.Time) {
	alive := b.alive()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.came = 0
	b.wire.receive(func(a *arrival) { b.hear(a, alive, now) })
	for _, s := range b.sessions {
		b.watch(s, func() { s.lapse(now) })
		b.speak(s, alive, now)
		at := s.wakeAt()
		if !alive && !at.After(now) {
			at = now.Add(heartless)
		}
		until = earlier(until, at)
	}
	b.sessions = slices.DeleteFunc(b.sessions, func(s *session) bool {
		over := s.done(now) || b.hurry
		if over {
			b.hangUp(s)
		}
		return over
	})
	if b.moved {
		b.moved = false
		poke(b.change)
	}
	return until
}

// hear finds whose packet it is.
func (b *Speaker) hear(a *arrival, alive bool, now time.Time) {
	b.came++
	p, fault := parse(a.bytes)
	if fault != None {
		b.drops[fault]++
		return
	}
	i := slices.IndexFunc(b.sessions, func(s *session) bool { return s.is(&p, a) })
	if i < 0 {
		b.drops[NoSession]++
		return
	}
	s := b.sessions[i]
	b.watch(s, func() {
		if s.receive(&p, now) && alive {
			b.send(s, true, now)
		}
	})
}

// speak sends what is due. Saying farewell claims nothing about the dataplane,
// and so needs no heartbeat.
//
// A session that is not up and cannot send begins again with a new line: our
// address may be another by now.
func (b *Speaker) speak(s *session, alive bool, now time.Time) {
	if s.line == nil && !now.Before(s.next) {
		b.dial(s, now)
	}
	due := s.due()
	if s.line != nil && !due.IsZero() && !due.After(now) && (alive || s.state == AdminDown) {
		b.send(s, false, now)
	}
	if s.line != nil && s.problem != "" && s.state != Up {
		b.hangUp(s)
		s.next = now.Add(redial)
	}
}

// redial is how long to wait with a line that could not be opened: there may be
// no route yet, or another program on the port.
const redial = time.Second

func (b *Speaker) dial(s *session, now time.Time) {
	l, err := b.wire.dial(s.peer.ends())
	if err != nil {
		s.next = now.Add(redial)
		b.complain(s, err)
		return
	}
	s.line = l
	b.complain(s, nil)
}

func (b *Speaker) hangUp(s *session) {
	if s.line != nil {
		s.line.close()
		s.line = nil
	}
}

// send tells the peer how we are.
func (b *Speaker) send(s *session, answer bool, now time.Time) {
	p := s.packet(answer)
	var wire [packetSize]byte
	p.put(&wire)
	err := s.line.send(wire[:])
	s.told(now, err == nil)
	b.complain(s, err)
}

// complain notes what is in the way, and says so once.
func (b *Speaker) complain(s *session, err error) {
	before := s.problem
	if s.problem = ""; err != nil {
		s.problem = err.Error()
	}
	if s.problem != before && err != nil {
		b.log.Warn(fmt.Sprintf("bfd: peer %v: %v", s.peer.Address, err))
	}
}

// watch has f do something to a session, and tells if its state changed.
func (b *Speaker) watch(s *session, f func()) {
	was := s.state
	f()
	if s.state == was {
		return
	}
	b.moved = true
	switch {
	case s.state == Up:
		b.log.Info(fmt.Sprintf("bfd: peer %v: up", s.peer.Address))
	case was == Up && s.remote == AdminDown:
		b.log.Info(fmt.Sprintf("bfd: peer %v: down: the peer ended the session", s.peer.Address))
	case was == Up:
		b.log.Warn(fmt.Sprintf("bfd: peer %v: down: %v", s.peer.Address, cmp.Or(s.diag, Expired)))
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
