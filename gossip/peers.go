package gossip

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"fleetlb/gossip/seal"
	"fleetlb/session"
)

const (
	remembered = 24 * time.Hour // how long a member that died or left is
	mostPeers  = 1024           // known at a time; the one dead longest goes first
)

// A peer is another director at one address, in the latest of its lives that was
// heard of. All of it is guarded by the fleet's mu.
type peer struct {
	life    seal.Life // Epoch: its start, which its Info's may exceed
	id      session.NodeID
	name    string
	address netip.AddrPort
	meta    meta
	alive   bool // as memberlist has it
	left    bool // it said so
	silent  bool // we hear nothing from itself
	heard   time.Time
	since   time.Time
	ahead   int // beats in a row by which its clock was off
	shares  shares
}

func (p *peer) live() bool { return p.alive && !p.left && !p.silent }

func (p *peer) member() Member {
	m := Member{ID: p.id, Name: p.name, Address: p.address, Info: p.meta.info, Alive: p.live(), Since: p.since}
	m.Epoch = max(m.Epoch, p.life.Epoch)
	m.Left = !m.Alive && (p.left || m.State == Leaving)
	return m
}

// A target is a live member to speak with. It is never changed.
type target struct {
	life    seal.Life
	id      session.NodeID
	address netip.AddrPort
	keys    []seal.KeyID // to seal a stream with, by preference
	member  Member
}

// view is who may be spoken with, replaced as a whole at each change.
type view struct {
	byID   map[session.NodeID]*target
	byNode map[uint64]*target
	next   chan struct{} // closed when there is another
}

var errEarlier = errors.New("it has begun another life since")

// current refuses lives that were followed by another, and our own earlier ones.
func (f *Fleet) current(l seal.Life) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[l.Node]
	switch boot := f.wire.endpoint.Boot(); {
	case l.Node == boot.Node && l.Epoch != boot.Epoch, p != nil && l.Epoch < p.life.Epoch:
		return errEarlier
	}
	return nil
}

// seen takes note of what memberlist says of a member.
func (f *Fleet) seen(n *memberlist.Node, alive bool) {
	life, err := lifeOf(n.Name, n.Address())
	m, err2 := parseMeta(n.Meta)
	if err != nil || err2 != nil || life.Node == f.wire.endpoint.Boot().Node {
		return // NotifyAlive said so
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[life.Node]
	switch {
	case (p == nil || p.life.Epoch < life.Epoch) && alive:
		p = f.meet(life, n)
	case p == nil || p.life.Epoch != life.Epoch:
		return
	}
	if p.alive != alive {
		p.alive, p.silent, p.heard, p.since = alive, false, time.Now(), time.Now()
		f.log.Info("gossip: member "+p.name+": "+p.change(), "address", p.address)
	}
	if alive && m.seq > p.meta.seq {
		f.learn(p, m)
	}
	f.changed()
}

// change says what has become of a peer.
func (p *peer) change() string {
	switch m := p.member(); {
	case m.Alive:
		return "joined"
	case m.Left:
		return "left"
	}
	return "no longer answers"
}

// meet begins to know a peer, or the next life of one.
func (f *Fleet) meet(life seal.Life, n *memberlist.Node) *peer {
	name, _, _ := parseLifeName(n.Name)
	if old := f.peers[life.Node]; old != nil {
		f.wire.endpoint.Forget(old.life)
	}
	address := plain(netip.MustParseAddrPort(n.Address()))
	p := &peer{life: life, id: session.NodeIDOf(name), name: name, address: address}
	f.peers[life.Node] = p
	f.greet = true
	signal(f.news)
	return p
}

// learn takes what a peer tells of itself.
func (f *Fleet) learn(p *peer, m meta) {
	if m.info.Epoch < p.meta.info.Epoch {
		m.info.Epoch = p.meta.info.Epoch
	}
	if !slices.Equal(m.keys, p.meta.keys) {
		f.wire.endpoint.Holds(p.life, m.keys)
	}
	p.meta = m
}

// changed draws the conclusions from what has become of the peers.
func (f *Fleet) changed() {
	f.shrink()
	chosen := f.chosen()
	v := &view{map[session.NodeID]*target{}, map[uint64]*target{}, make(chan struct{})}
	for _, p := range chosen {
		if p.live() {
			t := &target{p.life, p.id, p.address, f.keysFor(p), p.member()}
			v.byID[p.id], v.byNode[p.life.Node] = t, t
		}
	}
	if old := f.view.Swap(v); old != nil {
		close(old.next)
	}
	f.conflict()
	signal(f.changes)
	signal(f.sharedChanges)
}

// keysFor are the keys to open a stream with: those the peer holds first.
func (f *Fleet) keysFor(p *peer) []seal.KeyID {
	ids := f.wire.endpoint.Ring().IDs()
	slices.SortStableFunc(ids, func(a, b seal.KeyID) int {
		held := func(id seal.KeyID) int {
			if slices.Contains(p.meta.keys, id) {
				return 0
			}
			return 1
		}
		return held(a) - held(b)
	})
	return ids
}

// chosen is one peer of each name that is not ours: of two that live, the one
// that began first, for the other offends; else the one that lived last.
func (f *Fleet) chosen() []*peer {
	best := map[session.NodeID]*peer{}
	for _, p := range f.peers {
		b := best[p.id]
		if p.id != f.id && (b == nil || better(p, b)) {
			best[p.id] = p
		}
	}
	return slices.SortedFunc(maps.Values(best), func(a, b *peer) int { return strings.Compare(a.name, b.name) })
}

func better(p, q *peer) bool {
	switch {
	case p.live() != q.live():
		return p.live()
	case p.live():
		return before(p.life, q.life)
	}
	return q.since.Before(p.since) || q.since.Equal(p.since) && before(q.life, p.life)
}

// before says which of two directors is there by right: the one that started
// first.
func before(a, b seal.Life) bool {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Node, b.Node)) < 0
}

// shrink forgets those dead for long, and what is obsolete: a member that moved
// to another address is no longer at the old one.
func (f *Fleet) shrink() {
	lives := map[session.NodeID]bool{}
	for _, p := range f.peers {
		lives[p.id] = lives[p.id] || p.live()
	}
	now := time.Now()
	var oldest *peer
	for _, p := range f.peers {
		switch {
		case p.live():
		case now.Sub(p.since) > remembered, lives[p.id], p.id == f.id:
			f.forget(p)
		case oldest == nil || p.since.Before(oldest.since):
			oldest = p
		}
	}
	if len(f.peers) > mostPeers && oldest != nil {
		f.forget(oldest)
	}
}

func (f *Fleet) forget(p *peer) {
	delete(f.peers, p.life.Node)
	f.wire.endpoint.Forget(p.life)
}

// listen finds out from whom nothing is heard, and from whom something is again.
func (f *Fleet) listen() {
	changed, now := false, time.Now()
	frozen := now.Sub(f.listened) > silence/3 // we were: nobody else was silent
	f.listened = now
	for _, p := range f.peers {
		if frozen {
			p.heard = now
		}
		if silent := now.Sub(p.heard) > silence; p.alive && !p.left && silent != p.silent {
			p.silent, p.since, changed = silent, now, true
			f.log.Info("gossip: member "+p.name+": "+p.change(), "address", p.address)
		}
	}
	if changed {
		f.changed()
	}
}

// find returns a live member to speak with.
func (f *Fleet) find(id session.NodeID) (*target, error) {
	if t := f.view.Load().byID[id]; t != nil {
		return t, nil
	}
	return nil, errors.New("gossip: member " + f.nameOf(id) + ": it is not alive")
}

func (f *Fleet) nameOf(id session.NodeID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.peers {
		if p.id == id {
			return p.name
		}
	}
	return id.String()
}

// await returns who has opened a stream. We may hear of a member from itself
// before we hear of it from others, so there is some patience.
func (f *Fleet) await(ctx context.Context, node uint64) (*target, error) {
	ctx, cancel := context.WithTimeout(ctx, acceptTimeout)
	defer cancel()
	for {
		v := f.view.Load()
		if t := v.byNode[node]; t != nil {
			return t, nil
		}
		select {
		case <-v.next:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// signal wakes whoever listens, now or later, once.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
