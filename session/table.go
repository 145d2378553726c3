package session

import (
	"unsafe"

	"fleetlb/fullnat/packet"
)

// Config says how large a table is and which part of the fleet's sessions it is
// for.
type Config struct {
	Sessions int    // how many it can open
	Replicas int    // how many of other directors it can hold beside them
	Slots    [2]int // which slots it owns: [lo, hi)

	Detach func(what uint32) // gets what was attached to a session that closes
}

// A Table holds the sessions of one worker and is used by it alone. All memory
// is taken when it is made; finding, tracking, opening, expiring and closing
// allocate nothing, but for the port sets of a local address that a server sees
// for the first time.
type Table struct {
	index    index
	sessions []Session // by number; number 0 stands for none
	cold     []cold    // of the same numbers
	fresh    uint32    // numbers from here on were never used
	freed    uint32    // the head of the list of numbers that were
	count    int
	roles    [NumRoles]int // how many of each role
	openable int           // how many may be ours before Open refuses
	replicas int           // how many may be others' before Install does
	shadows  int           // faces that another session wears

	self      Owner
	era       Tick // what the clock on the wall shows at tick 0
	newest    Born
	firstBorn Born // what we opened ourselves was not born before
	own       [Slots]Digest
	lives     lives

	yielding numbers // the sessions that would give way
	hand     uint32  // the number of the one that did last

	paths     []*Path // by PathID
	pathIDs   map[PathKey]PathID
	freePaths []PathID
	retired   Traffic // of paths that are gone

	carrier  Carrier // of lifted sessions; nil: nobody
	timeouts []Timeouts
	wheel    wheel
	ports    ports
	detach   func(what uint32)
}

// NewTable makes an empty table.
func NewTable(c Config) *Table {
	places := c.Sessions + c.Replicas
	if c.Sessions < 0 || c.Replicas < 0 || places >= 1<<31 || c.Slots[0] < 0 || c.Slots[0] > c.Slots[1] || c.Slots[1] > Slots {
		panic("session: table for impossible sessions or slots")
	}
	t := &Table{
		openable: c.Sessions,
		replicas: c.Replicas,
		lives:    newLives(),
		yielding: newNumbers(1 + places),
		fresh:    1,
		paths:    make([]*Path, 1),
		pathIDs:  make(map[PathKey]PathID),
		timeouts: []Timeouts{DefaultTimeouts},
		ports:    newPorts(c.Slots),
		detach:   c.Detach,
	}
	t.index = newIndex(t, places)
	t.sessions = slab[Session](t, 1+places)
	t.cold = slab[cold](t, 1+places)
	return t
}

// An Outcome says what became of an attempt to open a session.
type Outcome uint8

const (
	Opened Outcome = iota
	Full           // the table holds as many sessions as it can
	NoPort         // no local address of this family has a port left towards the server in the client's slot
	Taken          // NAT: another service already sends this client's packets from this port to the server
)

// Open makes the session of a client's connection that takes the given path. The
// caller has looked: there is none yet, or another director's that this one
// succeeds. That one stays, as a shadow, until its home or time closes it. It is
// for the caller to Track the packet that opened it.
func (t *Table) Open(client packet.Addr, port uint16, path PathID, now Tick) (*Session, Outcome) {
	return t.OpenAt(client, port, t.paths[path].VIPPort, path, now)
}

// OpenAt does so where the path has several ports, of which the client asked for
// vipPort.
func (t *Table) OpenAt(client packet.Addr, port, vipPort uint16, path PathID, now Tick) (*Session, Outcome) {
	number := t.vacancy()
	if number == 0 || t.roles[Home] >= t.openable {
		return nil, Full
	}
	s := &t.sessions[number]
	p := t.paths[path]
	*s = Session{Client: client, ClientPort: port, VIPPort: vipPort, Path: path, LastUsed: now}
	if p.Protocol == packet.UDP {
		s.State = OneWay
	}
	switch p.Mode {
	case FULLNAT:
		if !t.takePort(s, p, number) {
			*s = Session{}
			return nil, NoPort
		}
	case NAT:
		face := t.Face(s, Outbound)
		if other, _ := t.Find(&face); other != nil && !t.yieldsFace(other) {
			*s = Session{}
			return nil, Taken
		}
	}
	t.occupy(number, cold{}, now)
	t.setBorn(s, t.stamp(now))
	p.count(s)
	if t.count == t.roles[Home] {
		for d := range p.Mode.faces() {
			face := t.Face(s, d)
			t.index.insert(&face, refOf(number, d))
		}
	} else { // another's may have the faces
		t.succeed(s, now)
		for d := range p.Mode.faces() {
			t.don(s, d)
		}
	}
	t.link(number, t.Expires(s))
	t.yielding.add(number)
	return s, Opened
}

// yieldsFace says whether another director's session gives up a face to one that
// is opened: it is over.
func (t *Table) yieldsFace(s *Session) bool {
	return s.Role() != Home && !s.Believed() && t.paths[s.Path].Protocol == packet.TCP
}

// succeed has another director's session that wears the inbound face of s, which
// is about to be opened, give it up. If it is thought to be alive it is over now:
// its server is dead, or the caller would not have opened another.
func (t *Table) succeed(s *Session, now Tick) {
	face := t.Face(s, Inbound)
	old, _ := t.Find(&face)
	if old == nil || old.Role() == Home || t.paths[old.Path].Protocol != packet.TCP {
		return
	}
	if old.Believed() {
		t.Adopt(old, now)
		t.enter(old, Close, now)
	}
	t.setBorn(s, t.stampAfter(t.bornOf(old), now))
}

// takePort gives s a local address and port that no other session has towards
// its server.
func (t *Table) takePort(s *Session, p *Path, number uint32) bool {
	for range portLooks {
		if !t.ports.take(s, p) {
			return false
		}
		t.ports.hold(s, p, number)
		if !t.ports.mingles(p.endpoint) {
			return true
		}
		face := t.Face(s, Outbound)
		if other, _ := t.Find(&face); other == nil {
			return true
		}
		t.ports.free(s, p, number) // the next one is looked at first
	}
	return false
}

// vacancy returns the number for the next session, 0 if there is none.
func (t *Table) vacancy() uint32 {
	if t.freed == 0 && int(t.fresh) < len(t.sessions) {
		return t.fresh
	}
	return t.freed
}

// occupy takes a vacancy.
func (t *Table) occupy(number uint32, c cold, now Tick) {
	if number == t.fresh {
		t.fresh++
	} else {
		t.freed = t.cold[number].next
	}
	t.cold[number] = c
	if t.count == 0 {
		t.wheel.clock = now
	}
	t.count++
	t.roles[t.sessions[number].Role()]++
}

// Close forgets s and frees its local port.
func (t *Table) Close(s *Session) {
	t.land(s)
	number := t.number(s)
	p := t.paths[s.Path]
	for d := range p.Mode.faces() {
		t.doff(s, d)
	}
	t.unlink(number)
	t.yielding.remove(number)
	if s.marks&shared != 0 {
		t.dismiss(s)
	}
	if s.Role() != Home {
		t.lives.leave(t.cold[number].home)
	}
	if p.Mode == FULLNAT {
		t.ports.free(s, p, number)
	}
	p.uncount(s)
	t.roles[s.Role()]--
	if !p.Live {
		t.unbind(s.Path, p)
	}
	if what := t.cold[number].attached; what != 0 {
		t.detach(what)
	}
	*s = Session{}
	t.cold[number].next = t.freed
	t.freed = number
	t.count--
}

// Attach notes that something elsewhere is to be told when s closes; 0 is nothing.
// What was attached before is for the caller to tell.
func (t *Table) Attach(s *Session, what uint32) { t.cold[t.number(s)].attached = what }

// Attached returns what is attached to s.
func (t *Table) Attached(s *Session) uint32 { return t.cold[t.number(s)].attached }

// number returns the number of a session: its place in the slab.
func (t *Table) number(s *Session) uint32 {
	first := uintptr(unsafe.Pointer(unsafe.SliceData(t.sessions)))
	return uint32((uintptr(unsafe.Pointer(s)) - first) / unsafe.Sizeof(*s))
}

// Count returns how many sessions there are.
func (t *Table) Count() int { return t.count }

// Room returns how many of its own there can be.
func (t *Table) Room() int { return t.openable }

// A Cursor is a place in a walk over a table; the zero Cursor is its beginning.
type Cursor uint32

// Each visits the sessions among the next n places and returns where to go on,
// zero after the last. A session that is there from beginning to end of a walk
// is visited once, whatever opens and closes meanwhile; visit may close the
// session it is given.
func (t *Table) Each(from Cursor, n int, visit func(*Session)) Cursor {
	end := min(uint64(from)+uint64(max(n, 0)), uint64(t.fresh)-1)
	for number := uint64(from) + 1; number <= end; number++ {
		if s := &t.sessions[number]; s.Path != 0 {
			visit(s)
		}
	}
	if end == uint64(t.fresh)-1 {
		return 0
	}
	return Cursor(end)
}

// Footprint returns how many bytes the table holds for its sessions when it is
// full: the sessions, the index with both faces, and the wheel. Port sets, 10 KiB
// for each local address that a server endpoint sees, come on top, and 4 KiB for
// each director whose sessions are here.
func (t *Table) Footprint() int {
	return len(t.sessions)*int(unsafe.Sizeof(Session{})+unsafe.Sizeof(cold{})) +
		len(t.index.buckets)*int(unsafe.Sizeof(bucket{})) + len(t.yielding)*8 +
		int(unsafe.Sizeof(t.wheel))
}
