package persist

// Take holds the template of a key, if there is one, and returns its server. The
// timeout is the service's now: it may have changed.
func (s *Store) Take(k *Key, timeout, now Tick) (Server, Ref) {
	h, at := s.lock(k)
	defer h.mu.Unlock()
	n := h.find(k, at)
	if n == 0 || !h.entries[n].live(now) {
		return Server{}, 0
	}
	h.hold(n, timeout, now)
	return h.entries[n].server, h.ref(n)
}

// Peek returns the server that the clients of a key are led to, and changes
// nothing.
func (s *Store) Peek(k *Key, now Tick) (Server, bool) {
	h, at := s.lock(k)
	defer h.mu.Unlock()
	n := h.find(k, at)
	if n == 0 || !h.entries[n].live(now) {
		return Server{}, false
	}
	return h.entries[n].server, true
}

// Give makes a template of a key and holds it; assured says that its client is
// known to be there. When another worker was faster, or heard from another
// director, there is one, whose server is returned in place of to. Without room
// nothing is held.
func (s *Store) Give(k *Key, to Server, assure bool, timeout, now Tick) (Server, Ref) {
	h, at := s.lock(k)
	defer h.mu.Unlock()
	n := h.find(k, at)
	if n == 0 {
		if n = h.add(k, at, now); n == 0 {
			return to, 0
		}
	}
	e := &h.entries[n]
	if !e.live(now) {
		e.server, e.version, e.told = to, e.version+1, 0
		e.flags &^= assured
	}
	if assure {
		e.flags |= assured
	}
	h.hold(n, timeout, now)
	return e.server, h.ref(n)
}

// Move leads the clients of a template that the caller holds to another server
// than from, which can have no more of them. When somebody has moved it already,
// the server it was moved to is returned in place of to.
func (s *Store) Move(r Ref, from, to Server, now Tick) Server {
	h, n := s.holder(r)
	defer h.mu.Unlock()
	e := &h.entries[n]
	if e.server != from && e.server != (Server{}) {
		return e.server
	}
	e.server = to
	e.version++
	h.tell(n)
	return to
}

// Assure says of a template that the caller holds that its client is there.
func (s *Store) Assure(r Ref, now Tick) {
	h, n := s.holder(r)
	defer h.mu.Unlock()
	if e := &h.entries[n]; e.flags&assured == 0 {
		e.flags |= assured
		h.tell(n)
	}
}

// Release ends what Take or Give began.
func (s *Store) Release(r Ref, now Tick) {
	h, n := s.holder(r)
	defer h.mu.Unlock()
	e := &h.entries[n]
	e.uses--
	e.expires = now + e.timeout
	switch {
	case e.uses > 0:
	case e.flags&assured == 0, e.server == Server{}:
		h.remove(n)
	default:
		h.remind(n, now)
	}
}

// hold notes one session more.
func (h *shard) hold(n uint32, timeout, now Tick) {
	e := &h.entries[n]
	e.uses++
	e.timeout = timeout
	h.remind(n, now)
}
