package session

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"fleetlb/fullnat/packet"

	"pgregory.net/rapid"
)

// A fleet is several directors' tables and what they have told each other: it
// arrives in any order, at any time, and perhaps twice.
type fleet struct {
	now      Tick
	nodes    []*node
	ports    uint16 // of each local address in each slot
	messages []message
	paths    []PathKey
}

type node struct {
	name  string
	self  Owner
	table *Table
}

type message struct {
	from, to *node
	by       Owner // in which life
	record   []byte
}

// crowded are a few ports of one client that share a slot, by protocol: sessions
// then compete for local ports.
var crowded = func() map[uint8][]uint16 {
	m := map[uint8][]uint16{}
	for _, protocol := range []uint8{packet.TCP, packet.UDP} {
		for port := uint16(1); len(m[protocol]) < 5; port++ {
			if Slot(protocol, addr("198.51.100.7"), port) == 7 {
				m[protocol] = append(m[protocol], port)
			}
		}
	}
	return m
}()

func newFleet(t *rapid.T) *fleet {
	f := &fleet{now: rapid.SampledFrom([]Tick{1, ^Tick(0) - 2000}).Draw(t, "start"), ports: rapid.Uint16Range(1, 2).Draw(t, "ports")}
	for i := range 3 {
		n := &node{name: fmt.Sprintf("lb%d", i+1)}
		f.nodes = append(f.nodes, n)
		f.boot(n)
	}
	for _, mode := range []Mode{FULLNAT, NAT, DR} {
		for _, protocol := range []uint8{packet.TCP, packet.UDP} {
			for _, server := range []string{"10.0.0.11", "10.0.0.12"} {
				k := pathTo(addr(server))
				k.Mode, k.Protocol = mode, protocol
				f.paths = append(f.paths, k)
			}
		}
	}
	several := rangeTo(addr("10.0.0.11"), FULLNAT)
	several.VIPPort, several.VIPLast = 443, 444
	f.paths = append(f.paths, several)
	return f
}

// boot starts a director that remembers nothing. Its clock is right.
func (f *fleet) boot(n *node) {
	n.self = Owner{NodeIDOf(n.name), 1_800_000_000e9 + uint64(f.now)*100e6}
	n.table = NewTable(Config{Sessions: 40, Replicas: 80, Slots: [2]int{0, Slots}})
	n.table.SetSelf(n.self, f.now)
	n.table.SetLocals([]packet.Addr{addr("10.9.0." + n.name[2:])}, 1024, 1023+f.ports*Slots)
}

func (f *fleet) any(t *rapid.T) *node { return rapid.SampledFrom(f.nodes).Draw(t, "node") }

// say tells all others a record.
func (f *fleet) say(n *node, r *Record) {
	for _, to := range f.nodes {
		if to != n {
			f.messages = append(f.messages, message{n, to, n.self, r.AppendTo(nil, n.self)})
		}
	}
}

func (f *fleet) tell(n *node, s *Session) {
	var r Record
	n.table.Tell(s, f.now, &r)
	f.say(n, &r)
}

func (f *fleet) close(n *node, s *Session) {
	if s.Role() == Home && s.Shared() {
		var r Record
		n.table.Record(s, f.now, &r)
		r.Kind = Gone
		f.say(n, &r)
	}
	n.table.Close(s)
}

// open has a client open a connection, as a worker would.
func (f *fleet) open(t *rapid.T) {
	n := f.any(t)
	key := rapid.SampledFrom(f.paths).Draw(t, "path")
	client, port := addr("198.51.100.7"), rapid.SampledFrom(crowded[key.Protocol]).Draw(t, "port")
	in := packet.Tuple{Src: client, SrcPort: port, Dst: key.VIP, DstPort: 443, Protocol: key.Protocol}
	if s, _ := n.table.Find(&in); s != nil {
		switch {
		case key.Protocol == packet.UDP || s.State != TimeWait && s.State != Close:
			return
		case s.Role() == Home:
			f.close(n, s)
		}
	}
	s, outcome := n.table.OpenAt(client, port, 443, n.table.Bind(key), f.now)
	if outcome != Opened {
		return
	}
	if got, _ := n.table.Find(&in); got != s {
		t.Fatalf("%s: a session opened at %v is not found", n.name, in)
	}
	if key.Mode == FULLNAT {
		f.mine(t, n, s)
	}
	f.carry(n, s, Inbound, packet.FlagSYN)
	if rapid.Bool().Draw(t, "complete") {
		f.carry(n, s, Outbound, packet.FlagSYN|packet.FlagACK)
		f.carry(n, s, Inbound, packet.FlagACK)
	}
}

// end has a director need the place of a session that is over.
func (f *fleet) end(t *rapid.T) {
	n := f.any(t)
	var over []*Session
	n.each(func(s *Session) {
		if s.Role() == Home && yields[s.State] != never {
			over = append(over, s)
		}
	})
	if len(over) > 0 {
		f.close(n, rapid.SampledFrom(over).Draw(t, "over"))
	}
}

// mine checks that nobody else has the port of a session that was just opened, as
// far as its director can know.
func (f *fleet) mine(t *rapid.T, n *node, s *Session) {
	face := n.table.Face(s, Outbound)
	n.each(func(o *Session) {
		if o != s && n.table.Face(o, Outbound) == face {
			t.Fatalf("%s: %v is given out twice", n.name, face)
		}
	})
}

func (n *node) each(visit func(*Session)) { n.table.Each(0, 1<<20, visit) }

func (f *fleet) carry(n *node, s *Session, d Direction, flags uint8) {
	n.table.Adopt(s, f.now)
	seq, _ := s.Expects(d)
	ack, _ := s.Expects(1 - d)
	n.table.Track(s, d, tcpPacket(flags, seq, ack, 0), f.now)
	if s.News() {
		f.tell(n, s)
	}
}

// track carries a packet of a session at any director that has it.
func (f *fleet) track(t *rapid.T) {
	n := f.any(t)
	var faces []packet.Tuple
	n.each(func(s *Session) {
		for d := range n.table.paths[s.Path].Mode.faces() {
			faces = append(faces, n.table.Face(s, d))
		}
	})
	if len(faces) == 0 {
		return
	}
	face := rapid.SampledFrom(faces).Draw(t, "face")
	s, d := n.table.Find(&face)
	if s == nil {
		t.Fatalf("%s: nobody wears %v", n.name, face)
	}
	f.carry(n, s, d, rapid.SampledFrom([]uint8{
		packet.FlagACK, packet.FlagACK, packet.FlagFIN | packet.FlagACK, packet.FlagRST, packet.FlagSYN | packet.FlagACK,
	}).Draw(t, "flags"))
}

// wait lets time pass at all directors.
func (f *fleet) wait(t *rapid.T) {
	f.now += rapid.SampledFrom([]Tick{1, 30, 100, 600, 3500}).Draw(t, "wait")
	for _, n := range f.nodes {
		f.expire(n)
	}
}

func (f *fleet) expire(n *node) {
	var expired, touched [4]*Session
	for n.table.Behind(f.now) {
		e, u := n.table.Expire(f.now, expired[:], touched[:])
		for _, s := range expired[:e] {
			f.close(n, s)
		}
		for _, s := range touched[:u] {
			if s.Role() != Replica {
				f.tell(n, s)
			}
		}
	}
}

// deliver lets one message arrive, and perhaps again later.
func (f *fleet) deliver(t *rapid.T) {
	if len(f.messages) == 0 {
		return
	}
	i := rapid.IntRange(0, len(f.messages)-1).Draw(t, "message")
	m := f.messages[i]
	if !rapid.Bool().Draw(t, "again") {
		f.messages = slices.Delete(f.messages, i, i+1)
	}
	f.arrive(t, m)
}

func (f *fleet) arrive(t *rapid.T, m message) {
	var r Record
	if _, err := r.Parse(m.record, m.by); err != nil || r.Valid() != nil {
		t.Fatal(err, r.Valid())
	}
	table := m.to.table
	if r.Kind == Gone {
		table.Remove(&r)
		return
	}
	if r.Home.ID == m.to.self.ID && table.Held(&r) == nil {
		return // we know better
	}
	var before Record
	held := table.Held(&r)
	if held != nil {
		table.Record(held, f.now, &before)
	}
	s, what := table.Install(&r, f.now)
	switch {
	case what == Refused || what == NoRoom:
		t.Fatalf("%s: installed %+v: %d", m.to.name, r, what)
	case held != nil:
		f.joined(t, table, s, &before, &r)
		if s.News() {
			f.tell(m.to, s)
		}
	case s != nil && s.State != r.State:
		t.Fatalf("%s: created in %v from %v", m.to.name, s.State, r.State)
	}
}

// joined checks what became of a session that was known already.
func (f *fleet) joined(t *rapid.T, table *Table, s *Session, before, r *Record) {
	var after Record
	table.Record(s, f.now, &after)
	want, born := join(before.State, r.State), before.Born
	switch {
	case before.Born.before(r.Born):
		want, born = r.State, r.Born
	case r.Born.before(before.Born):
		want = before.State
	}
	if ahead := after.State != r.State || after.Born != r.Born; ahead && !s.News() {
		t.Fatalf("%v of %x heard %v of %x and says nothing", after.State, after.Born, r.State, r.Born)
	}
	if after.State != want || after.Born != born {
		t.Fatalf("%v of %x and %v of %x are %v of %x", before.State, before.Born, r.State, r.Born, after.State, after.Born)
	}
	if after.Idle > min(before.Idle, r.Idle) {
		t.Fatalf("idle for %d, heard %d: now %d", before.Idle, r.Idle, after.Idle)
	}
}

// restart has a director lose its memory, and what it had said last; the others
// tell it what they know of its sessions.
func (f *fleet) restart(t *rapid.T) {
	n := f.any(t)
	f.messages = slices.DeleteFunc(f.messages, func(m message) bool {
		if m.from == n && rapid.Bool().Draw(t, "heard") {
			f.arrive(t, m)
		}
		return m.from == n || m.to == n
	})
	f.now++
	f.boot(n)
	known := map[packet.Tuple]Born{} // by local port and server
	for _, o := range f.nodes {
		if o == n {
			continue
		}
		o.each(func(s *Session) {
			if o.table.HomeOf(s).ID != n.self.ID {
				return
			}
			var r Record
			o.table.Record(s, f.now, &r)
			_, what := n.table.Install(&r, f.now)
			if r.Mode != FULLNAT {
				return
			}
			face := r.Face(Outbound)
			switch old, there := known[face]; {
			case what == Created && there, what == Conflict, what == NoRoom, what == Refused:
				t.Fatalf("recovered: %d", what)
			case what == Replaced && !old.before(r.Born), what == Stale && there && old.before(r.Born):
				t.Fatalf("the older session wins: %d", what)
			case what != Stale && (!there || old.before(r.Born)):
				known[face] = r.Born
			}
		})
	}
	n.each(func(s *Session) {
		if s.Role() == Home && n.table.HomeOf(s) != n.self {
			t.Fatalf("recovered as of %v", n.table.HomeOf(s))
		}
	})
}

// check compares each table with what follows from its sessions.
func (f *fleet) check(t *rapid.T) {
	for _, n := range f.nodes {
		n.check(t)
	}
}

func (n *node) check(t *rapid.T) {
	table := n.table
	wearers := map[packet.Tuple][]*Session{}
	digests := map[NodeID]*[Slots]Digest{}
	ports := map[string]bool{}
	var roles [NumRoles]int
	var paths [3]int
	n.each(func(s *Session) {
		p := table.paths[s.Path]
		roles[s.Role()]++
		for d := range p.Mode.faces() {
			face := table.Face(s, d)
			wearers[face] = append(wearers[face], s)
		}
		switch {
		case s.Role() == Replica:
			paths[2]++
		case active[s.State]:
			paths[0]++
		default:
			paths[1]++
		}
		if s.Role() != Home && !s.Shared() {
			t.Fatalf("%s: a %v that is not shared", n.name, s.Role())
		}
		if s.Shared() {
			id := table.HomeOf(s).ID
			if digests[id] == nil {
				digests[id] = new([Slots]Digest)
			}
			d := &digests[id][Slot(p.Protocol, s.Client, s.ClientPort)]
			d.Count++
			d.Sum ^= table.fingerprint(s)
		}
		if l := table.ports.locals[s.local]; l.current {
			o := p.endpoint.pools[s.local]
			if o.slots[s.LocalPort%Slots].used[s.LocalPort/Slots/64]&(1<<(s.LocalPort/Slots%64)) == 0 {
				t.Fatalf("%s: the port of a %v is free", n.name, s.Role())
			}
			ports[fmt.Sprint(p.endpoint.endpointKey, s.local, s.LocalPort)] = true
		}
	})
	if table.Roles() != roles {
		t.Fatalf("%s: roles %v, want %v", n.name, table.Roles(), roles)
	}
	for _, p := range table.Paths() {
		paths[0] -= int(p.Active)
		paths[1] -= int(p.Inactive)
		paths[2] -= int(p.Replicas)
	}
	if paths != [3]int{} {
		t.Fatalf("%s: paths count %v too few active, inactive, replicas", n.name, paths)
	}
	shadows := 0
	for face, all := range wearers {
		best := slices.MaxFunc(all, func(a, b *Session) int { return table.rank(a, b, face.Protocol) })
		if s, _ := table.Find(&face); s != best {
			t.Fatalf("%s: %v is worn by %+v, want %+v", n.name, face, s, best)
		}
		shadows += len(all) - 1
	}
	if table.shadows != shadows {
		t.Fatalf("%s: %d shadows, want %d", n.name, table.shadows, shadows)
	}
	used := 0
	for u := range table.PortUse() {
		used += u.Ports
	}
	if used != len(ports) {
		t.Fatalf("%s: %d ports in use, want %d", n.name, used, len(ports))
	}
	for _, id := range table.Homes() {
		if digests[id] == nil && id == n.self.ID {
			t.Fatalf("%s: its own digests are of nothing", n.name)
		}
	}
	for id, want := range digests {
		for slot := range Slots {
			if got := table.Digest(id, uint8(slot)); got != want[slot] {
				t.Fatalf("%s: digest of %v slot %d is %v, want %v", n.name, id, slot, got, want[slot])
			}
		}
	}
}

// rank says in other words who wears a face.
func (t *Table) rank(a, b *Session, protocol uint8) int {
	alive := func(s *Session) int {
		switch s.State {
		case Established, FinWait, CloseWait, LastAck, TwoWay:
			return 1
		}
		return 0
	}
	age := int64(t.bornOf(a)) - int64(t.bornOf(b))
	if protocol == packet.UDP {
		age = -age
	}
	return cmp.Or(cmp.Compare(alive(a), alive(b)), cmp.Compare(age, 0), t.orders(a, b))
}

// settle lets everything arrive and time pass until what nobody touches is gone:
// then all directors know the same.
func (f *fleet) settle(t *rapid.T) {
	arrive := func() {
		for len(f.messages) > 0 {
			m := f.messages[0]
			f.messages = f.messages[1:]
			f.arrive(t, m)
		}
	}
	arrive()
	for range 14 { // 1,260 s: a replica stays for 1,210 s at most
		for range 9 {
			f.now += 10 * second
			for _, n := range f.nodes {
				n.each(func(s *Session) {
					if s.Role() == Home {
						s.LastUsed = f.now
					}
				})
				f.expire(n)
			}
			arrive()
		}
	}
	f.check(t)
	for _, home := range f.nodes {
		for _, n := range f.nodes {
			for slot := range Slots {
				if got, want := n.table.Digest(home.self.ID, uint8(slot)), home.table.Digest(home.self.ID, uint8(slot)); got != want {
					t.Fatalf("%s has %v of %s slot %d, which has %v\n%s\n%s", n.name, got, home.name, slot, want, n.sessions(home), home.sessions(home))
				}
			}
		}
	}
}

// sessions lists what a director has of another's.
func (n *node) sessions(home *node) (all string) {
	n.each(func(s *Session) {
		if n.table.HomeOf(s).ID == home.self.ID {
			all += fmt.Sprintf("\n%v %v %v of %x: %v", n.table.Face(s, Inbound), s.State, s.Role(), n.table.bornOf(s), n.table.Face(s, Outbound))
		}
	})
	return all
}

func TestFleet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFleet(t)
		actions := []func(*rapid.T){f.wait, f.restart}
		for range 5 {
			actions = append(actions, f.open, f.end, f.track, f.track, f.deliver, f.deliver, f.deliver)
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			actions[rapid.IntRange(0, len(actions)-1).Draw(t, "action")](t)
			f.check(t)
		}
		f.settle(t)
	})
}
