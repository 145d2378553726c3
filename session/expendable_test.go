package session

import (
	"testing"

	"fleetlb/fullnat/packet"
)

// fillState fills a table of n places with sessions in one state.
func fillState(t *testing.T, n int, state State) (*Table, PathID) {
	t.Helper()
	table := newTestTable(n)
	path := table.Bind(pathTo(addr("10.0.0.11")))
	table.Path(path).Live = true
	for i := range n {
		s, outcome := table.Open(addr("198.51.100.7"), uint16(1024+i), path, 1)
		if outcome != Opened {
			t.Fatalf("session %d: outcome %d", i, outcome)
		}
		table.enter(s, table.Path(path), state, 1)
	}
	return table, path
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
		table.enter(kept, table.Path(path), Established, 1)
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

	t.Run("time_wait only if there is nothing else", func(t *testing.T) {
		table, path := fillState(t, 40, TimeWait)
		open := table.sessionOf(t, addr("198.51.100.7"), 1024+30)
		table.enter(open, table.Path(path), SynRecv, 1)
		if s := table.Expendable(Full, stranger, 1, path); s != open {
			t.Errorf("displaces %+v", s)
		}
	})
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
		table.enter(s, table.Path(path), SynRecv, 1)
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
		table.enter(s, table.Path(path), Established, 1)
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
	table, _ := fill(b, 100_000)
	path := table.Bind(pathTo(addr("10.0.0.1")))
	for _, s := range table.sessions[1:] {
		if s.Path != 0 {
			s.State = Established
		}
	}
	for b.Loop() {
		table.Expendable(Full, addr("203.0.113.9"), 1, path)
	}
}
