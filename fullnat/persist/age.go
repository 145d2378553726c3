package persist

import "iter"

// Age forgets the templates whose time is up and sees to it that others hear of
// those that are held before they forget them. One call goes through an eighth of
// the store; whoever calls it every second frees a place within eight, while no
// call of a worker's minds what is out of date.
func (s *Store) Age(now Tick) {
	turn := uint32(now/second) % 8
	for i := turn; i < shards; i += 8 {
		for h := &s.shards[i]; h.age(now); {
		}
	}
}

// chunk is how many entries are looked at while a lock is held.
const chunk = 1024

// age looks at some more of the shard, and says whether there is more.
func (h *shard) age(now Tick) (more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for range chunk {
		if h.aged++; h.aged >= h.fresh {
			h.aged = 0
			return false
		}
		switch e := &h.entries[h.aged]; {
		case e.flags&taken == 0:
		case e.uses > 0:
			h.remind(h.aged, now)
		case !e.live(now):
			h.remove(h.aged)
		}
	}
	return true
}

// Forget drops the templates that gone says are of servers that are: their
// clients are led elsewhere, those that sessions hold as well. It returns how
// many there were.
func (s *Store) Forget(gone func(service uint64, server Server) bool) (dropped int) {
	for i := range s.shards {
		h := &s.shards[i]
		for from, more := uint32(1), true; more; from += chunk {
			n := 0
			n, more = h.forget(from, gone)
			dropped += n
		}
	}
	return dropped
}

func (h *shard) forget(from uint32, gone func(uint64, Server) bool) (dropped int, more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	end := min(from+chunk, h.fresh)
	for n := from; n < end; n++ {
		e := &h.entries[n]
		if e.flags&taken == 0 || e.server == (Server{}) || !gone(e.Service, e.server) {
			continue
		}
		dropped++
		if e.uses == 0 {
			h.remove(n)
			continue
		}
		h.hush(n)
		e.server = Server{}
	}
	return dropped, end < h.fresh
}

// All lists the templates in no order, as of when it comes by.
func (s *Store) All(now Tick) iter.Seq[Template] {
	return func(yield func(Template) bool) {
		var page []Template
		for i := range s.shards {
			for from, more := uint32(1), true; more; from += chunk {
				page, more = s.shards[i].page(page[:0], from, now)
				for _, t := range page {
					if !yield(t) {
						return
					}
				}
			}
		}
	}
}

func (h *shard) page(into []Template, from uint32, now Tick) (page []Template, more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	end := min(from+chunk, h.fresh)
	for n := from; n < end; n++ {
		if e := &h.entries[n]; e.flags&taken != 0 && e.live(now) {
			into = append(into, Template{e.Key, e.server, e.left(now), e.uses})
		}
	}
	return into, end < h.fresh
}
