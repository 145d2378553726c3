package session

import (
	"fmt"
	"testing"

	"fleetlb/fullnat/packet"
)

// portsTable has the given local addresses, with the given local ports.
func portsTable(lo, hi uint16, locals ...string) *Table {
	t := NewTable(Config{Sessions: 200_000, Slots: [2]int{0, Slots}})
	setLocals(t, lo, hi, locals...)
	return t
}

func setLocals(t *Table, lo, hi uint16, locals ...string) {
	var addrs []packet.Addr
	for _, l := range locals {
		addrs = append(addrs, addr(l))
	}
	t.SetLocals(addrs, lo, hi)
}

// openInSlot opens a session of any client in the slot.
func openInSlot(t *Table, slot uint8, path PathID, port *uint16) (*Session, Outcome) {
	for {
		*port++
		client := addr("198.51.100.7")
		if Slot(t.Path(path).Protocol, client, *port) == slot {
			return t.Open(client, *port, path, 0)
		}
	}
}

func TestLocalPorts(t *testing.T) {
	table := portsTable(1024, 65535, "10.9.0.1")
	path := table.Bind(pathTo(addr("10.0.0.11")))
	seen := map[uint16]bool{}
	for port := range 40_000 {
		s, outcome := table.Open(addr("198.51.100.7"), uint16(port), path, 0)
		switch {
		case outcome != Opened:
			t.Fatalf("outcome %d", outcome)
		case seen[s.LocalPort]:
			t.Fatalf("local port %d given twice", s.LocalPort)
		case s.LocalPort < 1024:
			t.Fatalf("local port %d is out of range", s.LocalPort)
		case uint8(s.LocalPort) != Slot(packet.TCP, s.Client, s.ClientPort):
			t.Fatalf("local port %d does not carry slot %d", s.LocalPort, Slot(packet.TCP, s.Client, s.ClientPort))
		}
		seen[s.LocalPort] = true
	}
}

// Every port of the range is given before any client of its slot is refused.
func TestLocalPortRange(t *testing.T) {
	for _, r := range []struct{ lo, hi uint16 }{
		{1024, 65535}, {0, 65535}, {0, 0}, {65535, 65535}, {1000, 1300}, {1025, 1279}, {32768, 60999}, {40000, 40100},
	} {
		table := portsTable(r.lo, r.hi, "10.9.0.1")
		path := table.Bind(pathTo(addr("10.0.0.11")))
		table.Path(path).Live = true
		for _, slot := range []uint8{0, 1, uint8(r.lo), uint8(r.hi), 255} {
			want := 0
			for port := int(r.lo); port <= int(r.hi); port++ {
				if uint8(port) == slot {
					want++
				}
			}
			for table.Count() > 0 {
				table.Each(0, 1<<20, table.Close)
			}
			var client uint16
			for got := 0; ; got++ {
				s, outcome := openInSlot(table, slot, path, &client)
				if outcome == Opened && s.LocalPort >= r.lo && s.LocalPort <= r.hi && got < want {
					continue
				}
				if outcome != NoPort || got != want {
					t.Errorf("ports %d–%d, slot %d: outcome %d after %d ports, want %d", r.lo, r.hi, slot, outcome, got, want)
				}
				break
			}
		}
	}
}

func TestFreedPortIsUsedLast(t *testing.T) {
	table := portsTable(1024, 65535, "10.9.0.1")
	path := table.Bind(pathTo(addr("10.0.0.11")))
	table.Path(path).Live = true
	var client uint16
	s, _ := openInSlot(table, 7, path, &client)
	freed := s.LocalPort
	table.Close(s)
	for range 251 {
		if s, _ = openInSlot(table, 7, path, &client); s.LocalPort == freed {
			t.Fatal("a freed port came back while others were free")
		}
	}
	if s, outcome := openInSlot(table, 7, path, &client); outcome != Opened || s.LocalPort != freed {
		t.Errorf("the last free port is %d: outcome %d", freed, outcome)
	}
	if _, outcome := openInSlot(table, 7, path, &client); outcome != NoPort {
		t.Errorf("with all ports in use: outcome %d, want NoPort", outcome)
	}
	if _, outcome := openInSlot(table, 8, path, &client); outcome != Opened {
		t.Errorf("another slot: outcome %d, want Opened", outcome)
	}
}

func TestExhaustedLocalMovesOn(t *testing.T) {
	table := portsTable(60000, 60255, "10.9.0.1", "10.9.0.2", "10.9.0.3") // one port for each slot
	path := table.Bind(pathTo(addr("10.0.0.11")))
	table.Path(path).Live = true
	var client uint16
	var opened []*Session
	seen := map[packet.Addr]bool{}
	for range 3 {
		s, outcome := openInSlot(table, 7, path, &client)
		if outcome != Opened || seen[table.Local(s)] {
			t.Fatalf("outcome %d", outcome)
		}
		seen[table.Local(s)] = true
		opened = append(opened, s)
	}
	if _, outcome := openInSlot(table, 7, path, &client); outcome != NoPort {
		t.Fatalf("with all local addresses exhausted: outcome %d, want NoPort", outcome)
	}
	want := table.Local(opened[1])
	table.Close(opened[1])
	if s, outcome := openInSlot(table, 7, path, &client); outcome != Opened || table.Local(s) != want {
		t.Errorf("the address that has a port again is not found: outcome %d", outcome)
	}
}

// Ports are unique towards an address, port and protocol, whatever service the
// path is of; towards another they may be the same.
func TestPortsAreUniquePerEndpoint(t *testing.T) {
	web := pathTo(addr("10.0.0.11"))
	otherService, otherPort, otherProtocol, otherServer := web, web, web, web
	otherService.VIP = addr("203.0.113.81")
	otherPort.ServerPort++
	otherProtocol.Protocol = packet.UDP
	otherServer.Server = addr("10.0.0.12")
	for name, tt := range map[string]struct {
		other PathKey
		want  Outcome
	}{
		"another service": {otherService, NoPort},
		"another port":    {otherPort, Opened},
		"UDP":             {otherProtocol, Opened},
		"another server":  {otherServer, Opened},
	} {
		table := portsTable(60000, 60255, "10.9.0.1")
		var client uint16
		openInSlot(table, 7, table.Bind(web), &client)
		if _, outcome := openInSlot(table, 7, table.Bind(tt.other), &client); outcome != tt.want {
			t.Errorf("%s: outcome %d, want %d", name, outcome, tt.want)
		}
	}
}

func TestFamilies(t *testing.T) {
	table := portsTable(1024, 65535, "10.9.0.1")
	six := table.Bind(pathTo(addr("2001:db8::11")))
	if _, outcome := table.Open(addr("2001:db8:1::7"), 4711, six, 0); outcome != NoPort {
		t.Errorf("an IPv6 server without an IPv6 local address: outcome %d, want NoPort", outcome)
	}
	setLocals(table, 1024, 65535, "10.9.0.1", "2001:db8:9::1")
	s, outcome := table.Open(addr("2001:db8:1::7"), 4711, six, 0)
	if outcome != Opened || table.Local(s) != addr("2001:db8:9::1") {
		t.Errorf("outcome %d, local %v", outcome, table.Local(s))
	}
}

func TestForeignSlot(t *testing.T) {
	table := NewTable(Config{Sessions: 10, Slots: [2]int{100, 110}})
	setLocals(table, 1024, 65535, "10.9.0.1")
	path := table.Bind(pathTo(addr("10.0.0.11")))
	var client uint16
	for slot, want := range map[uint8]Outcome{99: NoPort, 100: Opened, 109: Opened, 110: NoPort} {
		if _, outcome := openInSlot(table, slot, path, &client); outcome != want {
			t.Errorf("slot %d: outcome %d, want %d", slot, outcome, want)
		}
	}
}

// Sessions keep the address they have; its memory goes with the last of them.
func TestLocalsComeAndGo(t *testing.T) {
	table := portsTable(1024, 65535, "10.9.0.1", "10.9.0.2")
	path := table.Bind(pathTo(addr("10.0.0.11")))
	table.Path(path).Live = true
	pools := func() (n int) {
		for _, o := range table.Path(path).endpoint.pools {
			if o != nil {
				n++
			}
		}
		return n
	}
	old, _ := table.Open(addr("198.51.100.7"), 1, path, 0)
	setLocals(table, 1024, 65535, "10.9.0.3")
	if got := table.Local(old); got != addr("10.9.0.1") {
		t.Errorf("an open session's local address became %v", got)
	}
	face := table.Face(old, Outbound)
	if s, d := table.Find(&face); s != old || d != Outbound {
		t.Error("an open session's outbound face is lost")
	}
	young, _ := table.Open(addr("198.51.100.7"), 2, path, 0)
	if got := table.Local(young); got != addr("10.9.0.3") {
		t.Errorf("a new session took %v", got)
	}
	if got := pools(); got != 2 {
		t.Errorf("%d pools, want 2", got)
	}
	table.Close(old)
	if got := pools(); got != 1 {
		t.Errorf("%d pools after the last session of an address that is gone, want 1", got)
	}
	table.Close(young)
	if got := pools(); got != 1 {
		t.Errorf("%d pools: that of a current address must stay, or its freed ports come back first", got)
	}

	for i := range 100 { // addresses that come and go leave nothing behind
		setLocals(table, 1024, 65535, fmt.Sprintf("10.9.1.%d", i), fmt.Sprintf("10.9.2.%d", i))
		s, _ := table.Open(addr("198.51.100.7"), 3, path, 0)
		table.Close(s)
		if len(table.ports.locals) > 8 {
			t.Fatalf("%d local addresses remembered after %d changes", len(table.ports.locals), i)
		}
	}

	table.Path(path).Live = false
	table.Sweep()
	if len(table.ports.endpoints) != 0 {
		t.Error("the endpoint outlives its last path")
	}
}
