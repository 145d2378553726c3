package session

import (
	"fmt"
	"testing"

	"fleetlb/fullnat/packet"
)

// rangeTo is a path of ports 8000 to 8999 to a server that keeps them.
func rangeTo(server packet.Addr, mode Mode) PathKey {
	k := pathTo(server)
	k.VIPPort, k.VIPLast, k.ServerPort, k.Mode = 8000, 8999, 0, mode
	return k
}

// One path has many ports, and each session keeps its own.
func TestRange(t *testing.T) {
	for _, mode := range []Mode{FULLNAT, NAT, DR, TUN} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			table := newTestTable(100)
			server, client := addr("10.0.0.11"), addr("198.51.100.7")
			path := table.Bind(rangeTo(server, mode))
			table.Path(path).Live = true
			for _, vipPort := range []uint16{8000, 8500, 8999} {
				s, outcome := table.OpenAt(client, 4711, vipPort, path, 1)
				if outcome != Opened {
					t.Fatalf("port %d: outcome %d", vipPort, outcome)
				}
				in := packet.Tuple{Src: client, SrcPort: 4711, Dst: addr("203.0.113.80"), DstPort: vipPort, Protocol: packet.TCP}
				if got, dir := table.Find(&in); got != s || dir != Inbound {
					t.Errorf("port %d: inbound finds %+v", vipPort, got)
				}
				if mode == DR || mode == TUN {
					continue
				}
				out := packet.Tuple{Src: server, SrcPort: vipPort, Dst: client, DstPort: 4711, Protocol: packet.TCP}
				if mode == FULLNAT {
					out.Dst, out.DstPort = table.Local(s), s.LocalPort
				}
				if got, dir := table.Find(&out); got != s || dir != Outbound {
					t.Errorf("port %d: outbound finds %+v", vipPort, got)
				}
				if face := table.Face(s, Outbound); face != out {
					t.Errorf("port %d: outbound face %v, want %v", vipPort, face, out)
				}
			}
			in := packet.Tuple{Src: client, SrcPort: 4711, Dst: addr("203.0.113.80"), DstPort: 8001, Protocol: packet.TCP}
			if got, _ := table.Find(&in); got != nil {
				t.Errorf("a port that nobody asked for finds %+v", got)
			}
		})
	}
}

// A server behind a range and behind one of its ports has two sets of local
// ports; no session's packets may look like another's.
func TestRangeBesidePort(t *testing.T) {
	const ports = 8
	client, server := addr("198.51.100.7"), addr("10.0.0.11")
	table := NewTable(Config{Sessions: 10_000, Slots: [2]int{0, Slots}})
	table.SetLocals([]packet.Addr{addr("10.9.0.1")}, 1024, 1024+ports*Slots-1)
	whole := table.Bind(rangeTo(server, FULLNAT))
	key := pathTo(server)
	key.ServerPort = 8443
	single := table.Bind(key)
	table.Path(whole).Live, table.Path(single).Live = true, true

	faces := make(map[packet.Tuple]*Session)
	opened := 0
	for port := uint16(1); port < 2000; port++ {
		path, vipPort := whole, uint16(8443)
		if port%2 == 0 {
			path, vipPort = single, 443
		}
		s, outcome := table.OpenAt(client, port, vipPort, path, 1)
		if outcome == NoPort {
			continue
		}
		opened++
		face := table.Face(s, Outbound)
		if o := faces[face]; o != nil {
			t.Fatalf("client port %d and %d have the same outbound face", o.ClientPort, s.ClientPort)
		}
		faces[face] = s
	}
	if opened < 1000 {
		t.Errorf("only %d sessions; both sets together have room for %d", opened, ports*Slots)
	}
	for face, s := range faces {
		if got, _ := table.Find(&face); got != s {
			t.Fatalf("%v finds %+v, want %+v", face, got, s)
		}
		table.Close(s)
	}
	for u := range table.PortUse() {
		t.Errorf("ports still in use: %+v", u)
	}
}

// A flood that uses up the ports towards a server of many ports displaces itself.
func TestExpendableOfRange(t *testing.T) {
	client := addr("198.51.100.7")
	table := NewTable(Config{Sessions: 10_000, Slots: [2]int{0, Slots}})
	table.SetLocals([]packet.Addr{addr("10.9.0.1")}, 1024, 1024+4*Slots-1)
	path := table.Bind(rangeTo(addr("10.0.0.11"), FULLNAT))
	table.Path(path).Live = true
	for port := uint16(1); port < 3000; port++ {
		vipPort := 8000 + port%1000
		s, outcome := table.OpenAt(client, port, vipPort, path, 1)
		if outcome == NoPort {
			victim := table.Expendable(outcome, client, port, path)
			if victim == nil {
				t.Fatalf("port %d: nobody gives way", port)
			}
			table.Close(victim)
			if s, outcome = table.OpenAt(client, port, vipPort, path, 1); outcome != Opened {
				t.Fatalf("port %d: outcome %d after one was displaced", port, outcome)
			}
		}
		if s.VIPPort != vipPort {
			t.Fatalf("port %d: for port %d, want %d", port, s.VIPPort, vipPort)
		}
	}
	if table.Count() != 4*Slots {
		t.Errorf("%d sessions, want as many as there are ports, %d", table.Count(), 4*Slots)
	}
}
