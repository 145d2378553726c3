package session

// A Query says which of the shared sessions somebody wants to be told.
type Query struct {
	Slots [Slots]bool
	Home  func(NodeID) bool // nil: whoever's
}

// Matches says whether a session of that home and slot is among them.
func (q *Query) Matches(home NodeID, slot uint8) bool {
	return q.Slots[slot] && (q.Home == nil || q.Home(home))
}
