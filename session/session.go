package session

import (
	"math/bits"

	"fleetlb/fullnat/packet"
)

// A Tick is a moment, in tenths of a second since any moment the worker likes.
// It may wrap around: only differences count, up to 6.8 years.
type Tick uint32

// before reports whether t is earlier than u.
func (t Tick) before(u Tick) bool { return int32(t-u) < 0 }

// A Direction is the way a packet of a session goes.
type Direction uint8

const (
	Inbound  Direction = iota // from client to server
	Outbound                  // from server to client
)

// A Session is one connection: one cache line with all that a packet needs, and
// nothing the garbage collector would follow. What only opening, ageing and
// listing need is kept aside, in its cold part.
//
// Hop, HopGeneration and Offload are the worker's; the table alone writes the
// rest. A *Session is good until it is closed.
type Session struct {
	Client     packet.Addr
	Path       PathID
	LastUsed   Tick
	ClientPort uint16
	LocalPort  uint16 // 0 if the mode uses none
	local      uint16 // which local address; 0: none

	Hop           uint16 // next hop towards the client,
	HopGeneration uint32 // as of this generation of the routes

	expects [2]uint32 // see Expects
	bytes   [2]uint32 // the low parts of counters, by Direction
	packets [2]uint16

	VIPPort uint16 // the one of its path's that the client asked for
	State   State
	flags   sessionFlags
	marks   marks
	Offload uint8
	_       [2]uint8
}

// cold is the rest of a session. Touched when a session is opened, when it
// changes its state, when it ages and when it closes.
type cold struct {
	due        Tick      // when the wheel comes by
	prev, next uint32    // in the wheel; next is also the list of free sessions
	bytes      [2]uint32 // the high parts of counters
	packets    [2]uint32
	told       Tick   // when it was last used, as far as others know
	born       uint32 // the upper part of its Born,
	bornLow    uint16 // and the lower
	home       uint16 // whose it is, if another director's
	attached   uint32 // see Attach
}

// sessionFlags are pairs, one flag for each Direction.
type sessionFlags uint8

const (
	spoke sessionFlags = 1 << (2 * iota) // its packets have been seen
	acked                                // its number in expects is what the other end acknowledged
	reset                                // it ended the session with a reset
)

func (f sessionFlags) has(flag sessionFlags, d Direction) bool { return f&(flag<<d) != 0 }

// Counters are what one direction of a session has carried.
type Counters struct{ Packets, Bytes uint64 }

// Counters returns what s has carried, by Direction.
func (t *Table) Counters(s *Session) (c [2]Counters) {
	high := &t.cold[t.number(s)]
	for d := range c {
		c[d].Packets = uint64(high.packets[d])<<16 | uint64(s.packets[d])
		c[d].Bytes = uint64(high.bytes[d])<<32 | uint64(s.bytes[d])
	}
	return c
}

func (t *Table) bornOf(s *Session) Born {
	c := &t.cold[t.number(s)]
	return Born(c.born)<<16 | Born(c.bornLow)
}

func (t *Table) setBorn(s *Session, b Born) {
	c := &t.cold[t.number(s)]
	c.born, c.bornLow = uint32(b>>16), uint16(b)
}

// tally adds one packet. The high parts change once in 65,536 packets and once in
// 4 GiB, so they do not take room in the line that every packet needs.
func (t *Table) tally(s *Session, d Direction, size uint32) {
	if s.packets[d]++; s.packets[d] == 0 {
		t.cold[t.number(s)].packets[d]++
	}
	var carry uint32
	if s.bytes[d], carry = bits.Add32(s.bytes[d], size, 0); carry != 0 {
		t.cold[t.number(s)].bytes[d]++
	}
}

// Local returns the local address of s, the zero address if its mode uses none.
func (t *Table) Local(s *Session) packet.Addr { return t.ports.locals[s.local].addr }

// ServerPort returns the port of the server of s, whose path is p.
func (s *Session) ServerPort(p *Path) uint16 { return p.serverPort(s.VIPPort) }

// Face returns the tuple by which packets of s that go d are known. The zero
// Tuple stands for the outbound face of a session that has none.
func (t *Table) Face(s *Session, d Direction) (tu packet.Tuple) {
	local := &t.ports.locals[s.local].addr
	t.paths[s.Path].face(&tu, &s.Client, local, s.ClientPort, s.LocalPort, s.VIPPort, d)
	return tu
}

// Expires returns when s will have been idle for too long.
func (t *Table) Expires(s *Session) Tick { return s.LastUsed + t.patience(s) }

// patience is how long s may stay idle in its state.
func (t *Table) patience(s *Session) Tick {
	p := t.timeout(s)
	if s.Role() == Replica {
		return kept(p)
	}
	return p
}

func (t *Table) timeout(s *Session) Tick { return t.timeouts[t.paths[s.Path].Timeouts][s.State] }

// kept is how long a replica stays, counted from when its session was last used
// as far as we were told: we are told within a third of its timeout.
func kept(timeout Tick) Tick { return min(timeout, longest/2) + timeout.third() + 10*second }

// third is how often somebody looks whether a shared session was used.
func (t Tick) third() Tick { return max(t/3, 1) }
