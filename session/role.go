package session

// A Role is what a session is to this director.
type Role uint8

const (
	Home    Role = iota // it is ours: we opened it, or recovered it after a restart
	Adopted             // it is another's, but its packets come to us
	Replica             // it is another's, and only kept here
	NumRoles
)

var roleNames = [NumRoles]string{Home: "home", Adopted: "adopted", Replica: "replica"}

func (r Role) String() string {
	if r < NumRoles {
		return roleNames[r]
	}
	return "unknown"
}

// marks are what a session is to the fleet: its role, and these.
type marks uint8

const (
	shared    marks = 4 << iota // others know of it
	news                        // something about it has still to be told
	elsewhere                   // others carry its packets as well
	shadow                      // its inbound face is another's; shadow<<Outbound: the outbound one
)

const roleMask = shared - 1

// Role returns what s is to this director.
func (s *Session) Role() Role { return Role(s.marks & roleMask) }

// Shared says whether others know of s.
func (s *Session) Shared() bool { return s.marks&shared != 0 }

// News says whether something about s has still to be told: see [Table.Tell].
func (s *Session) News() bool { return s.marks&news != 0 }

// Shadowed says whether another session is found in the place of s by packets
// that go d.
func (s *Session) Shadowed(d Direction) bool { return s.marks&(shadow<<d) != 0 }

// setRole changes what s is, and with it where it counts.
func (t *Table) setRole(s *Session, role Role) {
	if role == Replica {
		t.land(s) // the worker is to see when its packets come again
	}
	p := t.paths[s.Path]
	p.uncount(s)
	t.roles[s.Role()]--
	s.marks = s.marks&^roleMask | marks(role)
	t.roles[role]++
	p.count(s)
}

// Roles returns how many sessions there are of each role.
func (t *Table) Roles() [NumRoles]int { return t.roles }

// Adopt makes a replica a session whose packets come to us. Its home and its
// keepers are to hear of it, so that nobody gives its port to another.
//
// Of the two directions we may see one, and cannot tell from its end alone what
// the other has acknowledged: the sender's own count has to do.
func (t *Table) Adopt(s *Session, now Tick) {
	if s.Role() != Replica {
		return
	}
	t.setRole(s, Adopted)
	s.LastUsed = now
	s.halfSeen()
	s.marks |= news
	t.schedule(t.number(s), s, now)
}

// halfSeen notes that others carry packets of s as well. What one end has
// acknowledged may be what they saw: it is a number like any other from now on.
func (s *Session) halfSeen() {
	const both = acked<<Inbound | acked<<Outbound
	s.marks |= elsewhere
	s.flags = s.flags&^both | s.flags&both/acked*spoke
}
