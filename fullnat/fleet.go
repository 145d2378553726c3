package fullnat

import (
	"net/netip"
	"slices"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// Peers is how the workers speak to the other directors: the replication
// engine's side of the plane. They call it between two batches, so it copies
// what it is given and does not block.
type Peers interface {
	// Tell sends records on, in this order among those of one worker.
	Tell(worker int, records []session.Record)
	// Ask asks who knows the sessions of packets with these ends. Each answer
	// comes by [Plane.Found].
	Ask(worker int, tuples []packet.Tuple)
	// Differs says that a home counts other sessions in a slot that we keep
	// than we do.
	Differs(home session.NodeID, slot uint8)
}

// A Fleet is what the workers need to know of the other directors.
type Fleet struct {
	Self    session.Owner
	Members []Member            // the others, also dead ones whose sessions we may hold
	Keeps   [session.Slots]bool // the slots whose replicas are ours to hold;
	Partly  [session.Slots]bool // of them, those in which the replicas of some homes are not

	// Fenced says that our sessions may not be the truth: the director has just
	// started, or has just woken. Until a snapshot without it nothing is opened,
	// nothing expires, nobody is reset and nobody is answered.
	Fenced bool
	// Leaving has every session shared from its first packet on, and all that
	// there are now.
	Leaving bool
}

// A Member is another director.
type Member struct {
	ID     session.NodeID
	Blocks []netip.Prefix      // its local addresses
	Alive  bool                // it can be asked
	Kept   [session.Slots]bool // where Fleet.Partly: whether the replicas of its sessions are ours to hold
}

func (m Member) same(o Member) bool {
	return m.ID == o.ID && m.Alive == o.Alive && m.Kept == o.Kept && slices.Equal(m.Blocks, o.Blocks)
}

// same says whether the workers would do the same with o; either may be nil.
func (f *Fleet) same(o *Fleet) bool {
	if f == nil || o == nil {
		return f == o
	}
	return f.Self == o.Self && f.Keeps == o.Keeps && f.Partly == o.Partly && f.Fenced == o.Fenced && f.Leaving == o.Leaving &&
		slices.EqualFunc(f.Members, o.Members, Member.same)
}

// whole says whether every session of a slot is here, whoever is its home.
func (f *Fleet) whole(slot uint8) bool { return f.Keeps[slot] && !f.Partly[slot] }

// blocks lists the other directors' local addresses.
func (f *Fleet) blocks() (all []netip.Prefix) {
	if f == nil {
		return nil
	}
	for _, m := range f.Members {
		all = append(all, m.Blocks...)
	}
	return all
}

// others says whether there is anybody to ask.
func (f *Fleet) others() bool {
	return f != nil && slices.ContainsFunc(f.Members, func(m Member) bool { return m.Alive })
}

// keeps says whether a home's replicas of a slot are ours to hold.
func (s *Snapshot) keeps(home session.NodeID, slot uint8) bool {
	f := s.Fleet
	if f == nil || !f.Keeps[slot] || !f.Partly[slot] {
		return f != nil && f.Keeps[slot]
	}
	for i := range f.Members {
		if m := &f.Members[i]; m.ID == home {
			return m.Kept[slot]
		}
	}
	return true // long gone: somebody has to
}

// leaving says whether others shall know of every session.
func (s *Snapshot) leaving() bool { return s.Fleet != nil && s.Fleet.Leaving }

// alive says whether a director can be asked.
func (f *Fleet) alive(id session.NodeID) bool {
	return f != nil && slices.ContainsFunc(f.Members, func(m Member) bool { return m.ID == id && m.Alive })
}

// nobody is the Peers of a director by itself.
type nobody struct{}

func (nobody) Tell(int, []session.Record)    {}
func (nobody) Ask(int, []packet.Tuple)       {}
func (nobody) Differs(session.NodeID, uint8) {}

// join takes up what a new snapshot says of the fleet.
func (w *Worker) join(old, snap *Snapshot, now session.Tick) {
	if old != nil && old.Fleet.same(snap.Fleet) {
		return
	}
	var before, f Fleet
	if old != nil && old.Fleet != nil {
		before = *old.Fleet
	}
	if snap.Fleet != nil {
		f = *snap.Fleet
	}
	if before.Self != f.Self {
		w.sessions.SetSelf(f.Self, now)
	}
	w.unfence()
	w.marks.forget()
	if before.Self.ID != f.Self.ID || f.Leaving && !before.Leaving {
		w.walker.start()
	}
	// What is not ours to hold any more stays until others have fetched it.
	w.moved, w.guests = now, true
}
