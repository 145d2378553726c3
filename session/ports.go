package session

import (
	"math/bits"
	"math/rand/v2"

	"fleetlb/fullnat/packet"
)

// A local port must be unique towards one server endpoint only, so there is one
// pool for each pair of local address and endpoint: exact sets of the ports in
// use, by slot. The alternatives are to try ports at random until the index
// knows none of them, which slows down as ports run out and finds the last one
// by luck, and one pool for each local address, which would share 64,000 ports
// among all servers.

//
// The servers of a service with several ports that keep the client's would be as
// many endpoints as clients ask for ports, and whoever scans a VIP would have the
// memory for all of them taken. Such a server is one endpoint, of port 0: its
// sessions share the local ports whatever port they are for. Where the same
// server is an endpoint of one port as well, two sets know of its ports, and what
// one gives out is looked up in the index first.

// A local is one address sessions were given.
type local struct {
	addr     packet.Addr
	current  bool   // new sessions may take it
	pooled   bool   // its ports in use are known; those of other directors' blocks need not be
	sessions uint32 // that have it
}

// An endpointKey is what local ports are unique towards.
type endpointKey struct {
	addr     packet.Addr
	port     uint16 // 0: any
	protocol uint8
}

// An endpoint is one server's address, port and protocol, whatever services and
// thus paths lead to it.
type endpoint struct {
	endpointKey
	paths int     // that lead here
	pools []*pool // by local; nil until needed

	// turn is, for each slot, which of the current locals was last taken. It
	// stays there until that one has no port left, so that no more pools are
	// made than are needed and a freed port rests for as long as possible.
	turn []uint16
}

// A pool is the local ports of one local address towards one endpoint.
type pool struct {
	used    int
	slots   []slotPorts // of the slots the table owns
	holders []uint32    // towards port 0: the number of the session that took each port last, by slot and step
}

// ports is all local addresses and all pools of a table.
type ports struct {
	slots     [2]int
	lo, hi    int // new sessions' ports, both included
	locals    []local
	places    map[packet.Addr]uint16 // of the locals
	vacant    []uint16
	current   [2][]uint16 // the locals new sessions take, by family
	endpoints map[endpointKey]*endpoint
	manyPorts int // endpoints of port 0
}

func newPorts(slots [2]int) ports {
	return ports{
		slots: slots, lo: 1024, hi: 65535,
		locals:    make([]local, 1), // 0 stands for none
		places:    make(map[packet.Addr]uint16),
		endpoints: make(map[endpointKey]*endpoint),
	}
}

// family is the index into current for an address.
func family(a packet.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// SetLocals declares the local addresses that new sessions take, and their
// ports, lo to hi, both included. Sessions that there are keep what they have.
func (t *Table) SetLocals(addrs []packet.Addr, lo, hi uint16) {
	p := &t.ports
	p.lo, p.hi = int(lo), int(hi)
	for i := range p.locals {
		p.locals[i].current = false
	}
	p.current = [2][]uint16{}
	for _, a := range addrs {
		i, _ := p.intern(a, maxLocals)
		if l := &p.locals[i]; i != 0 && !l.current {
			l.current = true
			p.current[family(a)] = append(p.current[family(a)], i)
			t.pool(i)
		}
	}
	for _, e := range p.endpoints {
		for i, o := range e.pools {
			if o != nil && o.used == 0 && !p.locals[i].current {
				e.pools[i] = nil
			}
		}
	}
	for i := range p.locals {
		p.vacate(uint16(i))
	}
}

// maxLocals is how many local addresses sessions can name; maxForeign leaves some
// for our own.
const (
	maxLocals  = 1<<16 - 1
	maxForeign = maxLocals - 1<<12
)

// intern returns the place of a local address, or reports that there would be more
// than so many.
func (p *ports) intern(a packet.Addr, limit int) (place uint16, ok bool) {
	if place, ok = p.places[a]; ok {
		return place, true
	}
	if n := len(p.vacant); n > 0 {
		place, p.vacant = p.vacant[n-1], p.vacant[:n-1]
	} else if len(p.locals) <= limit {
		place = uint16(len(p.locals))
		p.locals = append(p.locals, local{})
	} else {
		return 0, false
	}
	p.locals[place] = local{addr: a}
	p.places[a] = place
	return place, true
}

// vacate gives the place of a local address away if nobody needs it: it is not
// current, has no sessions and therefore no pool.
func (p *ports) vacate(place uint16) {
	l := &p.locals[place]
	if !l.current && l.sessions == 0 && place != 0 && p.places[l.addr] == place {
		delete(p.places, l.addr)
		*l = local{}
		p.vacant = append(p.vacant, place)
	}
}

// pool has the ports of a local address that are in use known from now on: new
// sessions are going to take the others.
func (t *Table) pool(place uint16) {
	l := &t.ports.locals[place]
	if l.pooled {
		return
	}
	l.pooled = true
	if l.sessions == 0 {
		return
	}
	t.Each(0, len(t.sessions), func(s *Session) {
		if s.local == place {
			t.ports.claim(s, t.number(s), t.paths[s.Path])
		}
	})
}

// settle gives a session of which we were told its local address, and makes sure
// that nobody else gets its port, where that is for us to see to.
func (t *Table) settle(s *Session, number uint32, path *Path, a packet.Addr) bool {
	place, ok := t.ports.intern(a, maxForeign)
	if !ok {
		return false
	}
	s.local = place
	l := &t.ports.locals[place]
	if l.sessions++; l.pooled {
		t.ports.claim(s, number, path)
	}
	return true
}

// claim marks the port of s as used.
func (p *ports) claim(s *Session, number uint32, path *Path) {
	o := p.pool(path.endpoint, s.local)
	own, step := int(s.LocalPort%Slots)-p.slots[0], int(s.LocalPort/Slots)
	if !o.slots[own].claim(step) {
		o.used++
	}
	p.hold(s, path, number)
}

func (p *ports) bind(k endpointKey) *endpoint {
	e := p.endpoints[k]
	if e == nil {
		e = &endpoint{endpointKey: k, turn: make([]uint16, p.slots[1]-p.slots[0])}
		p.endpoints[k] = e
		if k.port == 0 {
			p.manyPorts++
		}
	}
	e.paths++
	return e
}

func (p *ports) unbind(e *endpoint) {
	if e.paths--; e.paths > 0 {
		return
	}
	delete(p.endpoints, e.endpointKey)
	if e.port == 0 {
		p.manyPorts--
	}
}

// mingles says whether another endpoint's sessions may have local ports towards
// the same port of the server.
func (p *ports) mingles(e *endpoint) bool {
	if e.port == 0 || p.manyPorts == 0 {
		return e.port == 0
	}
	return p.endpoints[endpointKey{e.addr, 0, e.protocol}] != nil
}

// hold notes whose port it is, where nothing else would lead from the port to its
// session.
func (p *ports) hold(s *Session, path *Path, number uint32) {
	if o := path.endpoint.pools[s.local]; o.holders != nil {
		o.holders[o.holder(int(s.LocalPort%Slots)-p.slots[0], int(s.LocalPort/Slots))] = number
	}
}

func (o *pool) holder(own, step int) int { return own*Slots + step }

// take gives s a local address and a port towards the server of its path. It
// reports failure if there is none left in the client's slot, or if that slot
// is not the table's.
func (p *ports) take(s *Session, path *Path) bool {
	slot := int(Slot(path.Protocol, s.Client, s.ClientPort))
	if slot < p.slots[0] || slot >= p.slots[1] {
		return false
	}
	e := path.endpoint
	choice := p.current[family(path.Server)]
	turn := &e.turn[slot-p.slots[0]]
	for range choice {
		if int(*turn) >= len(choice) {
			*turn = 0
		}
		i := choice[*turn]
		o := p.pool(e, i)
		if step, ok := o.slots[slot-p.slots[0]].take(p.steps(slot)); ok {
			o.used++
			p.locals[i].sessions++
			s.local, s.LocalPort = i, uint16(step*Slots+slot)
			return true
		}
		*turn++
	}
	return false
}

// free takes them back.
func (p *ports) free(s *Session, path *Path, number uint32) {
	e := path.endpoint
	l := &p.locals[s.local]
	l.sessions--
	if l.pooled {
		o := e.pools[s.local]
		own, step := int(s.LocalPort%Slots)-p.slots[0], int(s.LocalPort/Slots)
		if o.holders == nil || o.holders[o.holder(own, step)] == number {
			o.slots[own].free(step)
			o.used--
		}
		if o.used == 0 && !l.current {
			e.pools[s.local] = nil
		}
	}
	p.vacate(s.local)
}

// pool returns the pool of a local address towards e, making it if need be.
func (p *ports) pool(e *endpoint, local uint16) *pool {
	for int(local) >= len(e.pools) {
		e.pools = append(e.pools, nil)
	}
	if e.pools[local] == nil {
		e.pools[local] = newPool(p.slots[1]-p.slots[0], e.port == 0)
	}
	return e.pools[local]
}

// newPool starts each slot somewhere else, so that a director that has lost its
// memory does not give out again the ports it gave out first last time.
func newPool(slots int, holders bool) *pool {
	o := &pool{slots: make([]slotPorts, slots)}
	if holders {
		o.holders = make([]uint32, slots*Slots)
	}
	for i := range o.slots {
		o.slots[i].next = uint8(rand.Uint32())
	}
	return o
}

// steps returns which ports of a slot are in range: port = step × Slots + slot.
func (p *ports) steps(slot int) (lo, hi int) {
	return max(p.lo-slot+Slots-1, 0) / Slots, (p.hi-slot+Slots)/Slots - 1
}

// slotPorts is the set of ports in use of one slot, one bit each, and where to
// look for the next one.
type slotPorts struct {
	used [Slots / 64]uint64
	next uint8
}

// take uses the first free step from next on, going round from hi to lo. It
// looks at no more than five words.
func (o *slotPorts) take(lo, hi int) (step int, ok bool) {
	from := int(o.next)
	if from < lo || from > hi {
		from = lo
	}
	if step, ok = o.firstFree(from, hi); !ok {
		if step, ok = o.firstFree(lo, from-1); !ok {
			return 0, false
		}
	}
	o.used[step/64] |= 1 << (step % 64)
	o.next = uint8(step + 1)
	return step, true
}

// firstFree returns the first free step from lo to hi, both included.
func (o *slotPorts) firstFree(lo, hi int) (step int, ok bool) {
	for step = lo; step <= hi; step = (step/64 + 1) * 64 {
		if free := ^o.used[step/64] >> (step % 64); free != 0 {
			step += bits.TrailingZeros64(free)
			return step, step <= hi
		}
	}
	return 0, false
}

// claim uses a step and reports whether it was used already.
func (o *slotPorts) claim(step int) (was bool) {
	was = o.used[step/64]&(1<<(step%64)) != 0
	o.used[step/64] |= 1 << (step % 64)
	return was
}

func (o *slotPorts) free(step int) { o.used[step/64] &^= 1 << (step % 64) }
