package replica

import (
	"sync/atomic"
	"time"

	"fleetlb/session"
)

// counts are of everything since the start.
type counts struct {
	told, queued, applied, duplicates   atomic.Uint64
	datagrams, bytes, unsent, resent    atomic.Uint64
	overflowed, differed, resynced      atomic.Uint64
	pulled, pulledBytes, served, erased atomic.Uint64
	failed, waited                      atomic.Uint64
	asked, answered, found, unaskable   atomic.Uint64
}

// Stats are an engine's figures; those that grow do so from the start.
type Stats struct {
	Told       uint64 // records that workers told
	Queued     uint64 // records queued, each for every director that shall have it
	Applied    uint64 // records of others that were applied
	Datagrams  uint64 // sent
	Bytes      uint64 // in them
	Unsent     uint64 // of them, refused by the wire
	Resent     uint64 // batches sent again
	Duplicates uint64 // batches that had come already

	Overflowed  uint64 // slots that a full queue left behind, to be pulled
	Differed    uint64 // marks that did not fit
	Resynced    uint64 // slots that were pulled
	Pulled      uint64 // records that came by pulls
	PulledBytes uint64
	Served      uint64 // records that others pulled from here
	Erased      uint64 // sessions that a pull found gone
	Failed      uint64 // pulls that did not come to their end
	Waited      uint64 // times that the sessions had no room for what was pulled

	Asked     uint64 // tuples that workers asked for
	Found     uint64 // of them, known to somebody
	Unaskable uint64 // of them, too many at once
	Answered  uint64 // tuples that others asked for

	AtRisk  int // records that no keeper has acknowledged yet
	Lag     Lag
	Slots   int // that are kept, with nothing left to be pulled
	SlotsOf int // that are kept
	Peers   []PeerStats
}

// PeerStats are of one other member.
type PeerStats struct {
	session.Owner
	Unacked int           // batches that it has not acknowledged
	Queued  int           // bytes that wait for it
	Behind  int           // slots for which there was no room
	Wanted  int           // slots to be pulled from it
	Trip    time.Duration // from a batch to its acknowledgement
}

// Stats returns the figures as of now.
func (e *Engine) Stats() Stats {
	c := &e.counts
	r := e.roster.Load()
	whole, _ := r.holds()
	s := Stats{
		Told: c.told.Load(), Queued: c.queued.Load(), Applied: c.applied.Load(), Datagrams: c.datagrams.Load(),
		Bytes: c.bytes.Load(), Unsent: c.unsent.Load(), Resent: c.resent.Load(), Duplicates: c.duplicates.Load(),
		Overflowed: c.overflowed.Load(), Differed: c.differed.Load(), Resynced: c.resynced.Load(),
		Pulled: c.pulled.Load(), PulledBytes: c.pulledBytes.Load(), Served: c.served.Load(),
		Erased: c.erased.Load(), Failed: c.failed.Load(), Waited: c.waited.Load(),
		Asked: c.asked.Load(), Found: c.found.Load(), Unaskable: c.unaskable.Load(), Answered: c.answered.Load(),
		SlotsOf: whole.len(),
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.AtRisk, s.Lag = e.tickets.atRisk, e.tickets.lag
	for _, p := range r.peers {
		o, w := &p.outgoing, &p.wants
		wanted := w.own
		wanted.unite(&w.orphans)
		wanted.unite(&w.current)
		whole.subtract(&wanted)
		ps := PeerStats{Owner: p.owner, Unacked: len(o.queue), Behind: o.behind.len(), Wanted: wanted.len(), Trip: o.trip.smooth}
		for _, b := range o.queue {
			ps.Queued += len(b.body)
		}
		s.Peers = append(s.Peers, ps)
	}
	s.Slots = whole.len()
	return s
}
