package session

import (
	"fmt"
	"testing"

	"fleetlb/fullnat/packet"
)

// install installs a record and wants it to come to something.
func install(t *testing.T, table *Table, r Record, want Installed) *Session {
	t.Helper()
	s, what := table.Install(&r, 1000)
	if what != want {
		t.Fatalf("outcome %d, want %d", what, want)
	}
	return s
}

// recordOf is an established session of a client's port whose home is a director,
// with its local port.
func recordOf(home Owner, clientPort uint16, local string, step uint16) Record {
	r := webRecord(false)
	r.ClientPort, r.Home, r.Local = clientPort, home, addr(local)
	r.LocalPort = step<<8 | uint16(r.ClientSlot())
	return r
}

// A director that has lost its memory gives out no port that somebody still uses.
func TestRecoveredPortsAreUsed(t *testing.T) {
	const steps = 8
	table := fleetTable(1000, "lb1")
	setLocals(table, steps*Slots, 2*steps*Slots-1, "10.9.0.1")
	path := table.Bind(pathTo(addr("10.0.0.11")))
	table.Path(path).Live = true
	var client uint16
	slot := uint8(7)
	taken := map[uint16]*Session{}
	for step := uint16(steps); step < 2*steps; step += 2 {
		for client++; Slot(packet.TCP, addr("198.51.100.7"), client) != slot; client++ {
		}
		s := install(t, table, recordOf(ownerOf("lb1", 0), client, "10.9.0.1", step), Created)
		if s.Role() != Home || table.HomeOf(s) != table.self || s.State != Established || !s.Shared() {
			t.Fatalf("recovered as %v of %v in %v", s.Role(), table.HomeOf(s), s.State)
		}
		taken[s.LocalPort] = s
	}
	for range steps / 2 {
		s, outcome := openInSlot(table, slot, path, &client)
		if outcome != Opened || taken[s.LocalPort] != nil {
			t.Fatalf("outcome %d, port %d", outcome, s.LocalPort)
		}
		taken[s.LocalPort] = s
	}
	if _, outcome := openInSlot(table, slot, path, &client); outcome != NoPort {
		t.Fatalf("outcome %d with all ports in use", outcome)
	}
	for port, s := range taken {
		table.Close(s)
		if s, outcome := openInSlot(table, slot, path, &client); outcome != Opened || s.LocalPort != port {
			t.Errorf("port %d was freed: outcome %d", port, outcome)
		}
	}
}

// What the table has opened is true whatever others say; of what it was told, the
// later is.
func TestOnePortTwoSessions(t *testing.T) {
	first, second := uint16(1), uint16(2)
	for Slot(packet.TCP, addr("198.51.100.7"), second) != Slot(packet.TCP, addr("198.51.100.7"), first) {
		second++
	}
	for _, home := range []string{"lb1", "lb2"} { // our own, recovered, and another's
		older, newer := recordOf(ownerOf(home, 0), first, "10.9.0.1", 5), recordOf(ownerOf(home, 0), second, "10.9.0.1", 5)
		newer.Born++
		for _, newerFirst := range []bool{false, true} {
			table := fleetTable(10, "lb1")
			if newerFirst {
				install(t, table, newer, Created)
				install(t, table, older, Stale)
			} else {
				install(t, table, older, Created)
				install(t, table, newer, Replaced)
			}
			face := newer.Face(Outbound)
			if s, _ := table.Find(&face); s == nil || s.ClientPort != second || table.Count() != 1 {
				t.Errorf("home %s, newer first %v: the port is of %+v", home, newerFirst, s)
			}
			for u := range table.PortUse() {
				if u.Ports != 1 {
					t.Errorf("home %s: %d ports in use", home, u.Ports)
				}
			}
		}
	}

	table := fleetTable(10, "lb1")
	setLocals(table, 5<<8, 5<<8+255, "10.9.0.1")
	s, _ := table.Open(addr("198.51.100.7"), first, table.Bind(pathTo(addr("10.0.0.11"))), 1)
	other := recordOf(table.self, second, "10.9.0.1", 5)
	if other.Born = table.bornOf(s) + 1000; other.Face(Outbound) != table.Face(s, Outbound) {
		t.Fatal("not the same port")
	}
	install(t, table, other, Conflict)
	if got := table.sessionOf(t, addr("198.51.100.7"), first); got != s || table.Count() != 1 {
		t.Error("what others say counts for more than what the table opened")
	}
}

// A director whose name or block changed finds its local addresses in other
// directors' sessions.
func TestPortsOfAnotherHome(t *testing.T) {
	for _, before := range []bool{false, true} { // whether the address is ours before the session comes
		table := fleetTable(10, "lb1")
		setLocals(table, 5<<8, 6<<8-1, "10.9.0.1")
		if before {
			setLocals(table, 5<<8, 6<<8-1, "10.9.3.1")
		}
		r := recordOf(ownerOf("old", 1), 1, "10.9.3.1", 5)
		r.State = Close
		s := install(t, table, r, Created)
		if !before && table.paths[s.Path].endpoint.pools != nil {
			t.Error("a port set for another director's address")
		}
		setLocals(table, 5<<8, 6<<8-1, "10.9.3.1")
		path := table.Bind(r.PathKey)
		table.Path(path).Live = true
		client := uint16(1)
		if _, outcome := openInSlot(table, r.ClientSlot(), path, &client); outcome != NoPort {
			t.Errorf("ours before %v: outcome %d, the only port is another session's", before, outcome)
		}
		if s := table.Expendable(NoPort, addr("198.51.100.7"), client, path); s != nil {
			t.Errorf("ours before %v: gives way: %+v", before, s)
		}
		table.Close(s)
		if _, outcome := openInSlot(table, r.ClientSlot(), path, &client); outcome != Opened {
			t.Errorf("ours before %v: outcome %d after it was freed", before, outcome)
		}
	}
}

// Sessions of others keep no client from opening one, and what a table can open
// keeps no other director's from being kept.
func TestRoom(t *testing.T) {
	table := NewTable(Config{Sessions: 5, Replicas: 3, Slots: [2]int{0, Slots}})
	table.SetSelf(ownerOf("lb1", 1), 0)
	setLocals(table, 1024, 65535, "10.9.0.1")
	for port := range uint16(6) { // the places of replicas are none for ours
		_, outcome := table.Open(addr("198.51.100.7"), port, table.Bind(pathTo(addr("10.0.0.11"))), 1)
		if (outcome == Opened) != (port < 5) {
			t.Fatalf("session %d: outcome %d", port+1, outcome)
		}
	}
	table.Each(0, 10, table.Close)
	for port := range uint16(3) {
		install(t, table, recordOf(ownerOf("lb2", 1), port, "10.9.7.1", 5), Created)
	}
	install(t, table, recordOf(ownerOf("lb2", 1), 3, "10.9.7.1", 5), NoRoom)
	path := table.Bind(pathTo(addr("10.0.0.11")))
	for port := uint16(10); port < 15; port++ {
		if _, outcome := table.Open(addr("198.51.100.7"), port, path, 1000); outcome != Opened {
			t.Fatalf("outcome %d beside replicas", outcome)
		}
	}
	if _, outcome := table.Open(addr("198.51.100.7"), 15, path, 1000); outcome != Full {
		t.Fatalf("outcome %d, want full", outcome)
	}
	for range 5 { // a flood displaces itself, and nobody else
		s := table.Expendable(Full, addr("198.51.100.7"), 15, path)
		if s == nil || s.Role() != Home {
			t.Fatalf("gives way: %+v", s)
		}
		table.Close(s)
	}
	if s := table.Expendable(Full, addr("198.51.100.7"), 15, path); s != nil {
		t.Errorf("gives way: %+v", s)
	}
	over := recordOf(ownerOf("lb2", 1), 0, "10.9.7.1", 5)
	over.State = Close
	table.Adopt(install(t, table, over, Merged), 1000)
	if s := table.Expendable(Full, addr("198.51.100.7"), 15, path); s != nil {
		t.Errorf("gives way: %+v", s)
	}
	if got := table.Roles(); got != [NumRoles]int{Adopted: 1, Replica: 2} {
		t.Errorf("roles %v", got)
	}
	for port := uint16(20); port < 25; port++ { // what was ours before a restart may take all there is
		install(t, table, recordOf(ownerOf("lb1", 0), port, "10.9.0.1", 9), Created)
	}
	install(t, table, recordOf(ownerOf("lb1", 0), 25, "10.9.0.1", 9), NoRoom)
}

// What is gone is gone, but for what came later; what comes late does not stay.
func TestGone(t *testing.T) {
	table := fleetTable(10, "lb1")
	r := recordOf(ownerOf("lb2", 1), 1, "10.9.7.1", 5)
	gone := r
	gone.Kind = Gone
	if table.Remove(&gone) {
		t.Error("nothing was removed")
	}
	install(t, table, r, Created)
	again := r
	again.Born++
	install(t, table, again, Merged)
	if table.Remove(&gone) {
		t.Error("a session that was born later was removed")
	}
	gone.Born = again.Born
	if !table.Remove(&gone) || table.Count() != 0 || len(table.Homes()) != 0 {
		t.Error("not removed")
	}

	late := r // comes after its end, ten minutes old
	late.Idle = 600 * second
	if s, what := table.Install(&late, 9000); what != Created || table.Expires(s) != 9000-600*second+1210*second {
		t.Errorf("outcome %d, expires at %d", what, table.Expires(s))
	}
	if expired, _, _ := touches(table, 9000+610*second); len(expired) != 1 {
		t.Error("nobody touches it, and it stays")
	}
	late.Idle = 1210 * second
	install(t, table, late, Stale)

	own, _ := table.Open(addr("198.51.100.7"), 9, table.Bind(pathTo(addr("10.0.0.11"))), 1)
	table.Share(own, 1)
	table.Record(own, 1, &gone)
	gone.Kind = Gone
	if table.Remove(&gone) {
		t.Error("others removed what is ours")
	}
}

// A client that opens a connection anew after its old one is over may come to
// another director, which gives it a server and a port of its own.
func TestSucceed(t *testing.T) {
	for _, mode := range []Mode{FULLNAT, NAT, DR} {
		for _, state := range []State{TimeWait, Close, Established} { // established: its server is dead
			t.Run(fmt.Sprint(mode, state), func(t *testing.T) {
				home, other := fleetTable(10, "lb1"), fleetTable(10, "lb2")
				setLocals(other, 1024, 65535, "10.9.7.1")
				key := pathTo(addr("10.0.0.11"))
				key.Mode = mode
				old, _ := home.Open(addr("198.51.100.7"), 4711, home.Bind(key), 5000)
				home.enter(old, Established, 5000)
				home.enter(old, state, 5000)
				var r Record
				home.Tell(old, 5000, &r)
				replica, _ := other.Install(&r, 50)

				in := other.Face(replica, Inbound)
				if state == Established {
					key.Server = addr("10.0.0.12")
				}
				s, outcome := other.Open(addr("198.51.100.7"), 4711, other.Bind(key), 50)
				if outcome != Opened {
					t.Fatalf("outcome %d", outcome)
				}
				if got, _ := other.Find(&in); got != s || !replica.Shadowed(Inbound) {
					t.Error("the new connection is not found")
				}
				if mode == FULLNAT {
					out := other.Face(replica, Outbound)
					if got, _ := other.Find(&out); got != replica {
						t.Error("what the old server still sends is not found")
					}
				}
				if state == Established && (replica.State != Close || !replica.News()) {
					t.Errorf("%v, and its home is not told", replica.State)
				}

				if _, told, _ := touches(other, 90); (len(told) > 0) != (state == Established) {
					t.Errorf("told of %v", told)
				}
				other.Tell(replica, 90, &r)
				home.Install(&r, 5010)
				other.enter(s, Established, 51)
				other.Tell(s, 51, &r)
				if _, what := home.Install(&r, 5010); what != Created {
					t.Fatalf("outcome %d", what)
				}
				got, _ := home.Find(&in)
				if got == nil || got.Role() != Replica || !old.Shadowed(Inbound) {
					t.Errorf("its home finds %+v", got)
				}
				home.Close(got)
				if got, _ := home.Find(&in); got != old {
					t.Errorf("after the new one the home finds %+v", got)
				}
			})
		}
	}
}

// A forged SYN that opens half a session somewhere takes nothing from a living
// connection.
func TestLivingGoesFirst(t *testing.T) {
	table := fleetTable(10, "lb2")
	path := table.Bind(pathTo(addr("10.0.0.11")))
	half, _ := table.Open(addr("198.51.100.7"), 4711, path, 900)
	in := table.Face(half, Inbound)
	alive := install(t, table, recordOf(ownerOf("lb1", 1), 4711, "10.9.7.1", 5), Created)
	if s, _ := table.Find(&in); s != alive {
		t.Errorf("found %+v", s)
	}
	table.enter(half, Established, 1000) // no, the client did want another
	if s, _ := table.Find(&in); s != half {
		t.Errorf("after the later one was established, found %+v", s)
	}
	table.enter(half, Close, 1001)
	if s, _ := table.Find(&in); s != alive {
		t.Errorf("after the later one was reset, found %+v", s)
	}
}

// A server that counts connections counts those that are carried here.
func TestReplicasAreNoLoad(t *testing.T) {
	table := fleetTable(10, "lb1")
	s := install(t, table, recordOf(ownerOf("lb2", 1), 1, "10.9.7.1", 5), Created)
	path := table.Path(s.Path)
	want := func(active, inactive, replicas uint32) {
		t.Helper()
		if path.Active != active || path.Inactive != inactive || path.Replicas != replicas || path.Sessions() != 1 {
			t.Errorf("active %d, inactive %d, replicas %d", path.Active, path.Inactive, path.Replicas)
		}
	}
	want(0, 0, 1)
	table.Adopt(s, 1000)
	want(1, 0, 0)
	if s.Role() != Adopted || !s.News() {
		t.Errorf("%v, and nobody is told", s.Role())
	}
	table.enter(s, CloseWait, 1001)
	want(0, 1, 0)
	table.setRole(s, Replica)
	want(0, 0, 1)
	if table.Close(s); path.Sessions() != 0 {
		t.Errorf("%d sessions after the last was closed", path.Sessions())
	}
}

// Directors come and go; a table forgets those whose sessions it has no more.
func TestOwnersComeAndGo(t *testing.T) {
	table := fleetTable(10, "lb1")
	for life := range uint64(1000) {
		r := recordOf(ownerOf(fmt.Sprintf("lb%d", 2+life%7), life), 1, "10.9.7.1", 5)
		r.Born = Born(life + 1)
		s, _ := table.Install(&r, 1000)
		if s == nil || table.HomeOf(s) != r.Home || len(table.Homes()) != 1 {
			t.Fatalf("life %d: %+v of %v", life, s, table.Homes())
		}
		again := r
		again.Home.Epoch++
		if s, _ := table.Install(&again, 1000); table.HomeOf(s) != again.Home {
			t.Fatalf("a later life: %v", table.HomeOf(s))
		}
		if d := table.Digest(r.Home.ID, r.ClientSlot()); d.Count != 1 || d.Sum != table.fingerprint(s) {
			t.Fatalf("digest %v", d)
		}
	}
	if len(table.lives.all) > 4 {
		t.Errorf("%d owners remembered", len(table.lives.all))
	}
}

func TestFleetAllocatesNothing(t *testing.T) {
	table := fleetTable(100, "lb1")
	r := recordOf(ownerOf("lb2", 1), 1, "10.9.7.1", 5)
	s := install(t, table, r, Created)
	install(t, table, recordOf(ownerOf("lb2", 1), 2, "10.9.7.1", 5), Created)
	table.Path(s.Path).Live = true
	buf := make([]byte, 0, MaxRecord)
	var got Record
	var expired, touched [8]*Session
	now := Tick(1000)
	for name, f := range map[string]func(){
		"Install of what is known": func() { table.Install(&r, now) },
		"Install and Remove": func() {
			other := r
			other.Born++
			other.ClientPort = 3
			other.LocalPort = 5<<8 | uint16(other.ClientSlot())
			if _, what := table.Install(&other, now); what != Created {
				t.Fatalf("outcome %d", what)
			}
			other.Kind = Gone
			if !table.Remove(&other) {
				t.Fatal("not removed")
			}
		},
		"Tell":     func() { table.Tell(s, now, &got) },
		"AppendTo": func() { buf = r.AppendTo(buf[:0], r.Home) },
		"Parse":    func() { got.Parse(buf, r.Home) },
		"Valid":    func() { r.Valid() },
		"Adopt, Track and Expire": func() {
			table.Adopt(s, now)
			table.Track(s, Inbound, tcpPacket2, now)
			now++
			for table.Behind(now) {
				table.Expire(now, expired[:], touched[:])
			}
		},
		"Digest": func() { table.Digest(r.Home.ID, r.ClientSlot()) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times, want 0", name, n)
		}
	}
}

var tcpPacket2 = tcpPacket(packet.FlagACK, 1, 1, 0)
