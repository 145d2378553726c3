package session

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"fleetlb/fullnat/packet"
)

// fillState fills a table of n places with sessions in one state.
func fillState(t *testing.T, n int, state State) (*Table, PathID) {
	t.Helper()
	table := newTestTable(n)
	var path PathID
	for i := range n {
		if i%60000 == 0 { // another server has other ports
			path = table.Bind(pathTo(clientOf(i)))
			table.Path(path).Live = true
		}
		s, outcome := table.Open(clientOf(i), uint16(1024+i%60000), path, 1)
		if outcome != Opened {
			t.Fatalf("session %d: outcome %d", i, outcome)
		}
		table.enter(s, state, 1)
	}
	return table, path
}

// clientOf is a client for each 60,000 sessions.
func clientOf(i int) packet.Addr {
	return packet.AddrFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(7 + i/60000)}))
}

func TestExpendableOfAll(t *testing.T) {
	stranger := addr("203.0.113.9")
	for state := None; state < NumStates; state++ {
		table, path := fillState(t, 200, state)
		s := table.Expendable(Full, stranger, 1, path)
		if gives := s != nil; gives != (yields[state] != never) {
			t.Errorf("%v: gives way: %v", state, gives)
		}
	}

	t.Run("what is established stays", func(t *testing.T) {
		table, path := fillState(t, 200, SynRecv)
		kept := table.sessionOf(t, addr("198.51.100.7"), 1024)
		table.enter(kept, Established, 1)
		for i := range 1000 {
			victim := table.Expendable(Full, stranger, uint16(i), path)
			if victim == nil || victim == kept {
				t.Fatalf("connection %d: displaces %v", i, victim)
			}
			table.Close(victim)
			if _, outcome := table.Open(stranger, uint16(i), path, 2); outcome != Opened {
				t.Fatalf("connection %d: outcome %d after one was displaced", i, outcome)
			}
		}
		if table.sessionOf(t, addr("198.51.100.7"), 1024) != kept {
			t.Error("the established session is gone")
		}
	})

	t.Run("the oldest goes first", func(t *testing.T) {
		table, path := fillState(t, 10, SynRecv)
		for i := range 10 {
			victim := table.Expendable(Full, stranger, 1, path)
			if victim.ClientPort != uint16(1024+i) {
				t.Fatalf("%d: the victim's port is %d", i, victim.ClientPort)
			}
		}
	})

	t.Run("far apart", func(t *testing.T) {
		const n = 3 * far * 64
		table, path := fillState(t, n, Established)
		for _, port := range []uint16{1024, 40000} { // its client's port is not its number
			open := table.sessionOf(t, addr("198.51.100.7"), port)
			table.enter(open, SynRecv, 1)
			var s *Session
			for tries := 0; s == nil && tries < 5; tries++ {
				s = table.Expendable(Full, stranger, 1, path)
			}
			if s != open {
				t.Errorf("displaces %+v", s)
			}
			table.enter(open, Established, 1)
		}
		if s := table.Expendable(Full, stranger, 1, path); s != nil {
			t.Errorf("displaces %+v", s)
		}
	})
}

// TestNumbers compares the set with a map.
func TestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, 2, 63, 64, 65, 300} {
		set, in := newNumbers(size), map[uint32]bool{}
		at := uint32(0)
		for range 1000 {
			n := uint32(r.IntN(size))
			if in[n] = r.IntN(3) == 0; in[n] {
				set.add(n)
			} else {
				set.remove(n)
			}
			want, found := uint32(0), false
			for i := range size {
				if want = (at + 1 + uint32(i)) % uint32(size); in[want] {
					found = true
					break
				}
			}
			next, ok := set.after(at)
			if ok != found || found && next != want {
				t.Fatalf("size %d: after %d comes %d, %v, want %d, %v", size, at, next, ok, want, found)
			}
			at = uint32(r.IntN(size))
		}
	}
}

func (t *Table) sessionOf(tb testing.TB, client packet.Addr, port uint16) *Session {
	tb.Helper()
	s, _ := t.Find(&packet.Tuple{Src: client, SrcPort: port, Dst: addr("203.0.113.80"), DstPort: 443, Protocol: packet.TCP})
	if s == nil {
		tb.Fatalf("no session of %v port %d", client, port)
	}
	return s
}

// TestExpendableOfPorts uses up one slot's ports towards one server.
func TestExpendableOfPorts(t *testing.T) {
	const ports = 4
	client := addr("198.51.100.7")
	table := NewTable(Config{Sessions: 1000, Slots: [2]int{0, Slots}})
	table.SetLocals([]packet.Addr{addr("10.9.0.1")}, 1024, 1024+ports*Slots-1)
	path := table.Bind(pathTo(addr("10.0.0.11")))
	table.Path(path).Live = true

	slot := Slot(packet.TCP, client, 1)
	var same []uint16 // the client's ports of that slot
	for port := uint16(1); len(same) < 100; port++ {
		if Slot(packet.TCP, client, port) == slot {
			same = append(same, port)
		}
	}
	var oldest *Session
	for _, port := range same[:ports] {
		s, outcome := table.Open(client, port, path, 1)
		if outcome != Opened {
			t.Fatalf("outcome %d", outcome)
		}
		table.enter(s, SynRecv, 1)
		if oldest == nil {
			oldest = s
		}
	}
	if s := table.Expendable(NoPort, client, same[ports], path); s != oldest {
		t.Errorf("displaces %+v, want the oldest, %+v", s, oldest)
	}
	for _, port := range same[ports:] {
		if _, outcome := table.Open(client, port, path, 1); outcome != NoPort {
			t.Fatalf("port %d: outcome %d, want no port", port, outcome)
		}
		victim := table.Expendable(NoPort, client, port, path)
		if victim == nil || Slot(packet.TCP, victim.Client, victim.ClientPort) != slot {
			t.Fatalf("port %d: displaces %+v", port, victim)
		}
		table.Close(victim)
		s, outcome := table.Open(client, port, path, 1)
		if outcome != Opened {
			t.Fatalf("port %d: outcome %d after one was displaced", port, outcome)
		}
		table.enter(s, Established, 1)
		if table.Count() != ports {
			t.Fatalf("%d sessions", table.Count())
		}
		if port == same[2*ports-1] {
			break
		}
	}
	if s := table.Expendable(NoPort, client, same[99], path); s != nil {
		t.Errorf("displaces an established session: %+v", s)
	}
	if s := table.Expendable(Taken, client, same[99], path); s != nil {
		t.Errorf("displaces a session that is in nobody's way: %+v", s)
	}
}

func BenchmarkExpendable(b *testing.B) {
	for _, n := range sizes {
		table, _ := fill(b, n)
		path := table.Bind(pathTo(addr("10.0.0.1")))
		for i := range table.sessions[1:] {
			s := &table.sessions[1+i]
			table.enter(s, Established, 1)
		}
		b.Run(fmt.Sprintf("none/sessions=%d", n), func(b *testing.B) {
			for b.Loop() {
				table.Expendable(Full, addr("203.0.113.9"), 1, path)
			}
		})
	}
}
