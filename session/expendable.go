package session

import "fleetlb/fullnat/packet"

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

// How many sessions Expendable looks at: those that lie side by side in memory,
// and those that it takes a look-up to find.
const (
	looksOverAll   = 64
	looksOverPorts = 16
)

// Expendable returns a session to be closed so that the client's new one on the
// path, which Open has just refused for the reason why, gets its place. It goes
// round like the hand of a clock, so it comes upon the oldest first, and it
// looks at a few only: nil means that hardly any would give way.
func (t *Table) Expendable(why Outcome, client packet.Addr, port uint16, path PathID) *Session {
	switch why {
	case Full:
		return t.expendableOfAll()
	case NoPort:
		return t.expendableOfPorts(client, port, t.paths[path])
	}
	return nil
}

func (t *Table) expendableOfAll() (found *Session) {
	for range min(looksOverAll, len(t.sessions)-1) {
		if t.hand++; int(t.hand) >= len(t.sessions) {
			t.hand = 1
		}
		if s := &t.sessions[t.hand]; s.Path != 0 {
			found = readier(found, s)
		}
		if found != nil && yields[found.State] == gladly {
			break
		}
	}
	return found
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
	o := &t.ports.pool(p.endpoint, local).slots[own]
	face := packet.Tuple{Src: p.Server, SrcPort: p.ServerPort, Dst: t.ports.locals[local].addr, Protocol: p.Protocol}
	lo, hi := t.ports.steps(slot)
	for range min(looksOverPorts, hi-lo+1) {
		step := int(o.next)
		if step < lo || step > hi {
			step = lo
		}
		o.next = uint8(step + 1)
		face.DstPort = uint16(step*Slots + slot)
		if s, _ := t.Find(&face); s != nil {
			found = readier(found, s)
		}
		if found != nil && yields[found.State] == gladly {
			break
		}
	}
	return found
}
