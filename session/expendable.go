package session

import (
	"math/bits"

	"fleetlb/fullnat/packet"
)

// A readiness is how a session takes it that another needs its place.
type readiness uint8

const (
	never       readiness = iota // both ends believe in it
	reluctantly                  // it is over, but the server may still hold the port
	gladly                       // nobody has agreed to it yet, or it is quite over
)

// yields says how readily sessions give way. A flood of SYNs displaces itself:
// whoever answers the server has acknowledged a number that only reached the
// client, and is safe from then on.
var yields = [NumStates]readiness{
	None: gladly, SynSent: gladly, SynRecv: gladly, Close: gladly, OneWay: gladly,
	TimeWait: reluctantly,
}

// readier returns whichever of two sessions gives way more readily, a if both do
// alike, nil if neither does. Either may be nil.
func readier(a, b *Session) *Session {
	if a == nil || b != nil && yields[b.State] > yields[a.State] {
		a = b
	}
	if a == nil || yields[a.State] == never {
		return nil
	}
	return a
}

// portLooks is how many sessions Expendable looks at among those that hold ports.
const portLooks = 16

// Expendable returns a session to be closed so that the client's new one on the
// path, which Open has just refused for the reason why, gets its place. It goes
// round like the hand of a clock, so it comes upon the oldest first, and it does
// not go far: nil means that hardly any would give way.
func (t *Table) Expendable(why Outcome, client packet.Addr, port uint16, path PathID) *Session {
	switch why {
	case Full:
		var ok bool
		if t.hand, ok = t.yielding.after(t.hand); ok {
			return &t.sessions[t.hand]
		}
	case NoPort:
		return t.expendableOfPorts(client, port, t.paths[path])
	}
	return nil
}

// numbers is a set of session numbers, a bit for each.
type numbers []uint64

func newNumbers(n int) numbers { return make(numbers, (n+63)/64) }

func (s numbers) add(n uint32)    { s[n/64] |= 1 << (n % 64) }
func (s numbers) remove(n uint32) { s[n/64] &^= 1 << (n % 64) }

// far is how many words after looks through: 131,072 numbers, a microsecond.
const far = 2048

// after returns the number that comes after n in the set, going round, or else
// where to go on looking.
func (s numbers) after(n uint32) (next uint32, ok bool) {
	at := int(n / 64)
	word := s[at] &^ (2<<(n%64) - 1)
	for range min(far, len(s)) {
		if word != 0 {
			break
		}
		if at++; at == len(s) {
			at = 0
		}
		word = s[at]
	}
	return uint32(at*64 + bits.TrailingZeros64(word)%64), word != 0
}

// expendableOfPorts looks among the sessions that hold the ports of the client's
// slot towards the path's server, the one first that was given out first.
func (t *Table) expendableOfPorts(client packet.Addr, port uint16, p *Path) (found *Session) {
	slot := int(Slot(p.Protocol, client, port))
	own := slot - t.ports.slots[0]
	choice := t.ports.current[family(p.Server)]
	if p.Mode != FULLNAT || len(choice) == 0 || own < 0 || slot >= t.ports.slots[1] {
		return nil
	}
	local := choice[int(p.endpoint.turn[own])%len(choice)]
	pool := t.ports.pool(p.endpoint, local)
	o := &pool.slots[own]
	face := packet.Tuple{Src: p.Server, SrcPort: p.ServerPort, Dst: t.ports.locals[local].addr, Protocol: p.Protocol}
	lo, hi := t.ports.steps(slot)
	for range min(portLooks, hi-lo+1) {
		step := int(o.next)
		if step < lo || step > hi {
			step = lo
		}
		o.next = uint8(step + 1)
		face.DstPort = uint16(step*Slots + slot)
		if pool.holders != nil {
			found = readier(found, t.holder(pool.holders[pool.holder(own, step)], p.endpoint, local, face.DstPort))
		} else if s, _ := t.Find(&face); s != nil && s.Role() == Home {
			found = readier(found, s)
		}
		if found != nil && yields[found.State] == gladly {
			break
		}
	}
	return found
}

// holder returns the session of a number if it still has the port towards the
// endpoint.
func (t *Table) holder(number uint32, e *endpoint, local uint16, port uint16) *Session {
	s := &t.sessions[number]
	if s.Path == 0 || s.local != local || s.LocalPort != port || t.paths[s.Path].endpoint != e {
		return nil
	}
	return s
}
