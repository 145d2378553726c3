package replica

import (
	"context"
	"maps"
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
	life     context.Context // ends when it is no member any more
	end      context.CancelFunc
	gone     bool      // it is no member any more,
	left     time.Time // since then
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
	if !e.last.same(members) {
		e.seat(e.last.self, members, false)
	}
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
		if !anew {
			s.peer = e.again(m.Owner())
		}
		if s.peer == nil {
			s.peer = e.newPeer(m.Owner())
		}
		seats = append(seats, s)
	}
	r := newRoster(self, e.replicas, blocks, seats)
	if old != nil {
		for _, p := range old.peers {
			if s := r.seats[p.owner.ID]; s == nil || s.peer != p {
				e.part(p)
			}
		}
	}
	e.forget(r, anew)
	r.absent = maps.Clone(e.absent)
	e.last = r
	e.roster.Store(r)
	if old != nil {
		e.moved(old, r, time.Now())
	}
	e.wake()
}

// maxBlocks is of how many directors, gone ones included, the blocks are known.
const maxBlocks = 1024

func (e *Engine) newPeer(o session.Owner) *peer {
	p := &peer{owner: o, asked: make(map[uint32]asked)}
	p.life, p.end = context.WithCancel(context.Background())
	p.outgoing.begin(e)
	return p
}

// lifeOf ends when a peer is no member any more.
func (e *Engine) lifeOf(p *peer) context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	return p.life
}

// absence is how long a peer that is gone may come back and find the news that
// is meant for it alone: what became of its own sessions.
const absence = 5 * time.Minute

// part takes leave of a peer: nothing is under way any more.
func (e *Engine) part(p *peer) {
	p.end()
	p.gone, p.left = true, time.Now()
	p.wants, p.asking = wants{}, nil
	e.absent[p.owner.ID] = p
}

// again returns the peer of a director that is here, or was a while ago and is
// still in the same life: its stream begins anew, with what is queued. It is nil
// if there is none.
func (e *Engine) again(o session.Owner) *peer {
	if e.last == nil {
		return nil
	}
	if s := e.last.seats[o.ID]; s != nil && s.peer.owner == o {
		return s.peer
	}
	p := e.absent[o.ID]
	if p == nil || p.owner != o {
		return nil
	}
	delete(e.absent, o.ID)
	p.gone = false
	p.life, p.end = context.WithCancel(context.Background())
	p.outgoing.begin(e)
	return p
}

// forget drops the absent that will not come back; all of them if this director
// begins another life.
func (e *Engine) forget(r *roster, all bool) {
	for id, p := range e.absent {
		if all || r.seats[id] != nil || time.Since(p.left) >= absence {
			p.outgoing.drop(e)
			delete(e.absent, id)
		}
	}
}
