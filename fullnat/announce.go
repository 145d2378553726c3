package fullnat

import (
	"slices"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// An announcer tells the stations on a link that an address of ours is here from
// now on, by gratuitous ARP or an unsolicited advertisement: they may still know
// another station by it, such as the director that had it before. One worker
// does it for all.
type announcer struct {
	stale  bool                          // the snapshot has changed
	seen   *Snapshot                     // what known was made from
	known  map[place]struct{}            // told already, or waiting in one of the rounds
	probed session.Tick                  // when it was last asked whether somebody else has them
	rounds [announceTimes][]announcement // those to be told for the first time, the second, …; by due
}

// A place is where an address is: at our station on a link, for so many times.
type place struct {
	addr  packet.Addr
	mac   [6]byte
	port  uint8
	claim uint32
}

type announcement struct {
	place
	due session.Tick
}

const (
	announceTimes   = 3                // any of them may be lost (RFC 4861 §7.2.6)
	announceEvery   = session.Tick(10) // one second
	announcePerTick = 32               // so many addresses as a director may have must not flood the link
	probeEvery      = session.Tick(100)
)

// announce tells what is due.
func (w *Worker) announce(now session.Tick) {
	if w.id != 0 {
		return
	}
	a := &w.announcer
	if a.stale {
		a.stale = false
		a.learn(w.snap, now)
	}
	if w.snap.LAN != nil && now-a.probed >= probeEvery {
		a.probed = now
		w.probe()
	}
	left := announcePerTick
	for round := range a.rounds {
		for ; left > 0 && len(a.rounds[round]) > 0 && int32(now-a.rounds[round][0].due) >= 0; left-- {
			p := a.rounds[round][0].place
			a.rounds[round] = a.rounds[round][1:]
			if round+1 < announceTimes {
				a.rounds[round+1] = append(a.rounds[round+1], announcement{p, now + announceEvery})
			}
			w.announcePlace(p)
		}
	}
}

func (w *Worker) announcePlace(p place) {
	f := w.alloc()
	if f == nil {
		w.verdicts[DropNoFrame]++
		return
	}
	w.become(f, packet.PutAnnouncement(w.scratch[:], p.addr, p.mac))
	f.Port = p.port
	w.settle(f, Originated)
}

// learn takes up the places that are new with a snapshot, and forgets those that
// are gone.
func (a *announcer) learn(snap *Snapshot, now session.Tick) {
	if a.seen != nil && a.seen.Services == snap.Services && a.seen.Hops.Generation() == snap.Hops.Generation() && a.seen.sameLocals(snap) && a.seen.LAN.same(snap.LAN) {
		return
	}
	a.seen = snap
	places := snap.places()
	known := make(map[place]struct{}, len(places))
	for _, p := range places {
		known[p] = struct{}{}
		if _, old := a.known[p]; !old {
			a.rounds[0] = append(a.rounds[0], announcement{p, now})
		}
	}
	for i, r := range a.rounds {
		a.rounds[i] = slices.DeleteFunc(r, func(n announcement) bool {
			_, still := known[n.place]
			return !still
		})
	}
	a.known = known
}

// places lists where our addresses are on-link.
func (s *Snapshot) places() (all []place) {
	ours := s.answered()
	for i, port := range s.Hops.Ports() {
		for _, a := range ours {
			if port.Up && s.onLink(uint8(i), a) {
				all = append(all, place{a, port.MAC, uint8(i), s.claim(a)})
			}
		}
	}
	return all
}
