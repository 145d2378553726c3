package session

import (
	"math/bits"

	"fleetlb/fullnat/packet"
)

// A Carrier carries the packets of sessions without the worker: those whose
// Offload is not zero. The table tells it when it may not any more, and asks
// before it judges by what it knows of a session.
type Carrier interface {
	// Land ends that the packets of s are carried, because s is about to change
	// or to go. It makes Offload zero.
	Land(s *Session)
	// Hear lets s know, by Credit, what was carried.
	Hear(s *Session)
}

// SetCarrier names the one who carries packets; there is one at most.
func (t *Table) SetCarrier(c Carrier) { t.carrier = c }

func (t *Table) land(s *Session) {
	if s.Offload != 0 {
		t.carrier.Land(s)
	}
}

func (t *Table) hear(s *Session) {
	if s.Offload != 0 {
		t.carrier.Hear(s)
	}
}

// Number returns the number of s in its table: it is its own for as long as it
// lives, and at most [Table.Places].
func (t *Table) Number(s *Session) uint32 { return t.number(s) }

// Places is how many sessions there can be, replicas included.
func (t *Table) Places() int { return len(t.sessions) - 1 }

// Carried is how many packets s has carried both ways, modulo 65,536.
func (s *Session) Carried() uint16 { return s.packets[Inbound] + s.packets[Outbound] }

// Hearsay is what is told of packets of one direction that Track has not seen.
type Hearsay struct {
	Counters
	Used      Tick   // when the last of them came
	Next, Ack uint32 // TCP: the number after its segment, and what it acknowledged
}

// Credit lets s see packets by hearsay. It changes no state.
func (t *Table) Credit(s *Session, d Direction, h Hearsay) {
	if h.Packets == 0 {
		return
	}
	if s.LastUsed.before(h.Used) {
		s.LastUsed = h.Used
	}
	high := &t.cold[t.number(s)]
	packets := h.Packets + uint64(s.packets[d])
	s.packets[d] = uint16(packets)
	high.packets[d] += uint32(packets >> 16)
	var carry uint32
	s.bytes[d], carry = bits.Add32(s.bytes[d], uint32(h.Bytes), 0)
	high.bytes[d] += uint32(h.Bytes>>32) + carry
	if t.paths[s.Path].Protocol == packet.TCP {
		s.learn(d, segment{seq: h.Next, ack: h.Ack, flags: packet.FlagACK})
	}
}

// Restore makes an established session of a connection that somebody else has
// carried for us, by the tuples of both its ends, on a path: nil if it is not of
// that path, or its place is taken.
func (t *Table) Restore(id PathID, client, server *packet.Tuple, oneWay bool, idle, now Tick) *Session {
	p := t.paths[id]
	s := Session{
		Client: client.Src, ClientPort: client.SrcPort, VIPPort: client.DstPort, Path: id,
		LastUsed: now - idle, State: Established,
	}
	if p.Mode == FULLNAT {
		s.LocalPort = server.DstPort
	}
	if p.Protocol == packet.UDP {
		s.State, s.flags = OneWay, spoke<<Inbound
		if !oneWay {
			s.State, s.flags = TwoWay, spoke<<Inbound|spoke<<Outbound
		}
	}
	for d, want := range [...]*packet.Tuple{client, server} {
		var is packet.Tuple
		p.face(&is, &s.Client, &server.Dst, s.ClientPort, s.LocalPort, s.VIPPort, Direction(d))
		if is != *want {
			return nil
		}
	}
	for _, face := range [...]*packet.Tuple{client, server} {
		if other, _ := t.Find(face); other != nil {
			return nil
		}
	}
	number := t.vacancy()
	if number == 0 || t.roles[Home] >= t.openable {
		return nil
	}
	to := &t.sessions[number]
	*to = s
	if p.Mode == FULLNAT && !t.settle(to, number, p, server.Dst) {
		*to = Session{}
		return nil
	}
	t.occupy(number, cold{}, now)
	t.setBorn(to, t.stamp(now))
	p.count(to)
	for d := range p.Mode.faces() {
		t.don(to, d)
	}
	t.link(number, t.look(to, now))
	t.consider(number, to)
	return to
}
