package replica

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A memory is Sessions in a map, by the rules of a dataplane.
type memory struct {
	mu      sync.Mutex
	self    session.Owner
	all     map[uint64]session.Record
	digests digests // of all
	engine  *Engine
	noRoom  bool
	deaf    bool          // never answers a Lookup
	slow    time.Duration // it takes to tell its Digests
	applied int
	order   []uint16 // client ports of what was applied, if noting
	noting  bool
	found   map[packet.Tuple]*session.Record
	asked   int
}

func newMemory(self session.Owner) *memory {
	return &memory{self: self, all: map[uint64]session.Record{}, digests: digests{}, found: map[packet.Tuple]*session.Record{}}
}

func (m *memory) Apply(from session.Owner, solicited bool, records []session.Record) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.noRoom {
		return false
	}
	for i := range records {
		r := records[i]
		m.applied++
		if m.noting {
			m.order = append(m.order, r.ClientPort)
		}
		_, have := m.all[identify(&r)]
		switch {
		case r.Kind == session.Mark:
			if *m.digest(r.Home.ID, r.Slot) != r.Digest {
				m.engine.Differs(r.Home.ID, r.Slot)
			}
		case r.Kind == session.Gone:
			if r.Home.ID == from.ID {
				m.remove(&r)
			}
		case solicited || have || r.Home.ID == from.ID:
			m.put(&r)
		}
	}
	return true
}

func (m *memory) put(r *session.Record) {
	m.remove(r)
	m.all[identify(r)] = *r
	d := m.digest(r.Home.ID, r.ClientSlot())
	d.Count++
	d.Sum ^= fingerprint(r)
}

func (m *memory) remove(r *session.Record) {
	id := identify(r)
	if old, have := m.all[id]; have {
		d := m.digest(old.Home.ID, old.ClientSlot())
		d.Count--
		d.Sum ^= fingerprint(&old)
		delete(m.all, id)
	}
}

func (m *memory) Found(t packet.Tuple, r *session.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.found[t] = r
}

func (m *memory) Lookup(tuples []packet.Tuple, reply func([]session.Record)) {
	m.mu.Lock()
	m.asked += len(tuples)
	var records []session.Record
	for _, r := range m.all {
		if slices.Contains(tuples, r.Face(session.Inbound)) || slices.Contains(tuples, r.Face(session.Outbound)) {
			records = append(records, r)
		}
	}
	deaf := m.deaf
	m.mu.Unlock()
	if !deaf {
		reply(records)
	}
}

func (m *memory) Export(ctx context.Context, q session.Query) iter.Seq2[[]session.Record, error] {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.all))
	m.mu.Unlock()
	return func(yield func([]session.Record, error) bool) {
		all = slices.DeleteFunc(all, func(r session.Record) bool { return !q.Matches(r.Home.ID, r.ClientSlot()) })
		for chunk := range slices.Chunk(all, 100) {
			if !yield(chunk, nil) {
				return
			}
		}
	}
}

func (m *memory) digest(home session.NodeID, slot uint8) *session.Digest {
	if m.digests[home] == nil {
		m.digests[home] = new([session.Slots]session.Digest)
	}
	return &m.digests[home][slot]
}

func fingerprint(r *session.Record) uint64 {
	b := binary.BigEndian.AppendUint16(nil, r.LocalPort)
	return xxhash.Sum64(append(append(append(b, r.Local[:]...), r.Server[:]...), byte(r.State)))
}

func (m *memory) Digests(context.Context) (map[session.NodeID]*[session.Slots]session.Digest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slow := m.slow; slow > 0 {
		m.mu.Unlock()
		time.Sleep(slow)
		m.mu.Lock()
	}
	all := digests{}
	for home, d := range m.digests {
		own := *d
		all[home] = &own
	}
	return all, nil
}

// count is how many sessions of a home there are.
func (m *memory) count(home session.NodeID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for slot := range session.Slots {
		n += int(m.digest(home, uint8(slot)).Count)
	}
	return n
}

// open has the director open sessions first..first+n-1 and tells of them.
func (m *memory) open(first, n int) {
	m.tell(first, n, m.put)
}

// end has it end them.
func (m *memory) end(first, n int) {
	m.tell(first, n, func(r *session.Record) {
		m.remove(r)
		r.Kind = session.Gone
	})
}

func (m *memory) tell(first, n int, change func(*session.Record)) {
	var records []session.Record
	m.mu.Lock()
	for i := range n {
		r := record(m.self, first+i)
		change(&r)
		records = append(records, r)
	}
	m.mu.Unlock()
	m.engine.Tell(0, records)
}

// mark has it mark a slot.
func (m *memory) mark(slot uint8) {
	m.mu.Lock()
	d := *m.digest(m.self.ID, slot)
	m.mu.Unlock()
	m.engine.Tell(0, []session.Record{{Kind: session.Mark, Home: m.self, Slot: slot, Digest: d}})
}

// block returns a director's local addresses.
func block(id session.NodeID) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(id >> 8), byte(id), 0}), 24)
}

// record returns the n-th session of a director; two with the same n have the
// same client.
func record(home session.Owner, n int) session.Record {
	r := session.Record{
		PathKey: session.PathKey{
			VIP: addr("203.0.113.10"), VIPPort: 80, Server: addr("10.3.0.11"), ServerPort: 8080,
			Protocol: packet.TCP, Mode: session.FULLNAT,
		},
		Port: 80, Born: 1,
		Client: packet.AddrFrom(netip.AddrFrom4([4]byte{198, 51, byte(n >> 22), byte(n >> 14)})), ClientPort: uint16(1024 + n&0x3fff),
		Home: home, State: session.Established,
	}
	b := block(home.ID).Addr().As4()
	b[3] = byte(n)
	r.Local = packet.AddrFrom(netip.AddrFrom4(b))
	r.LocalPort = uint16(4+n>>8%240)<<8 | uint16(r.ClientSlot())
	return r
}

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

// A fleet is directors on a network, with a memory each.
type fleet struct {
	*network
	t         testing.TB
	directors []*director
	options   Options
}

type director struct {
	*memory
	*Engine
	stop func()
}

func newFleet(t testing.TB, n int) *fleet {
	f := &fleet{network: newNetwork(1), t: t}
	for i := range n {
		d := f.start(session.Owner{ID: session.NodeID(i + 1), Epoch: 1})
		d.complete(d.memory.self) // there was nothing before
	}
	f.meet()
	return f
}

// start begins a director's life, without anybody knowing it yet.
func (f *fleet) start(self session.Owner) *director {
	o := f.options
	o.Blocks = []netip.Prefix{block(self.ID)}
	d := &director{memory: newMemory(self)}
	d.Engine = New(self, wire{f.network, self.ID}, d.memory, o)
	d.memory.engine = d.Engine
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	d.stop = func() {
		cancel()
		<-done
	}
	f.t.Cleanup(d.stop)
	f.set(func() { f.engines[self.ID], f.owners[self.ID] = d.Engine, self })
	f.directors = append(f.directors, d)
	return d
}

// meet lets all know all.
func (f *fleet) meet() {
	for _, d := range f.directors {
		d.SetMembers(f.others(d))
	}
}

func (f *fleet) others(d *director) (all []Member) {
	for _, o := range f.directors {
		if o != d {
			all = append(all, member(o.memory.self))
		}
	}
	return all
}

func member(o session.Owner) Member {
	return Member{ID: o.ID, Epoch: o.Epoch, Blocks: []netip.Prefix{block(o.ID)}, Serving: true}
}

// kill ends a director, which the others notice at once.
func (f *fleet) kill(d *director) {
	f.set(func() { delete(f.engines, d.memory.self.ID) })
	d.stop()
	f.directors = slices.DeleteFunc(f.directors, func(o *director) bool { return o == d })
	f.meet()
}

// held says how many directors besides its home have each of the sessions of d.
func (f *fleet) held(d *director) map[int]int {
	copies := map[int]int{}
	d.memory.mu.Lock()
	ids := slices.Collect(maps.Keys(d.all))
	d.memory.mu.Unlock()
	for _, id := range ids {
		n := 0
		for _, o := range f.directors {
			if o == d {
				continue
			}
			o.memory.mu.Lock()
			if _, ok := o.all[id]; ok {
				n++
			}
			o.memory.mu.Unlock()
		}
		copies[n]++
	}
	return copies
}

// whole says what is missing for every session of d to be with its keepers.
func (f *fleet) whole(d *director) error {
	for n, sessions := range f.held(d) {
		if n < min(2, len(f.directors)-1) {
			return fmt.Errorf("%d sessions of director %v have %d copies", sessions, d.memory.self, n)
		}
	}
	return nil
}

// eventually waits until it holds, for so long.
func eventually(t testing.TB, d time.Duration, holds func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(d); ; time.Sleep(max(d/200, time.Millisecond)) {
		if err = holds(); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v: %v", d, err)
		}
	}
}
