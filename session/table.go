package session

import (
	"unsafe"

	"fleetlb/fullnat/packet"
)

// Config says how large a table is and which part of the fleet's sessions it is
// for.
type Config struct {
	Sessions int    // how many it can hold
	Slots    [2]int // which slots it owns: [lo, hi)
}

// A Table holds the sessions of one worker and is used by it alone. All memory
// is taken when it is made; finding, tracking, opening, expiring and closing
// allocate nothing, but for the port sets of a local address that a server sees
// for the first time.
type Table struct {
	index    index
	sessions []Session // by number; number 0 stands for none
	records  []record  // of the same numbers
	fresh    uint32    // numbers from here on were never used
	freed    uint32    // the head of the list of numbers that were
	count    int

	yielding numbers // the sessions that would give way
	hand     uint32  // the number of the one that did last

	paths     []*Path // by PathID
	pathIDs   map[PathKey]PathID
	freePaths []PathID
	retired   Traffic // of paths that are gone

	timeouts []Timeouts
	wheel    wheel
	ports    ports
}

// NewTable makes an empty table.
func NewTable(c Config) *Table {
	if c.Sessions < 0 || c.Sessions >= 1<<31 || c.Slots[0] < 0 || c.Slots[0] > c.Slots[1] || c.Slots[1] > Slots {
		panic("session: table for impossible sessions or slots")
	}
	t := &Table{
		index:    newIndex(c.Sessions),
		sessions: slab[Session](1 + c.Sessions),
		records:  slab[record](1 + c.Sessions),
		yielding: newNumbers(1 + c.Sessions),
		fresh:    1,
		paths:    make([]*Path, 1),
		pathIDs:  make(map[PathKey]PathID),
		timeouts: []Timeouts{DefaultTimeouts},
		ports:    newPorts(c.Slots),
	}
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
// caller has looked: there is none yet. It is for the caller to Track the packet
// that opened it.
func (t *Table) Open(client packet.Addr, port uint16, path PathID, now Tick) (*Session, Outcome) {
	return t.OpenAt(client, port, t.paths[path].VIPPort, path, now)
}

// OpenAt does so where the path has several ports, of which the client asked for
// vipPort.
func (t *Table) OpenAt(client packet.Addr, port, vipPort uint16, path PathID, now Tick) (*Session, Outcome) {
	number := t.freed
	switch {
	case number != 0:
	case int(t.fresh) < len(t.sessions):
		number = t.fresh
	default:
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
		if !t.takePort(s, p) {
			*s = Session{}
			return nil, NoPort
		}
		t.ports.hold(s, p, number)
	case NAT:
		face := t.Face(s, Outbound)
		if other, _ := t.Find(&face); other != nil {
			*s = Session{}
			return nil, Taken
		}
	}

	r := &t.records[number]
	if number == t.fresh {
		t.fresh++
	} else {
		t.freed = r.next
	}
	*r = record{}
	if t.count == 0 {
		t.wheel.clock = now
	}
	t.count++
	p.Inactive++
	for d := range p.Mode.faces() {
		face := t.Face(s, d)
		t.index.insert(&face, refOf(number, d))
	}
	t.link(number, t.Expires(s))
	t.yielding.add(number)
	return s, Opened
}

// takePort gives s a local address and port that no other session has towards
// its server.
func (t *Table) takePort(s *Session, p *Path) bool {
	for range portLooks {
		if !t.ports.take(s, p) {
			return false
		}
		if !t.ports.mingles(p.endpoint) {
			return true
		}
		face := t.Face(s, Outbound)
		if other, _ := t.Find(&face); other == nil {
			return true
		}
		t.ports.free(s, p) // the next one is looked at first
	}
	return false
}

// Close forgets s and frees its local port.
func (t *Table) Close(s *Session) {
	number := t.number(s)
	p := t.paths[s.Path]
	for d := range p.Mode.faces() {
		face := t.Face(s, d)
		t.index.remove(&face, refOf(number, d))
	}
	t.unlink(number)
	t.yielding.remove(number)
	if p.Mode == FULLNAT {
		t.ports.free(s, p)
	}
	if active[s.State] {
		p.Active--
	} else {
		p.Inactive--
	}
	if !p.Live {
		t.unbind(s.Path, p)
	}
	*s = Session{}
	t.records[number].next = t.freed
	t.freed = number
	t.count--
}

// number returns the number of a session: its place in the slab.
func (t *Table) number(s *Session) uint32 {
	first := uintptr(unsafe.Pointer(unsafe.SliceData(t.sessions)))
	return uint32((uintptr(unsafe.Pointer(s)) - first) / unsafe.Sizeof(*s))
}

// Count returns how many sessions there are.
func (t *Table) Count() int { return t.count }

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
// for each local address that a server endpoint sees, come on top.
func (t *Table) Footprint() int {
	return len(t.sessions)*int(unsafe.Sizeof(Session{})+unsafe.Sizeof(record{})) +
		len(t.index.buckets)*int(unsafe.Sizeof(bucket{})) +
		int(unsafe.Sizeof(t.wheel))
}
