package schedule

// lblc is locality-based least-connection: a destination keeps the server it
// was first given, whose cache holds its data, until that server is not
// eligible or is overloaded: more active sessions than its weight, while some
// server has fewer than half of its own. Then, as at first, it is given the one
// that wlc picks; and so while it is full.
//
// A service of one VIP has one destination, so this is of use where a service
// takes many.
type lblc struct {
	*least
	places *places
	ids    []uint16 // by position in the pool: one above the id in places, as replicas have it
	byID   []int    // by that: position in the pool, or -1
}

func newLBLC(members []Member, _ []string, state *State) Scheduler {
	return newLocality(members, state)
}

func newLocality(members []Member, state *State) *lblc {
	if state.places == nil {
		state.places = &places{ids: make(map[string]uint16)}
	}
	s := &lblc{least: weightedLeast(members, state), places: state.places}
	ids := s.places.number(members)
	s.byID = make([]int, len(s.places.used)+1)
	for id := range s.byID {
		s.byID[id] = -1
	}
	for at, c := range s.pool {
		id := ids[c.member] + 1
		s.ids = append(s.ids, id)
		s.byID[id] = at
	}
	return s
}

func (s *lblc) Pick(k *Key) int {
	if len(s.pool) == 0 {
		return -1
	}
	now := minutes()
	e := s.places.find(&k.VIP, now)
	at := s.known(e.replicas()[0])
	if at < 0 || s.overloaded(at) {
		if at = s.from(s.start()); at >= 0 {
			e.set(replicas{s.ids[at]}, now)
		}
	}
	return s.member(at)
}

// known returns the position in the pool of the server with an id, or -1 when
// it is not eligible.
func (s *lblc) known(id uint16) int {
	if int(id) >= len(s.byID) {
		return -1 // came after this scheduler was built
	}
	return s.byID[id]
}

// overloaded says whether the destination of a server should have another.
func (s *lblc) overloaded(at int) bool {
	c := &s.pool[at]
	if c.full() {
		return true
	}
	if c.load.reckon().active <= c.weight {
		return false
	}
	for i := range s.pool {
		if o := &s.pool[i]; o.load.reckon().active*2 < o.weight {
			return true
		}
	}
	return false
}
