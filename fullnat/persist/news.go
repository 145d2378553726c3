package persist

// What is assured others are told of: when it was made or moved, and as long as it
// is used often enough that they do not forget it. What they have yet to be told
// stands in a list through the entries, so it needs no room of its own and cannot
// overflow; however often something happens to a template, it is told once.

// tell puts an entry into the list.
func (h *shard) tell(n uint32) {
	e := &h.entries[n]
	if e.flags&news != 0 || e.flags&assured == 0 || e.server == (Server{}) {
		return
	}
	e.flags |= news
	e.earlier, e.later = h.last, 0
	if h.last != 0 {
		h.entries[h.last].later = n
	} else {
		h.first = n
	}
	h.last = n
}

// hush takes it out again.
func (h *shard) hush(n uint32) {
	e := &h.entries[n]
	if e.flags&news == 0 {
		return
	}
	e.flags &^= news
	if e.earlier != 0 {
		h.entries[e.earlier].later = e.later
	} else {
		h.first = e.later
	}
	if e.later != 0 {
		h.entries[e.later].earlier = e.earlier
	} else {
		h.last = e.earlier
	}
	e.earlier, e.later = 0, 0
}

// remind tells of an entry that is used, if others were told too long ago.
func (h *shard) remind(n uint32, now Tick) {
	if e := &h.entries[n]; e.told == 0 || now-e.told >= e.timeout/reminders {
		h.tell(n)
	}
}

// reminders is how often others are told of a template in its timeout. They keep
// it for so much longer.
const reminders = 4

// Changed fills into with what others are to be told and returns how many those
// are. There may be more.
func (s *Store) Changed(now Tick, into []Record) (n int) {
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		for n < len(into) && h.first != 0 {
			at := h.first
			h.hush(at)
			e := &h.entries[at]
			e.told = max(now, 1)
			into[n] = e.record(now)
			n++
		}
		h.mu.Unlock()
	}
	return n
}

// A Cursor is a place in a walk over a store; the zero Cursor is its beginning.
type Cursor uint64

// Known fills into with what somebody has to be told who knows nothing, from a
// place on, and returns how many those are and where to go on, zero after the
// last.
func (s *Store) Known(from Cursor, now Tick, into []Record) (n int, next Cursor) {
	i, at := uint32(from>>32), uint32(from)
	for ; i < shards; i, at = i+1, 0 {
		h := &s.shards[i]
		h.mu.Lock()
		for at = max(at, 1); at < h.fresh; at++ {
			if n == len(into) {
				h.mu.Unlock()
				return n, Cursor(i)<<32 | Cursor(at)
			}
			if e := &h.entries[at]; e.flags&(taken|assured) == taken|assured && e.live(now) {
				into[n] = e.record(now)
				n++
			}
		}
		h.mu.Unlock()
	}
	return n, 0
}

func (e *entry) record(now Tick) Record {
	return Record{Key: e.Key, Server: e.server, Version: e.version, Timeout: e.timeout, Left: e.left(now)}
}

// Apply takes what another director tells, and says whether it was news. What is
// older than what is known here is answered: the other is told.
func (s *Store) Apply(r *Record, now Tick) bool {
	h, at := s.lock(&r.Key)
	defer h.mu.Unlock()
	n := h.find(&r.Key, at)
	if n == 0 {
		if n = h.add(&r.Key, at, now); n == 0 {
			return false
		}
	}
	e := &h.entries[n]
	switch {
	case e.live(now) && (e.version > r.Version || e.version == r.Version && e.server.before(r.Server)):
		h.tell(n)
		return false
	case e.version == r.Version && e.server == r.Server:
	default:
		e.server, e.version = r.Server, r.Version
	}
	e.flags |= assured
	h.hush(n)
	if e.uses == 0 {
		e.timeout = r.Timeout
	}
	if expires := now + r.Left + r.Timeout/reminders; e.expires == 0 || int32(expires-e.expires) > 0 {
		e.expires = expires
	}
	e.told = max(now, 1)
	return true
}

func (a Server) before(b Server) bool {
	if a.Addr != b.Addr {
		return string(a.Addr[:]) < string(b.Addr[:])
	}
	return a.Port < b.Port
}
