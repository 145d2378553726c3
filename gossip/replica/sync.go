package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"fleetlb/session"
)

// Progress is how far a Sync is.
type Progress struct {
	Slots, SlotsOf     int    // that have come from everybody
	Members, MembersOf int    // that have given all they have
	Records, RecordsOf uint64 // as far as is known
	Bytes              uint64
}

// Sync fetches, from all members, the sessions of the slots that this director
// keeps and those of its own: a director that begins a life has none. It returns
// when it has everything from everybody who stays, and tells its progress, which
// may be nil, from one goroutine at a time.
//
// From then on the others believe that sessions of ours which we do not have are
// gone. So it is to be called in every life, also where there is nobody else, and
// again if it ends with an error.
func (e *Engine) Sync(ctx context.Context, progress func(Progress)) error {
	s := syncing{e: e, self: e.roster.Load().self, tell: progress, done: make(map[session.Owner]bool), parts: make(map[session.Owner]*part)}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		again, err := s.round(ctx)
		if !again {
			return e.complete(s.self)
		}
		if err == nil {
			wait = 0
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(wait):
		}
		wait = max(wait, 50*time.Millisecond)
	}
}

// complete notes that in this life we have all sessions of our own, and has the
// keepers see.
func (e *Engine) complete(self session.Owner) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.last
	if r.self != self {
		return errors.New("sync: this director has begun another life meanwhile")
	}
	e.whole.Store(r.self.Epoch)
	for _, p := range r.peers {
		kept := r.keptBy(p.owner.ID)
		p.outgoing.behind.unite(&kept)
	}
	e.wake()
	return nil
}

type syncing struct {
	e    *Engine
	self session.Owner
	tell func(Progress)

	mu    sync.Mutex
	done  map[session.Owner]bool
	parts map[session.Owner]*part
}

// A part is what one member gives.
type part struct {
	expected, records, bytes uint64
	waiting                  slotSet // for these
}

// stalled is after how long without anything from one member the next is asked.
const stalled = time.Second

// round pulls from all members that have not given everything yet. One at a time
// in a small fleet: two have the same copies, and what came from the first is not
// sent by the second.
func (s *syncing) round(ctx context.Context) (again bool, err error) {
	r := s.e.roster.Load()
	limit := make(chan struct{}, min(1+len(r.peers)/8, maxRepairs))
	var all sync.WaitGroup
	var errs []error
	for _, p := range r.peers {
		s.mu.Lock()
		done := s.done[p.owner]
		if s.parts[p.owner] == nil {
			s.parts[p.owner] = &part{waiting: everySlot()}
		}
		s.mu.Unlock()
		if done {
			continue
		}
		again = true
		limit <- struct{}{}
		all.Go(func() {
			next := sync.OnceFunc(func() { <-limit })
			defer next()
			silence := time.AfterFunc(stalled, next)
			defer silence.Stop()
			if err := s.pull(ctx, r, r.seats[p.owner.ID], func() { silence.Reset(stalled) }); err != nil {
				s.mu.Lock()
				errs = append(errs, fmt.Errorf("member %s: sync: %w", p.owner.ID, err))
				s.mu.Unlock()
			}
		})
	}
	all.Wait()
	return again, errors.Join(errs...)
}

// pull fetches all from one member, and calls heard whenever something came.
func (s *syncing) pull(ctx context.Context, r *roster, from *seat, heard func()) error {
	owner := from.Owner()
	p := &pull{e: s.e, seat: from, clauses: []clause{
		{homes: []session.NodeID{r.self.ID}, slots: everySlot()},
		{homes: []session.NodeID{from.ID}, slots: r.kept(from.ID)},
		r.orphans(r.kept(0)),
	}}
	p.tell = func(differing pairs, expected, records, bytes uint64) {
		heard()
		s.mu.Lock()
		defer s.mu.Unlock()
		var slots slotSet
		for _, t := range differing {
			slots.unite(t)
		}
		*s.parts[owner] = part{expected, records, bytes, slots}
		s.report()
	}
	release, err := s.e.claim(ctx, from.peer)
	if err != nil {
		return err
	}
	err = p.run(ctx)
	release(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.done[owner] = true
		s.parts[owner].waiting = slotSet{}
		s.report()
	}
	return err
}

// claim makes a pull the only one from p: it fetches all that is wanted so far.
// release says how it went.
func (e *Engine) claim(ctx context.Context, p *peer) (release func(error), err error) {
	for {
		e.mu.Lock()
		if w := &p.wants; !w.pulling {
			own, orphans := w.begin()
			e.repairs++
			e.mu.Unlock()
			return func(err error) { e.repaired(p, own, orphans, err) }, nil
		}
		e.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// report tells how far it is. mu is held.
func (s *syncing) report() {
	if s.tell == nil {
		return
	}
	kept, _ := s.e.roster.Load().holds()
	p := Progress{SlotsOf: kept.len(), MembersOf: len(s.parts), Members: len(s.done)}
	for _, part := range s.parts {
		p.Records += part.records
		p.RecordsOf += part.expected
		p.Bytes += part.bytes
		kept.subtract(&part.waiting)
	}
	p.Slots = kept.len()
	s.tell(p)
}
