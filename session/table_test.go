package session

import (
	"testing"
	"unsafe"

	"fleetlb/fullnat/packet"
)

func TestFaces(t *testing.T) {
	client := packet.Tuple{
		Src: addr("198.51.100.7"), SrcPort: 4711,
		Dst: addr("203.0.113.80"), DstPort: 443, Protocol: packet.TCP,
	}
	server := packet.Tuple{Src: addr("10.0.0.11"), SrcPort: 8443, Protocol: packet.TCP}
	toClient := server
	toClient.Dst, toClient.DstPort = client.Src, client.SrcPort
	for mode, outbound := range map[Mode]packet.Tuple{NAT: toClient, DR: {}, TUN: {}} {
		table := newTestTable(1)
		key := pathTo(server.Src)
		key.Mode = mode
		s, _ := table.Open(client.Src, client.SrcPort, table.Bind(key), 0)
		if got := table.Face(s, Inbound); got != client {
			t.Errorf("mode %d: inbound face %v", mode, got)
		}
		if got := table.Face(s, Outbound); got != outbound {
			t.Errorf("mode %d: outbound face %v", mode, got)
		}
		if table.Local(s) != (packet.Addr{}) || s.LocalPort != 0 {
			t.Errorf("mode %d: a local port was taken", mode)
		}
	}
}

func TestFull(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1000} {
		table := newTestTable(n)
		path := table.Bind(pathTo(addr("10.0.0.11")))
		table.Path(path).Live = true
		for range 2 {
			for port := range n {
				if _, outcome := table.Open(addr("198.51.100.7"), uint16(port), path, 0); outcome != Opened {
					t.Fatalf("session %d of %d: outcome %d", port, n, outcome)
				}
			}
			if _, outcome := table.Open(addr("198.51.100.8"), 1, path, 0); outcome != Full {
				t.Errorf("session %d of %d: outcome %d", n+1, n, outcome)
			}
			table.Each(0, n, table.Close)
			if table.Count() != 0 {
				t.Errorf("%d of %d left after closing all", table.Count(), n)
			}
		}
	}
}

// A session that is refused leaves nothing behind.
func TestRefused(t *testing.T) {
	table := newTestTable(2)
	one, other := pathTo(addr("10.0.0.11")), pathTo(addr("10.0.0.11"))
	one.Mode, other.Mode, other.VIPPort = NAT, NAT, 80
	table.Open(addr("198.51.100.7"), 4711, table.Bind(one), 0)
	if _, outcome := table.Open(addr("198.51.100.7"), 4711, table.Bind(other), 0); outcome != Taken {
		t.Errorf("the server could not tell the two apart: outcome %d, want Taken", outcome)
	}
	table.SetLocals(nil, 1024, 65535)
	full := pathTo(addr("10.0.0.11"))
	if _, outcome := table.Open(addr("198.51.100.7"), 4712, table.Bind(full), 0); outcome != NoPort {
		t.Errorf("without local addresses: outcome %d, want NoPort", outcome)
	}
	if table.Count() != 1 || table.Path(table.Bind(other)).Sessions() != 0 || table.Path(table.Bind(full)).Sessions() != 0 {
		t.Error("a refused session is counted")
	}
	if _, outcome := table.Open(addr("198.51.100.7"), 4712, table.Bind(other), 0); outcome != Opened {
		t.Errorf("the place of a refused session is lost: outcome %d", outcome)
	}
}

func TestUDP(t *testing.T) {
	table := newTestTable(1)
	key := pathTo(addr("10.0.0.11"))
	key.Protocol = packet.UDP
	id := table.Bind(key)
	s, _ := table.Open(addr("198.51.100.7"), 4711, id, 0)
	p := &packet.Packet{Frame: make([]byte, 14+20+8+100), L3: 14, L4: 34, Payload: 42}
	for i, step := range []struct {
		d    Direction
		want State
	}{{Inbound, OneWay}, {Inbound, OneWay}, {Outbound, TwoWay}, {Inbound, TwoWay}} {
		table.Track(s, step.d, p, Tick(i))
		if s.State != step.want || s.LastUsed != Tick(i) {
			t.Errorf("packet %d: %v, used at %d", i, s.State, s.LastUsed)
		}
	}
	if path := table.Path(id); path.Active != 0 || path.Inactive != 1 {
		t.Errorf("active %d, inactive %d: UDP is inactive, as in IPVS", path.Active, path.Inactive)
	}
	if got, want := table.Counters(s), [2]Counters{{3, 3 * 128}, {1, 128}}; got != want {
		t.Errorf("counters %v, want %v", got, want)
	}
}

// A fragment has no say in the state: a later one has no flags, and a first one
// may end inside the header.
func TestFragments(t *testing.T) {
	table := newTestTable(1)
	s, _ := table.Open(addr("198.51.100.7"), 4711, table.Bind(pathTo(addr("10.0.0.11"))), 0)
	p := &packet.Packet{Frame: make([]byte, 14+20+8), L3: 14, L4: 34, Payload: 34, Kind: packet.Fragment, Flags: packet.FlagRST}
	table.Track(s, Inbound, p, 9)
	if s.State != None || s.LastUsed != 9 || table.Counters(s)[Inbound].Packets != 1 {
		t.Errorf("%v, used at %d, counters %v", s.State, s.LastUsed, table.Counters(s))
	}
}

func TestCountersAreWide(t *testing.T) {
	table := newTestTable(1)
	s, _ := table.Open(addr("198.51.100.7"), 4711, table.Bind(pathTo(addr("10.0.0.11"))), 0)
	s.packets[Outbound], s.bytes[Outbound] = ^uint16(0), ^uint32(0)-9
	table.tally(s, Outbound, 1500)
	want := [2]Counters{Outbound: {1 << 16, 1<<32 + 1490}}
	if got := table.Counters(s); got != want {
		t.Errorf("counters %v, want %v", got, want)
	}
}

// The walk of a listing goes on while sessions come and go.
func TestEach(t *testing.T) {
	table := newTestTable(100)
	path := table.Bind(pathTo(addr("10.0.0.11")))
	table.Path(path).Live = true
	for port := range 60 {
		table.Open(addr("198.51.100.7"), uint16(port), path, 0)
	}
	visits := map[uint16]int{}
	next, rounds := Cursor(0), 0
	for {
		next = table.Each(next, 10, func(s *Session) {
			if visits[s.ClientPort]++; s.ClientPort%2 == 0 {
				table.Close(s)
			}
		})
		if next == 0 {
			break
		}
		table.Open(addr("198.51.100.8"), uint16(1000+rounds), path, 0)
		rounds++
	}
	for port := range uint16(60) {
		if visits[port] != 1 {
			t.Errorf("session %d was visited %d times", port, visits[port])
		}
	}
	if got := newTestTable(5).Each(0, 10, func(*Session) { t.Error("a session in an empty table") }); got != 0 {
		t.Errorf("an empty table goes on at %d", got)
	}
}

// What a session costs is part of the design: one cache line for what packets
// need, and 128 bytes with everything.
func TestFootprint(t *testing.T) {
	if got := unsafe.Sizeof(Session{}); got != 64 {
		t.Errorf("a session has %d bytes, want one cache line", got)
	}
	if got := unsafe.Sizeof(bucket{}); got != 64 {
		t.Errorf("a bucket has %d bytes, want one cache line", got)
	}
	const n = 1_000_000
	table := NewTable(Config{Sessions: n, Slots: [2]int{0, Slots}})
	each := float64(table.Footprint()) / n
	if each > 128 {
		t.Errorf("%.1f bytes per session, want at most 128", each)
	}
	t.Logf("%.1f bytes per session: %d session, %d cold, the rest both faces in the index", each, unsafe.Sizeof(Session{}), unsafe.Sizeof(cold{}))
	if at := uintptr(unsafe.Pointer(&table.sessions[0])) | uintptr(unsafe.Pointer(&table.index.buckets[0])); at%64 != 0 {
		t.Error("sessions or buckets straddle cache lines")
	}
}

func TestNothingAllocates(t *testing.T) {
	table := newTestTable(1000)
	path := table.Bind(pathTo(addr("10.0.0.11")))
	table.Path(path).Live = true
	client := addr("198.51.100.7")
	known, _ := table.Open(client, 1, path, 0)
	face := table.Face(known, Outbound)
	batch, hashes := []*packet.Tuple{&face, &face, &face}, make([]Hash, 3)
	stranger := face.Reverse()
	syn := tcpPacket(packet.FlagSYN, 1, 0, 0)
	var into [8]*Session
	now := Tick(0)
	for name, f := range map[string]func(){
		"Find":     func() { table.Find(&face); table.Find(&stranger) },
		"Prefetch": func() { table.Prefetch(batch, hashes) },
		"Track":    func() { table.Track(known, Outbound, syn, now) },
		"Open and Close": func() {
			s, _ := table.Open(client, 2, path, now)
			table.Track(s, Inbound, syn, now)
			table.Close(s)
		},
		"Expire": func() {
			table.Open(client, 3, path, now)
			now += 60 * second
			known.LastUsed = now
			for table.Behind(now) {
				for _, s := range into[:table.expire(now, into[:])] {
					table.Close(s)
				}
			}
		},
		"Each": func() { table.Each(0, 10, func(*Session) {}) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times, want 0", name, n)
		}
	}
}
