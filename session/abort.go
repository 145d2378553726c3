package session

// Abort makes s a closed session, as a reset of both ends does. It stays for
// the state's timeout, so that what its ends still send finds it.
func (t *Table) Abort(s *Session, now Tick) {
	s.LastUsed = now
	t.enter(s, Close, now)
}
