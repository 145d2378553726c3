package schedule

import "slices"

// lblcr is lblc with replication: a destination has a set of servers and goes
// to the least loaded of them. When that one is overloaded or none is eligible,
// the one that wlc picks joins the set, so that a popular destination spreads;
// a set that stayed the same for a day loses its most loaded server again.
//
// A set holds four servers; in one that is full the newcomer takes the place of
// the most loaded. (In IPVS it grows without bound.)
type lblcr struct{ *lblc }

func newLBLCR(members []Member, _ []string, state *State) Scheduler {
	return lblcr{newLocality(members, state)}
}

func (s lblcr) Pick(k *Key) int {
	if len(s.pool) == 0 {
		return -1
	}
	now := minutes()
	e := s.places.find(&k.VIP, now)
	set := e.replicas()
	at := s.lightest(set)
	if set.count() > 1 && e.unchanged(now) >= maxUnseen {
		set[s.heaviest(set)] = 0
		e.set(set, now)
	}
	if at < 0 || s.overloaded(at) {
		at = s.from(s.start())
		if at >= 0 && s.join(&set, s.ids[at]) {
			e.set(set, now)
		}
	}
	return s.member(at)
}

// lightest returns the position in the pool of the least loaded server of a
// set, or -1 when none is eligible or all are full.
func (s lblcr) lightest(set replicas) int {
	best := -1
	for _, id := range set {
		if at := s.known(id); at >= 0 && !s.pool[at].full() && (best < 0 || s.less(at, best)) {
			best = at
		}
	}
	return best
}

// heaviest returns where in a set that has any the server is that can best be
// spared: one that is not eligible, or else the most loaded.
func (s lblcr) heaviest(set replicas) int {
	worst := -1
	for i, id := range set {
		switch {
		case id == 0:
		case s.known(id) < 0:
			return i
		case worst < 0 || s.less(s.known(set[worst]), s.known(id)):
			worst = i
		}
	}
	return worst
}

// join adds a server to a set and says whether that changed it.
func (s lblcr) join(set *replicas, id uint16) bool {
	if slices.Contains(set[:], id) {
		return false
	}
	free := slices.Index(set[:], 0)
	if free < 0 {
		free = s.heaviest(*set)
	}
	set[free] = id
	return true
}
