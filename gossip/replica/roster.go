package replica

import (
	"cmp"
	"net/netip"
	"slices"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A Member is another live director.
type Member struct {
	ID      session.NodeID
	Epoch   uint64
	Blocks  []netip.Prefix // its local addresses
	Serving bool           // it has fetched what it keeps; until then it keeps beside others
}

// Owner is the member in its present life.
func (m *Member) Owner() session.Owner { return session.Owner{ID: m.ID, Epoch: m.Epoch} }

// A roster is who is there and who keeps what. It never changes; a new one takes
// its place.
type roster struct {
	self     session.Owner
	replicas int
	peers    []*peer // sorted by ID
	seats    map[session.NodeID]*seat
	absent   map[session.NodeID]*peer          // who left lately
	blocks   map[session.NodeID][]netip.Prefix // of those that left, too
	places   [session.Slots][]place            // by rank, as far as anyone may keep
	own      [session.Slots][]*peer            // who keeps our own sessions
}

// A seat is a member in a roster; its peer may outlive it.
type seat struct {
	Member
	*peer
}

// A place is one of those who may keep a slot.
type place struct {
	id      session.NodeID
	serving bool
	peer    *peer // nil: this director itself
}

func newRoster(self session.Owner, replicas int, blocks map[session.NodeID][]netip.Prefix, seats []*seat) *roster {
	r := &roster{self: self, replicas: replicas, blocks: blocks, seats: make(map[session.NodeID]*seat, len(seats))}
	all := []place{{self.ID, true, nil}}
	for _, s := range seats {
		r.seats[s.ID] = s
		r.peers = append(r.peers, s.peer)
		all = append(all, place{s.ID, s.Serving, s.peer})
	}
	slices.SortFunc(r.peers, func(a, b *peer) int { return cmp.Compare(a.owner.ID, b.owner.ID) })
	for slot := range session.Slots {
		r.places[slot] = r.rank(slot, all)
		for p := range r.keepers(uint8(slot), self.ID) {
			r.own[slot] = append(r.own[slot], p.peer)
		}
	}
	return r
}

// rank returns who may keep a slot: the first of all until there is one serving
// member more than there are replicas, for one of them may be the home.
func (r *roster) rank(slot int, all []place) (ranked []place) {
	ids := make([]session.NodeID, len(all))
	by := make(map[session.NodeID]place, len(all))
	for i, p := range all {
		ids[i], by[p.id] = p.id, p
	}
	serving := 0
	for _, id := range Rank(uint64(slot), ids) {
		p := by[id]
		ranked = append(ranked, p)
		if p.serving {
			serving++
		}
		if serving > r.replicas {
			break
		}
	}
	return ranked
}

// keepers visits those who keep the sessions of a home in a slot. If the home is
// gone, they are one more.
func (r *roster) keepers(slot uint8, home session.NodeID) func(func(place) bool) {
	return func(yield func(place) bool) {
		want := r.replicas
		if !r.live(home) {
			want++
		}
		for _, p := range r.places[slot] {
			if p.id == home {
				continue
			}
			if want == 0 || !yield(p) {
				return
			}
			if p.serving {
				want--
			}
		}
	}
}

// keeps says whether a member keeps the sessions of a home in a slot.
func (r *roster) keeps(who, home session.NodeID, slot uint8) bool {
	for p := range r.keepers(slot, home) {
		if p.id == who {
			return true
		}
	}
	return false
}

// kept returns the slots in which this director keeps the sessions of a home; of
// nobody's, those of homes that are gone.
func (r *roster) kept(home session.NodeID) (s slotSet) {
	for slot := range session.Slots {
		if r.keeps(r.self.ID, home, uint8(slot)) {
			s.add(uint8(slot))
		}
	}
	return s
}

// holds returns the slots in which this director keeps the sessions of anybody,
// and those in which it keeps everybody's.
func (r *roster) holds() (some, all slotSet) {
	some = r.kept(0)
	all = some
	for _, p := range r.peers {
		t := r.kept(p.owner.ID)
		some.unite(&t)
		all.intersect(&t)
	}
	return some, all
}

// same says whether a roster of these members would be no other.
func (r *roster) same(members []Member) bool {
	if len(members) != len(r.seats) {
		return false
	}
	for _, m := range members {
		s := r.seats[m.ID]
		if s == nil || s.Epoch != m.Epoch || s.Serving != m.Serving || !slices.Equal(s.Blocks, m.Blocks) {
			return false
		}
	}
	return true
}

func (r *roster) live(id session.NodeID) bool {
	return id == r.self.ID || r.seats[id] != nil
}

// homeOf returns whose block an address is of, if anybody's.
func (r *roster) homeOf(a packet.Addr) (session.NodeID, bool) {
	addr := a.Netip()
	for id, blocks := range r.blocks {
		if contains(blocks, addr) {
			return id, true
		}
	}
	return 0, false
}

func contains(blocks []netip.Prefix, a netip.Addr) bool {
	for _, b := range blocks {
		if b.Contains(a) {
			return true
		}
	}
	return false
}

// keptBy returns the slots in which a member keeps our own sessions.
func (r *roster) keptBy(id session.NodeID) (s slotSet) {
	for slot := range session.Slots {
		for _, p := range r.own[slot] {
			if p.owner.ID == id {
				s.add(uint8(slot))
			}
		}
	}
	return s
}
