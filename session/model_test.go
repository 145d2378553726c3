package session

import (
	"encoding/binary"
	"slices"
	"testing"

	"fleetlb/fullnat/packet"

	"pgregory.net/rapid"
)

// model is a table as one would write it without a care for speed, beside the
// real one.
type model struct {
	table    *Table
	capacity int
	now      Tick
	keys     []PathKey
	live     map[PathKey]bool
	sessions []*modelSession
	locals   []packet.Addr
	lo, hi   uint16
}

type modelSession struct {
	real     *Session
	faces    [2]packet.Tuple
	key      PathKey
	state    State
	lastUsed Tick
}

func newModel(t *rapid.T) *model {
	m := &model{capacity: 60, live: map[PathKey]bool{}, now: rapid.Custom(func(t *rapid.T) Tick { return Tick(rapid.Uint32().Draw(t, "now")) }).Draw(t, "start")}
	m.table = NewTable(Config{Sessions: m.capacity, Slots: [2]int{0, Slots}})
	for _, server := range []string{"10.0.0.11", "10.0.0.12", "2001:db8::11"} {
		for _, vip := range []string{"203.0.113.80", "203.0.113.81"} {
			for _, protocol := range []uint8{packet.TCP, packet.UDP} {
				for mode := FULLNAT; mode <= TUN; mode++ {
					k := PathKey{VIP: addr(vip), Server: addr(server), VIPPort: 443, ServerPort: 8443, Protocol: protocol, Mode: mode}
					if !k.Server.Is4() {
						k.VIP = addr("2001:db8::80")
					}
					m.keys = append(m.keys, k)
				}
			}
		}
	}
	m.setLocals(t)
	return m
}

func (m *model) setLocals(t *rapid.T) {
	all := []packet.Addr{addr("10.9.0.1"), addr("10.9.0.2"), addr("2001:db8:9::1"), addr("2001:db8:9::2")}
	m.locals = rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID).Draw(t, "locals")
	m.lo = rapid.SampledFrom([]uint16{1024, 60000, 65000}).Draw(t, "lo")
	m.hi = m.lo + rapid.Uint16Range(0, 500).Draw(t, "ports")
	m.table.SetLocals(m.locals, m.lo, m.hi)
}

// snapshot marks other paths live, as a worker does.
func (m *model) snapshot(t *rapid.T) {
	for _, p := range m.table.Paths() {
		p.Live = false
	}
	clear(m.live)
	for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom(m.keys), 0, 4, rapid.ID).Draw(t, "live") {
		m.table.Path(m.table.Bind(k)).Live = true
		m.live[k] = true
	}
	m.table.Sweep()
}

func (m *model) open(t *rapid.T) {
	key := rapid.SampledFrom(m.keys).Draw(t, "path")
	client := rapid.SampledFrom([]packet.Addr{addr("198.51.100.7"), addr("198.51.100.8")}).Draw(t, "client")
	port := rapid.Uint16Range(1, 30).Draw(t, "port")
	in := packet.Tuple{Src: client, Dst: key.VIP, SrcPort: port, DstPort: key.VIPPort, Protocol: key.Protocol}
	if m.find(in) != nil {
		return
	}

	s, outcome := m.table.Open(client, port, m.table.Bind(key), m.now)
	if want := m.mayOpen(key, client, port); want != outcome {
		t.Fatalf("open: outcome %d, want %d", outcome, want)
	}
	if outcome != Opened {
		if s != nil {
			t.Fatalf("outcome %d with a session", outcome)
		}
		return
	}
	n := &modelSession{real: s, key: key, lastUsed: m.now, state: s.State}
	n.faces[Inbound] = in
	switch out := (packet.Tuple{Src: key.Server, SrcPort: key.ServerPort, Protocol: key.Protocol}); key.Mode {
	case FULLNAT:
		out.Dst, out.DstPort = m.table.Local(s), s.LocalPort
		if !slices.Contains(m.locals, out.Dst) || out.DstPort < m.lo || out.DstPort > m.hi || uint8(out.DstPort) != Slot(key.Protocol, client, port) {
			t.Fatalf("given %v:%d", out.Dst, out.DstPort)
		}
		if m.find(out) != nil {
			t.Fatalf("%v:%d is in use towards this server", out.Dst, out.DstPort)
		}
		n.faces[Outbound] = out
	case NAT:
		out.Dst, out.DstPort = client, port
		n.faces[Outbound] = out
	}
	m.sessions = append(m.sessions, n)
}

// mayOpen says what opening a session must come to.
func (m *model) mayOpen(key PathKey, client packet.Addr, port uint16) Outcome {
	if len(m.sessions) == m.capacity {
		return Full
	}
	switch key.Mode {
	case NAT:
		if m.find(packet.Tuple{Src: key.Server, Dst: client, SrcPort: key.ServerPort, DstPort: port, Protocol: key.Protocol}) != nil {
			return Taken
		}
	case FULLNAT:
		slot := Slot(key.Protocol, client, port)
		for _, l := range m.locals {
			if l.Is4() != key.Server.Is4() {
				continue
			}
			for p := int(m.lo); p <= int(m.hi); p++ {
				if uint8(p) == slot && m.find(packet.Tuple{Src: key.Server, Dst: l, SrcPort: key.ServerPort, DstPort: uint16(p), Protocol: key.Protocol}) == nil {
					return Opened
				}
			}
		}
		return NoPort
	}
	return Opened
}

func (m *model) find(tu packet.Tuple) *modelSession {
	for _, s := range m.sessions {
		if s.faces[Inbound] == tu || s.faces[Outbound] == tu && tu.Protocol != 0 {
			return s
		}
	}
	return nil
}

func (m *model) any(t *rapid.T) *modelSession {
	if len(m.sessions) == 0 {
		t.Skip("no session")
	}
	return rapid.SampledFrom(m.sessions).Draw(t, "session")
}

func (m *model) forget(n *modelSession) {
	m.table.Close(n.real)
	m.sessions = slices.DeleteFunc(m.sessions, func(s *modelSession) bool { return s == n })
}

func (m *model) close(t *rapid.T) { m.forget(m.any(t)) }

func (m *model) track(t *rapid.T) {
	s := m.any(t)
	d := Direction(rapid.IntRange(0, 1).Draw(t, "direction"))
	p := tcpPacket(rapid.SampledFrom([]uint8{packet.FlagSYN, packet.FlagACK, packet.FlagFIN | packet.FlagACK, packet.FlagRST, 0}).Draw(t, "flags"), 1, 1, 0)
	m.table.Track(s.real, d, p, m.now)
	s.lastUsed, s.state = m.now, s.real.State
}

// wait lets time pass and the worker expire what has had it.
func (m *model) wait(t *rapid.T) {
	m.now += rapid.SampledFrom([]Tick{1, 50, 100, 599, 600, 3000, 9000, spokes, 3 * spokes}).Draw(t, "wait")
	into := make([]*Session, rapid.IntRange(1, 8).Draw(t, "room"))
	for m.table.Behind(m.now) {
		for _, s := range into[:m.table.expire(m.now, into)] {
			i := slices.IndexFunc(m.sessions, func(n *modelSession) bool { return n.real == s })
			if i < 0 {
				t.Fatal("something expired that is not there")
			}
			if n := m.sessions[i]; m.now.before(n.lastUsed + DefaultTimeouts[n.state]) {
				t.Fatalf("expired in %v after %d ticks", n.state, m.now-n.lastUsed)
			}
			m.forget(m.sessions[i])
		}
	}
	for _, n := range m.sessions {
		if !m.now.before(n.lastUsed + DefaultTimeouts[n.state]) {
			t.Fatalf("not expired in %v after %d ticks", n.state, m.now-n.lastUsed)
		}
	}
}

// check compares the table with the model.
func (m *model) check(t *rapid.T) {
	if got := m.table.Count(); got != len(m.sessions) {
		t.Fatalf("%d sessions, want %d", got, len(m.sessions))
	}
	inUse := map[PathKey]int{}
	for _, n := range m.sessions {
		inUse[n.key]++
		for d, face := range n.faces {
			if got := m.table.Face(n.real, Direction(d)); got != face {
				t.Fatalf("face %v, want %v", got, face)
			}
			if face.Protocol == 0 {
				continue
			}
			if s, got := m.table.Find(&face); s != n.real || got != Direction(d) {
				t.Fatalf("%v is lost", face)
			}
			for _, stranger := range strangers(face) {
				if m.table.wears(n.real, Direction(d), &stranger) {
					t.Fatalf("%v is taken for %v", stranger, face)
				}
				if s, _ := m.table.Find(&stranger); (s != nil) != (m.find(stranger) != nil) {
					t.Fatalf("%v: found %v", stranger, s)
				}
			}
		}
	}
	for id, p := range m.table.Paths() {
		if p.Sessions() != inUse[p.PathKey] {
			t.Fatalf("path %d counts %d sessions, want %d", id, p.Sessions(), inUse[p.PathKey])
		}
		delete(inUse, p.PathKey)
	}
	if len(inUse) > 0 {
		t.Fatalf("paths in use are gone: %v", inUse)
	}
	for k := range m.live {
		if !m.table.Path(m.table.Bind(k)).Live {
			t.Fatalf("live path %v is gone", k)
		}
	}
	seen := map[*Session]bool{}
	for c := Cursor(0); ; {
		c = m.table.Each(c, 7, func(s *Session) { seen[s] = true })
		if c == 0 {
			break
		}
	}
	if len(seen) != len(m.sessions) {
		t.Fatalf("a walk visits %d sessions of %d", len(seen), len(m.sessions))
	}
}

// strangers are tuples that differ from tu in one thing.
func strangers(tu packet.Tuple) []packet.Tuple {
	all := []packet.Tuple{tu, tu, tu, tu, tu}
	all[0].SrcPort ^= 0x100
	all[1].DstPort ^= 0x100
	all[2].Src[15] ^= 3
	all[3].Dst[15] ^= 3
	all[4].Protocol ^= packet.TCP ^ packet.UDP
	return all
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"open":     m.open,
			"open too": m.open, // so that tables fill up
			"open yet": m.open,
			"close":    m.close,
			"track":    m.track,
			"wait":     m.wait,
			"locals":   m.setLocals,
			"snapshot": m.snapshot,
			"":         m.check,
		})
	})
}

// FuzzIndex drives an index of too few buckets, so that faces run over from one
// to the next and round the end, against a map.
func FuzzIndex(f *testing.F) {
	f.Add([]byte{1, 2, 3, 129, 4, 130})
	f.Add(slices.Concat(slices.Repeat([]byte{5}, 3), []byte{255, 133}))
	var every []byte
	for i := range 128 {
		every = append(every, byte(i))
	}
	f.Add(slices.Concat(every, every))
	f.Fuzz(func(t *testing.T, script []byte) {
		const sessions = 40
		x := newIndex(new(Table), sessions)
		x.buckets = x.buckets[:7] // just enough
		held := map[byte]bool{}
		face := func(b byte) *packet.Tuple { return &packet.Tuple{SrcPort: uint16(b), Protocol: packet.TCP} }
		for _, b := range script {
			b &= 0x7f
			switch {
			case held[b]:
				x.remove(face(b), ref(b))
				delete(held, b)
			case len(held) < 2*sessions:
				x.insert(face(b), ref(b))
				held[b] = true
			}
			for b := range byte(128) {
				if got := x.has(face(b), ref(b)); got != held[b] {
					t.Fatalf("face %d: found %v, held %v", b, got, held[b])
				}
			}
		}
		for b := range held {
			x.remove(face(b), ref(b))
		}
		for i, b := range x.buckets {
			if b != (bucket{}) {
				t.Fatalf("bucket %d of an empty index: %+v", i, b)
			}
		}
	})
}

// has searches as Find does.
func (x *index) has(face *packet.Tuple, r ref) bool {
	at, tag := x.home(x.key.hash(face))
	for range x.buckets {
		b := &x.buckets[at]
		for m := b.match(tag); m != 0; m = m.rest() {
			if b.refs[m.lane()] == r {
				return true
			}
		}
		if b.passed == 0 {
			break
		}
		at = x.after(at)
	}
	return false
}

// A search ends even where every bucket has been passed.
func TestSearchEnds(t *testing.T) {
	table := newTestTable(30)
	table.index.buckets = table.index.buckets[:5]
	path := table.Bind(pathTo(addr("10.0.0.11")))
	for port := range 30 {
		table.Open(addr("198.51.100.7"), uint16(port), path, 0)
	}
	for i := range table.index.buckets {
		table.index.buckets[i].passed++
	}
	for port := range 1000 {
		tu := packet.Tuple{Src: addr("198.51.100.8"), SrcPort: uint16(port), Protocol: packet.TCP}
		if s, _ := table.Find(&tu); s != nil {
			t.Fatal("found a stranger")
		}
	}
}

func TestMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b bucket
		var tags [lanes]uint8
		for _, lane := range rapid.SliceOf(rapid.IntRange(0, lanes-1)).Draw(t, "lanes") {
			tags[lane] = rapid.SampledFrom([]uint8{0, 1, 2, 0x7f, 0x80, 0x81, 0xff}).Draw(t, "tag")
			b.set(lane, tags[lane], ref(lane))
		}
		for tag := range 256 {
			var got, want []int
			for m := b.match(uint8(tag)); m != 0; m = m.rest() {
				got = append(got, m.lane())
			}
			for lane := range tags {
				if tags[lane] == uint8(tag) {
					want = append(want, lane)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("tags %x: %d matches lanes %v, want %v", tags, tag, got, want)
			}
		}
	})
}

// A table that is full is as full as its index may be. Searches must then be no
// longer than if faces fell on buckets at random, whatever the tuples have in
// common and whatever the key: in a hundred runs with random numbers faces lay
// 0.042 to 0.055 buckets from home.
func TestIndexLoad(t *testing.T) {
	const faces = 50_000
	tuples := map[string]func(i int) packet.Tuple{
		"local ports in order": func(i int) packet.Tuple {
			tu := packet.Tuple{Src: addr("10.0.0.11"), Dst: addr("10.9.0.1"), SrcPort: 8443, Protocol: packet.TCP}
			tu.Src[15], tu.DstPort = byte(i%4), uint16(1024+i/4)
			return tu
		},
		"client ports in order": func(i int) packet.Tuple {
			tu := packet.Tuple{Src: addr("198.51.100.7"), Dst: addr("203.0.113.80"), DstPort: 443, Protocol: packet.TCP}
			tu.Src[15], tu.SrcPort = byte(i%4), uint16(1024+i/4)
			return tu
		},
		"IPv4 clients in order": func(i int) packet.Tuple {
			tu := packet.Tuple{Src: addr("198.0.0.0"), Dst: addr("203.0.113.80"), SrcPort: 4711, DstPort: 443, Protocol: packet.TCP}
			binary.BigEndian.PutUint32(tu.Src[12:], uint32(i))
			return tu
		},
		"IPv6 networks in order": func(i int) packet.Tuple {
			tu := packet.Tuple{Src: addr("2001:db8::1"), Dst: addr("2001:db8::80"), SrcPort: 4711, DstPort: 443, Protocol: packet.TCP}
			binary.BigEndian.PutUint32(tu.Src[4:], uint32(i))
			return tu
		},
	}
	for name, tuple := range tuples {
		for range 5 { // keys
			x := newIndex(new(Table), faces/2)
			for i := range faces {
				tu := tuple(i)
				x.insert(&tu, ref(i))
			}
			passed := 0
			for _, b := range x.buckets {
				passed += int(b.passed)
			}
			if from := float64(passed) / faces; from > 0.07 {
				t.Errorf("%s: faces lie %.3f buckets from home", name, from)
			}
		}
	}
}
