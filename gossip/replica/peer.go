package replica

import (
	"net/netip"
	"slices"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A peer is another director in one of its lives, and what is under way between
// it and this one.
type peer struct {
	owner session.Owner

	// Engine.mu guards these.
	gone     bool // no member any more
	outgoing outgoing
	asking   []packet.Tuple // to be asked with the next datagram
	asked    map[uint32]asked
	askID    uint32
	wants    wants

	incoming incoming
	answers  limiter
}

// SetSelf begins another life of this director: it was frozen, and the others
// must not take what it has to say for what its former life said.
func (e *Engine) SetSelf(self session.Owner) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var members []Member
	if e.last != nil {
		for _, s := range e.last.seats {
			members = append(members, s.Member)
		}
	}
	e.seat(self, members, true)
}

// SetMembers says who the other live members are. Keepers follow, and what this
// director newly keeps is fetched.
func (e *Engine) SetMembers(members []Member) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seat(e.last.self, members, false)
}

// seat makes the new roster. A member that stays in its life keeps its streams.
func (e *Engine) seat(self session.Owner, members []Member, anew bool) {
	old := e.last
	blocks := make(map[session.NodeID][]netip.Prefix)
	if old != nil {
		for id, b := range old.blocks {
			if len(blocks) < maxBlocks {
				blocks[id] = b
			}
		}
	}
	blocks[self.ID] = e.blocks
	var seats []*seat
	for _, m := range members {
		if m.ID == self.ID || slices.ContainsFunc(seats, func(s *seat) bool { return s.ID == m.ID }) {
			continue
		}
		m.Blocks = slices.Clone(m.Blocks)
		blocks[m.ID] = m.Blocks
		s := &seat{Member: m}
		if old != nil && !anew {
			if before := old.seats[m.ID]; before != nil && before.Epoch == m.Epoch {
				s.peer = before.peer
			}
		}
		if s.peer == nil {
			s.peer = e.newPeer(m.Owner())
		}
		seats = append(seats, s)
	}
	r := newRoster(self, e.replicas, blocks, seats)
	e.last = r
	e.roster.Store(r)
	if old != nil {
		for _, p := range old.peers {
			if s := r.seats[p.owner.ID]; s == nil || s.peer != p {
				e.part(p)
			}
		}
		e.moved(old, r, time.Now())
	}
	e.wake()
}

// maxBlocks is of how many directors, gone ones included, the blocks are known.
const maxBlocks = 1024

func (e *Engine) newPeer(o session.Owner) *peer {
	p := &peer{owner: o, asked: make(map[uint32]asked)}
	p.outgoing.begin(e)
	return p
}

// part takes leave of a peer: nothing is under way any more.
func (e *Engine) part(p *peer) {
	p.outgoing.drop(e)
	p.wants = wants{}
	p.gone = true
}
