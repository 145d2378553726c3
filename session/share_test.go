package session

import (
	"slices"
	"testing"

	"fleetlb/fullnat/packet"
)

// What is half-open costs the fleet nothing; what both ends believe in is told at
// once, and so is every change from then on.
func TestSharing(t *testing.T) {
	type step struct {
		d      Direction
		flags  uint8
		shared bool
		news   bool
	}
	const syn, synAck, ack, fin = packet.FlagSYN, packet.FlagSYN | packet.FlagACK, packet.FlagACK, packet.FlagFIN | packet.FlagACK
	for _, tt := range []struct {
		name     string
		protocol uint8
		steps    []step
	}{
		{"tcp", packet.TCP, []step{
			{Inbound, syn, false, false}, {Outbound, synAck, false, false},
			{Inbound, ack, true, true}, {Inbound, ack, true, false}, {Outbound, ack, true, false},
			{Inbound, fin, true, true}, {Inbound, fin, true, false}, {Outbound, fin, true, true},
		}},
		{"udp with an answer", packet.UDP, []step{
			{Inbound, 0, false, false}, {Outbound, 0, true, true}, {Inbound, 0, true, false},
		}},
		{"udp without", packet.UDP, []step{
			{Inbound, 0, false, false}, {Inbound, 0, false, false}, {Inbound, 0, true, true}, {Inbound, 0, true, false}, {Outbound, 0, true, true},
		}},
	} {
		for _, alone := range []bool{false, true} {
			table := fleetTable(10, "lb1")
			if alone {
				table = newTestTable(10)
			}
			key := pathTo(addr("10.0.0.11"))
			key.Protocol = tt.protocol
			s, _ := table.Open(addr("198.51.100.7"), 4711, table.Bind(key), 1)
			for i, step := range tt.steps {
				seq, _ := s.Expects(step.d)
				number, _ := s.Expects(1 - step.d)
				table.Track(s, step.d, tcpPacket(step.flags, seq, number, 0), Tick(i))
				shared, news := step.shared && !alone, step.news && !alone
				if s.Shared() != shared || s.News() != news {
					t.Errorf("%s, alone %v: after packet %d in %v: shared %v, news %v", tt.name, alone, i+1, s.State, s.Shared(), s.News())
				}
				if s.News() {
					table.Tell(s, Tick(i), new(Record))
				}
			}
		}
	}
}

// A director that drains shares a session from its first packet on.
func TestShareEarly(t *testing.T) {
	table := fleetTable(10, "lb1")
	s, _ := table.Open(addr("198.51.100.7"), 4711, table.Bind(pathTo(addr("10.0.0.11"))), 1)
	table.Track(s, Inbound, tcpPacket(packet.FlagSYN, 100, 0, 0), 1)
	table.Share(s, 1)
	if !s.Shared() || !s.News() || table.Digest(table.self.ID, uint8(s.LocalPort)).Count != 1 {
		t.Fatal("not shared")
	}
	var r Record
	table.Tell(s, 1, &r)
	table.Track(s, Outbound, tcpPacket(packet.FlagSYN|packet.FlagACK, 500, 101, 0), 2)
	table.Tell(s, 2, &r)

	other := fleetTable(10, "lb2")
	at, what := other.Install(&r, 50)
	if what != Created || at.State != SynRecv {
		t.Fatalf("outcome %d", what)
	}
	other.Adopt(at, 51)
	other.Track(at, Inbound, tcpPacket(packet.FlagACK, 101, 90_000, 0), 51)
	if at.State != SynRecv {
		t.Errorf("%v by an ACK of what the server never sent", at.State)
	}
	other.Track(at, Inbound, tcpPacket(packet.FlagACK, 101, 501, 0), 51)
	if at.State != Established {
		t.Errorf("%v after the handshake moved to another director", at.State)
	}
}

// Whoever adopts a session of UDP may not have been told which end was heard.
func TestTwoWayStays(t *testing.T) {
	r := webRecord(false)
	r.Protocol, r.State, r.Ends = packet.UDP, TwoWay, [2]End{}
	r.LocalPort = 5<<8 | uint16(r.ClientSlot())
	table := fleetTable(10, "lb2")
	s, _ := table.Install(&r, 1)
	table.Adopt(s, 1)
	table.Track(s, Inbound, tcpPacket(0, 0, 0, 0), 1)
	if s.State != TwoWay || table.bornOf(s) != r.Born {
		t.Errorf("%v, born %x", s.State, table.bornOf(s))
	}
}

// touches turns a table's wheel tick by tick and returns the client ports of what
// it finds: expired, and touched or no longer adopted.
func touches(table *Table, until Tick) (expired, told, back []uint16) {
	var e, u [2]*Session
	for now := table.wheel.clock; table.Behind(until); {
		n, m := table.Expire(now, e[:], u[:])
		for _, s := range e[:n] {
			expired = append(expired, s.ClientPort)
			table.Close(s)
		}
		for _, s := range u[:m] {
			if s.Role() == Replica {
				back = append(back, s.ClientPort)
				continue
			}
			told = append(told, s.ClientPort)
			table.Tell(s, now, new(Record))
		}
		if !table.Behind(now) && now != until {
			now++
		}
	}
	for _, l := range [][]uint16{expired, told, back} {
		slices.Sort(l)
	}
	return expired, told, back
}

func TestTouches(t *testing.T) {
	table := fleetTable(10, "lb1")
	path := table.Bind(pathTo(addr("10.0.0.11")))
	table.Path(path).Live = true
	own := func(port uint16) *Session {
		s, _ := table.Open(addr("198.51.100.7"), port, path, 0)
		table.enter(s, Established, 0)
		table.Tell(s, 0, new(Record))
		return s
	}
	foreign := func(port uint16) *Session {
		r := webRecord(false)
		r.ClientPort, r.Home, r.Idle, r.Local = port, ownerOf("lb2", 1), 0, addr("10.9.7.1")
		r.LocalPort = 5<<8 | uint16(r.ClientSlot())
		s, what := table.Install(&r, 0)
		if what != Created {
			t.Fatalf("outcome %d", what)
		}
		return s
	}
	used, _ := own(1), own(2)
	foreign(3)
	adopted, quiet := foreign(4), foreign(5)
	for _, s := range []*Session{adopted, quiet} {
		table.Adopt(s, 0)
		table.Tell(s, 0, new(Record))
	}
	third, timeout := 300*second, 900*second
	for _, step := range []struct {
		at                  Tick
		use                 []*Session // before
		expired, told, back []uint16
		why                 string
	}{
		{third, []*Session{adopted}, nil, []uint16{4}, []uint16{5}, "who adopted it tells that it is used, or is a keeper again"},
		{third + 60*second, []*Session{used}, nil, []uint16{1}, nil, "so does its home, which looked when it might have been half-open still"},
		{2 * third, []*Session{adopted}, nil, []uint16{4}, nil, "what was not used is not told"},
		{timeout, nil, []uint16{2}, nil, []uint16{4}, "its home expires it; replicas stay longer"},
		{timeout + third + 10*second, nil, []uint16{3, 5}, nil, nil, "by a third and ten seconds"},
		{third + 60*second - 1 + timeout, nil, []uint16{1}, nil, nil, "from its last use"},
		{2*third - 1 + timeout + third + 10*second, nil, []uint16{4}, nil, nil, ""},
	} {
		expired, told, back := touches(table, step.at-1)
		if expired != nil || told != nil || back != nil {
			t.Errorf("before %d: expired %v, told %v, back %v", step.at, expired, told, back)
		}
		for _, s := range step.use {
			s.LastUsed = step.at - 1
		}
		expired, told, back = touches(table, step.at)
		if !slices.Equal(expired, step.expired) || !slices.Equal(told, step.told) || !slices.Equal(back, step.back) {
			t.Errorf("at %d: expired %v, told %v, back %v; want %v, %v, %v: %s",
				step.at, expired, told, back, step.expired, step.told, step.back, step.why)
		}
	}
}

// However much was used, one call tells no more than there is room for, and
// nothing is forgotten.
func TestTouchesAreBounded(t *testing.T) {
	const n = 1000
	table := fleetTable(n, "lb1")
	path := table.Bind(pathTo(addr("10.0.0.11")))
	for port := range uint16(n) {
		s, _ := table.Open(addr("198.51.100.7"), port+1, path, 0)
		table.enter(s, Established, 0)
		table.Tell(s, 0, new(Record))
		s.LastUsed = 1
	}
	now := 300 * second
	var expired, touched [64]*Session
	told := map[*Session]bool{}
	for calls := 0; table.Behind(now); calls++ {
		e, u := table.Expire(now, expired[:], touched[:])
		for _, s := range touched[:u] {
			if told[s] {
				t.Fatal("told twice")
			}
			told[s] = true
		}
		if e > 0 || calls > n {
			t.Fatalf("%d expired, %d calls", e, calls)
		}
	}
	if len(told) != n {
		t.Errorf("%d of %d told", len(told), n)
	}
}

// What the home hears of a session's use keeps it, and needs not be told again.
func TestTouchArrives(t *testing.T) {
	table := fleetTable(10, "lb1")
	path := table.Bind(pathTo(addr("10.0.0.11")))
	s, _ := table.Open(addr("198.51.100.7"), 1, path, 0)
	table.enter(s, Established, 0)
	var r Record
	table.Tell(s, 0, &r)
	r.Idle = 50
	if _, what := table.Install(&r, 290*second); what != Merged || s.LastUsed != 290*second-50 {
		t.Fatalf("outcome %d, used at %d", what, s.LastUsed)
	}
	r.Idle = 100 * second
	if _, what := table.Install(&r, 291*second); what != Unchanged || s.LastUsed != 290*second-50 {
		t.Errorf("a late touch: outcome %d, used at %d", what, s.LastUsed)
	}
	for now := 299 * second; now < 290*second-50+900*second; now += 100 * second {
		if expired, told, _ := touches(table, now); expired != nil || told != nil {
			t.Errorf("at %d: expired %v, told %v", now, expired, told)
		}
	}
	if expired, _, _ := touches(table, 290*second-50+900*second); len(expired) != 1 {
		t.Error("nobody uses it any more, and it stays")
	}
}
