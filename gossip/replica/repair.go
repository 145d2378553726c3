package replica

import (
	"context"
	"time"

	"fleetlb/session"
)

// wants is what is to be pulled from a peer. Engine.mu guards it.
type wants struct {
	own      slotSet   // slots of its own sessions
	orphans  slotSet   // slots of sessions whose home is gone
	suspects slotSet   // slots of its own in which we differed once
	doubt    time.Time // when to pull the suspects

	pulling  bool
	current  slotSet // being pulled
	failures int
	next     time.Time // not before
}

const (
	// maxRepairs is how many pulls are under way at once.
	maxRepairs = 4
	// repairPause is the least time between two pulls from the same peer: each
	// may make it go through all its sessions.
	repairPause = 500 * time.Millisecond
	// settling is how long after a change of members nothing is pulled: there may
	// be more of them, and the workers may not have heard.
	settling = 100 * time.Millisecond
	// doubtful is how long a slot that differed once waits for its next mark. A
	// change that comes from elsewhere may have overtaken the first.
	doubtful = 2 * time.Second
)

func (w *wants) empty() bool { return w.own.empty() && w.orphans.empty() }

// begin takes what is wanted: it is being pulled.
func (w *wants) begin() (own, orphans slotSet) {
	own, orphans = w.own, w.orphans
	w.own, w.orphans = slotSet{}, slotSet{}
	w.pulling, w.current = true, own
	w.current.unite(&orphans)
	return own, orphans
}

// Differs is for a worker: what a home marked is not what is here. After the
// second time in a row the slot is pulled, or if no other mark follows.
func (e *Engine) Differs(home session.NodeID, slot uint8) {
	r := e.roster.Load()
	s := r.seats[home]
	if s == nil || !r.keeps(r.self.ID, home, slot) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts.differed.Add(1)
	w := &s.wants
	if w.suspects.has(slot) {
		w.suspects[slot/64] &^= 1 << (slot % 64)
		w.own.add(slot)
	} else {
		if w.suspects.empty() {
			w.doubt = time.Now().Add(doubtful)
		}
		w.suspects.add(slot)
	}
	e.wake()
}

// fallBehind notes that a peer had no room for what it had to tell.
func (e *Engine) fallBehind(p *peer, slots *slotSet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p.wants.own.unite(slots)
	p.wants.next = later(p.wants.next, time.Now().Add(settling))
	e.wake()
}

// repair pulls from p what is wanted, and returns when to look again.
func (e *Engine) repair(ctx context.Context, p *peer, now time.Time) time.Time {
	w := &p.wants
	never := now.Add(idle)
	if !w.suspects.empty() {
		if now.Before(w.doubt) {
			never = w.doubt
		} else {
			w.own.unite(&w.suspects)
			w.suspects = slotSet{}
		}
	}
	switch {
	case w.pulling || w.empty() || p.gone || e.repairs >= maxRepairs:
		return never // woken when that changes
	case now.Before(w.next):
		return earlier(never, w.next)
	}
	own, orphans := w.begin()
	e.repairs++
	e.pulls.Go(func() {
		err := e.pullSlots(ctx, p, own, orphans)
		e.repaired(p, own, orphans, err)
	})
	return never
}

func (e *Engine) pullSlots(ctx context.Context, p *peer, own, orphans slotSet) error {
	r := e.roster.Load()
	s := r.seats[p.owner.ID]
	if s == nil || s.peer != p {
		return nil
	}
	var clauses []clause
	if kept := r.kept(s.ID); !own.empty() {
		own.intersect(&kept)
		clauses = append(clauses, clause{homes: []session.NodeID{s.ID}, slots: own})
	}
	if kept := r.kept(0); !orphans.empty() {
		orphans.intersect(&kept)
		clauses = append(clauses, r.orphans(orphans))
	}
	if own.empty() && orphans.empty() {
		return nil // others keep them by now
	}
	return (&pull{e: e, seat: s, clauses: clauses}).run(ctx)
}

// orphans asks for the sessions of homes that are gone.
func (r *roster) orphans(slots slotSet) clause {
	c := clause{homes: []session.NodeID{r.self.ID}, except: true, slots: slots}
	for _, p := range r.peers {
		c.homes = append(c.homes, p.owner.ID)
	}
	return c
}

func (e *Engine) repaired(p *peer, own, orphans slotSet, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.repairs--
	w := &p.wants
	w.pulling = false
	if err == nil {
		e.counts.resynced.Add(uint64(w.current.len()))
		w.failures, w.next = 0, time.Now().Add(repairPause)
	} else {
		e.log.Debug("replica: "+p.owner.ID.String()+": pull: "+err.Error(), "failures", w.failures)
		e.counts.failed.Add(1)
		w.own.unite(&own)
		w.orphans.unite(&orphans)
		w.next = time.Now().Add(repairPause << min(w.failures, 3))
		w.failures++
	}
	w.current = slotSet{}
	e.wake()
}

// moved is for a new roster: what somebody newly keeps must get there. Of a live
// home, the keeper asks for it, and the home tells its keeper that it is behind:
// one of the two hears of the change later, and until then the other does not do
// its part. The sessions of homes that are gone come from those who kept them.
func (e *Engine) moved(old, r *roster, now time.Time) {
	for _, p := range r.peers {
		w := &p.wants
		newly, added := r.kept(p.owner.ID), r.keptBy(p.owner.ID)
		if before := old.seats[p.owner.ID]; before != nil && before.peer == p {
			kept, had := old.kept(p.owner.ID), old.keptBy(p.owner.ID)
			newly.subtract(&kept)
			added.subtract(&had)
		} else {
			w.orphans = r.kept(0) // its own view of them, from wherever it comes
		}
		w.own.unite(&newly)
		w.next = later(w.next, now.Add(settling))
		p.outgoing.behind.unite(&added)
	}
	e.adopt(old, r, 0)
	for _, p := range old.peers {
		if !r.live(p.owner.ID) {
			e.adopt(old, r, p.owner.ID)
		}
	}
}

// adopt wants the sessions of a home that is gone in the slots newly kept.
func (e *Engine) adopt(old, r *roster, home session.NodeID) {
	newly, had := r.kept(home), old.kept(home)
	newly.subtract(&had)
	for slot := range newly.all() {
		known := false
		for k := range old.keepers(slot, home) {
			if s := r.seats[k.id]; s != nil {
				s.wants.orphans.add(slot)
				known = true
			}
		}
		if !known {
			for _, p := range r.peers {
				p.wants.orphans.add(slot)
			}
		}
	}
}
