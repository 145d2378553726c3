package fullnat

import (
	"sync"
	"sync/atomic"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// Apply hands records from another director to the workers that own their
// slots, in this order and behind those of earlier calls. Solicited ones come
// from a director that was asked for them; it holds them but need not be their
// home. It reports false if there is no room: then nothing was taken, and it is
// to be called again later. No call may have more than [MaxApply] records.
//
// What is not valid is refused and counted.
func (p *Plane) Apply(from session.Owner, solicited bool, records []session.Record) bool {
	d := &p.delivery
	d.mu.Lock()
	defer d.mu.Unlock()
	d.address(records, len(p.workers))
	for i, w := range p.workers {
		if w.news.room() < d.letters[i] {
			return false
		}
	}
	for i, id := range d.owners {
		if id >= 0 {
			p.workers[id].news.add(from, solicited, &records[i])
		} else {
			d.refused++
		}
	}
	for i, w := range p.workers {
		if d.letters[i] > 0 {
			w.queue.Wake()
		}
	}
	return true
}

// A delivery is one call of Apply, of which there is one at a time.
type delivery struct {
	mu      sync.Mutex
	owners  []int  // by record; -1: it is not valid
	letters []int  // by worker: how many records it gets
	refused uint64 // records that were not valid
}

func (d *delivery) refuse() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused++
}

func (d *delivery) refusals() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused
}

// address finds the worker of each record.
func (d *delivery) address(records []session.Record, workers int) {
	d.owners = d.owners[:0]
	d.letters = append(d.letters[:0], make([]int, workers)...)
	for i := range records {
		r := &records[i]
		if r.Valid() != nil {
			d.owners = append(d.owners, -1)
			continue
		}
		id := ownerOf(r.ClientSlot(), workers)
		d.owners = append(d.owners, id)
		d.letters[id]++
	}
}

const (
	newsSize = 2048 // how many records may wait at a worker
	MaxApply = newsSize / 2

	// applyPerTurn lets packets and a bulk sync share a worker: so many records
	// take about as long as a batch of packets.
	applyPerTurn = 32
)

// news is records on their way to a worker: a ring that one goroutine at a time
// fills and the worker empties, without a lock.
type news struct {
	ring     []item // made when it is first needed
	put, got atomic.Uint32

	faces  [2 * applyPerTurn]packet.Tuple // of those in hand
	tuples [2 * applyPerTurn]*packet.Tuple
	hashes [2 * applyPerTurn]session.Hash
}

type item struct {
	from      session.Owner
	solicited bool
	record    session.Record
}

func (n *news) waiting() int { return int(n.put.Load() - n.got.Load()) }
func (n *news) room() int    { return newsSize - n.waiting() }

func (n *news) add(from session.Owner, solicited bool, r *session.Record) {
	if n.ring == nil {
		n.ring = make([]item, newsSize)
	}
	at := n.put.Load()
	n.ring[at%newsSize] = item{from, solicited, *r}
	n.put.Store(at + 1)
}

// apply believes the next few records.
func (w *Worker) apply(now session.Tick) {
	n := &w.news
	count := min(n.waiting(), applyPerTurn)
	if count == 0 {
		return
	}
	from := n.got.Load()
	for i := range count {
		r := &n.ring[(from+uint32(i))%newsSize].record
		n.faces[2*i], n.faces[2*i+1] = r.Face(session.Inbound), r.Face(session.Outbound)
		n.tuples[2*i], n.tuples[2*i+1] = &n.faces[2*i], &n.faces[2*i+1]
	}
	w.sessions.Prefetch(n.tuples[:2*count], n.hashes[:])
	for i := range count {
		w.believe(&n.ring[(from+uint32(i))%newsSize], now)
	}
	n.got.Store(from + uint32(count))
}

// believe acts on a record as far as its sender has a say. The home of a session
// creates and ends it; another may say how it found one that we hold. What was
// asked for may come from anybody, but we hold replicas of our slots alone:
// nobody would tell us the end of any other.
func (w *Worker) believe(n *item, now session.Tick) {
	r := &n.record
	w.fleet.Applied++
	home := r.Home.ID == n.from.ID
	switch {
	case r.Kind == session.Mark && home:
		w.compare(r, now)
	case r.Kind == session.Gone && home:
		w.end(r)
	case r.Kind == session.Update && ((home || n.solicited) && w.wants(r) || w.sessions.Held(r) != nil):
		w.install(r, now)
	default:
		w.fleet.Applied--
		w.fleet.Refused++
	}
}

// wants says whether the session of a record is ours to hold: as its keeper, or as
// its home that has lost it.
func (w *Worker) wants(r *session.Record) bool {
	return w.snap.keeps(r.Home.ID, r.ClientSlot()) || w.snap.Fleet != nil && r.Home.ID == w.snap.Fleet.Self.ID
}
