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
// listing need is kept aside, in its record.
//
// Hop and HopGeneration are the worker's; the table alone writes the rest. A
// *Session is good until it is closed.
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
	packets [2]uint32 // the low halves of counters, by Direction
	bytes   [2]uint32

	State   State
	flags   sessionFlags
	VIPPort uint16 // the one of its path's that the client asked for
}

// A record is the rest of a session. Touched when a session is opened, when it
// changes its state, when it ages and when it closes.
type record struct {
	due        Tick      // when the wheel comes by
	prev, next uint32    // in the wheel; next is also the list of free sessions
	packets    [2]uint32 // the high halves of counters
	bytes      [2]uint32
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
	r := &t.records[t.number(s)]
	for d := range c {
		c[d].Packets = uint64(r.packets[d])<<32 | uint64(s.packets[d])
		c[d].Bytes = uint64(r.bytes[d])<<32 | uint64(s.bytes[d])
	}
	return c
}

// tally adds one packet. The high halves change once in four billion, so they
// do not take room in the line that every packet needs.
func (t *Table) tally(s *Session, d Direction, size uint32) {
	var carry uint32
	if s.packets[d], carry = bits.Add32(s.packets[d], 1, 0); carry != 0 {
		t.records[t.number(s)].packets[d]++
	}
	if s.bytes[d], carry = bits.Add32(s.bytes[d], size, 0); carry != 0 {
		t.records[t.number(s)].bytes[d]++
	}
}

// Local returns the local address of s, the zero address if its mode uses none.
func (t *Table) Local(s *Session) packet.Addr { return t.ports.locals[s.local].addr }

// ServerPort returns the port of the server of s, whose path is p.
func (s *Session) ServerPort(p *Path) uint16 {
	if p.ServerPort == 0 {
		return s.VIPPort
	}
	return p.ServerPort
}

// Face returns the tuple by which packets of s that go d are known. The zero
// Tuple stands for the outbound face of a session that has none.
func (t *Table) Face(s *Session, d Direction) packet.Tuple {
	p := t.paths[s.Path]
	switch {
	case d == Inbound:
		return packet.Tuple{
			Src: s.Client, Dst: p.VIP,
			SrcPort: s.ClientPort, DstPort: s.VIPPort, Protocol: p.Protocol,
		}
	case p.Mode == FULLNAT:
		return packet.Tuple{
			Src: p.Server, Dst: t.Local(s),
			SrcPort: s.ServerPort(p), DstPort: s.LocalPort, Protocol: p.Protocol,
		}
	case p.Mode == NAT:
		return packet.Tuple{
			Src: p.Server, Dst: s.Client,
			SrcPort: s.ServerPort(p), DstPort: s.ClientPort, Protocol: p.Protocol,
		}
	}
	return packet.Tuple{}
}

// Expires returns when s will have been idle for too long.
func (t *Table) Expires(s *Session) Tick { return s.LastUsed + t.patience(s) }

// patience is how long s may stay idle in its state.
func (t *Table) patience(s *Session) Tick {
	return t.timeouts[t.paths[s.Path].Timeouts][s.State]
}
