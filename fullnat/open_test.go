package fullnat

import (
	"fmt"
	"strings"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// TestRefuse turns down what cannot be served, at once and without a trace.
func TestRefuse(t *testing.T) {
	w := newTestWorker(t,
		"vip 203.0.113.80:443 → !10.0.0.11:8443 ~10.0.0.12:8443 via 10.9.0.1",
		"udp 203.0.113.53:53 → !10.0.0.11:5353",
		"udp [2001:db8::53]:53 → ![fd00::11]:5353",
		"vip 203.0.113.81:443 → !10.0.0.11:8443 sorry 10.0.0.14:80",
		"vip 203.0.113.82:443 → 172.16.0.1:80 10.0.0.11:80",
		"vip [2001:db8::80]:443 → [fd00::11]:8443") // and no local address of its family
	w.network.Routes = append(w.network.Routes, nowhere("172.16.0.0/12"))
	w.publish()
	w.converse([]row{
		{"no server: a reset that the client believes",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df ack 1001", "rejected no_server"},
		{"no server for UDP: port unreachable",
			"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 3",
			"icmp 203.0.113.53 > 198.51.100.7 no-port ttl 64 tos 192 df ( udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 3 )", "rejected no_server"},
		{"and over IPv6",
			"udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 3",
			"icmp 2001:db8::53 > 2001:db8:7::7 no-port ttl 64 ( udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 3 )", "rejected no_server"},
		{"only the sorry server is left",
			"tcp 198.51.100.7:4711 > 203.0.113.81:443 S ttl 64 seq 1000",
			"tcp 10.9.0.1:5235 > 10.0.0.14:80 S ttl 63 seq 1000", "forwarded"},
		{"no local address",
			"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64 seq 1000",
			"tcp [2001:db8::80]:443 > [2001:db8:7::7]:4711 RA ttl 64 ack 1001", "rejected no_port"},
		{"no route to the server",
			"tcp 198.51.100.7:4711 > 203.0.113.82:443 S ttl 64 seq 1000", "", "no_route"},
		{"the next attempt gets another server",
			"tcp 198.51.100.7:4711 > 203.0.113.82:443 S ttl 64 seq 1000",
			"tcp 10.9.0.1:5235 > 10.0.0.11:80 S ttl 63 seq 1000", "forwarded"},
		{"no hops left: traceroute sees the director",
			"tcp 198.51.100.8:4711 > 203.0.113.81:443 S ttl 1 seq 1000",
			"icmp 192.0.2.1 > 198.51.100.8 ttl-exceeded ttl 64 tos 192 df ( tcp 198.51.100.8:4711 > 203.0.113.81:443 S ttl 1 seq 1000 )", "rejected ttl"},
	})
	if got, want := strings.Join(w.sessionsNow(), ", "), "198.51.100.7:4711 syn_recv, 198.51.100.7:4711 syn_recv"; got != want {
		t.Errorf("sessions %s, want %s", got, want)
	}
	w.network.Addresses[0] = w.network.Addresses[0][1:]
	w.network.Addresses[1] = w.network.Addresses[1][1:]
	w.publish()
	w.converse([]row{{"a host that has no address of the family complains as the VIP",
		"tcp 198.51.100.7:4711 > 203.0.113.82:443 A ttl 1 seq 1000",
		"icmp 203.0.113.82 > 198.51.100.7 ttl-exceeded ttl 64 tos 192 df ( tcp 198.51.100.7:4711 > 203.0.113.82:443 A ttl 1 seq 1000 )", "rejected ttl"}})
}

// TestRejectLimit answers so many hopeless packets in a tick and no more.
func TestRejectLimit(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → !10.0.0.11:8443 via 10.9.0.1")
	for i := range rejectsPerTick + 10 {
		w.inject(fmt.Sprintf("tcp 198.51.100.7:%d > 203.0.113.80:443 S ttl 64", 1+i))
		w.settle()
	}
	if got, want := w.verdictsSince(), fmt.Sprintf("rejected×%d no_server×%d", rejectsPerTick, rejectsPerTick+10); got != want {
		t.Errorf("verdicts %q, want %q", got, want)
	}
	w.pass(tickLength)
	w.sent()
	w.inject("tcp 198.51.100.7:1 > 203.0.113.80:443 S ttl 64")
	w.settle()
	w.expect("the next tick", "tcp 203.0.113.80:443 > 198.51.100.7:1 RA ttl 64 df ack 1", "rejected no_server")
}

// establish opens a connection of a client to 203.0.113.80:443 whose numbers are
// 1001 for the client's next byte and 5001 for the server's.
func (b *bench) establish(client, local, server string) {
	b.Helper()
	b.converse([]row{
		{"SYN", "tcp " + client + " > 203.0.113.80:443 S ttl 64 seq 1000",
			"tcp " + local + " > " + server + " S ttl 63 seq 1000", "forwarded"},
		{"SYN-ACK", "eth1 tcp " + server + " > " + local + " SA ttl 64 seq 5000 ack 1001",
			"tcp 203.0.113.80:443 > " + client + " SA ttl 63 seq 5000 ack 1001", "forwarded"},
		{"ACK", "tcp " + client + " > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001",
			"tcp " + local + " > " + server + " A ttl 63 seq 1001 ack 5001", "forwarded"},
	})
}

// TestFlood fills the table with SYNs of forged clients.
func TestFlood(t *testing.T) {
	const room = 64
	w := newBench(t, 1, room, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.snapshot.Ports = [2]uint16{1024, 65535}
	w.publish()
	w.inject("tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000")
	w.settle()
	local := w.workers[0].list(nil, 0).sessions[0].Local
	w.inject(fmt.Sprintf("eth1 tcp 10.0.0.11:8443 > %v SA ttl 64 seq 5000 ack 1001", local),
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001")
	w.settle()
	for i := range 10 * room {
		w.inject(fmt.Sprintf("tcp 203.0.113.9:%d > 203.0.113.80:443 S ttl 64", 1+i))
		w.settle()
	}
	if got, want := w.verdictsSince(), fmt.Sprintf("forwarded×%d", 3+10*room); got != want {
		t.Errorf("verdicts %q, want %q", got, want)
	}
	if w.workers[0].displaced != 9*room+1 {
		t.Errorf("%d sessions displaced, want %d", w.workers[0].displaced, 9*room+1)
	}
	w.sent()
	w.inject("tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001")
	w.settle()
	w.expect("the established session does not notice",
		fmt.Sprintf("tcp %v > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001", local), "forwarded")
	w.books()
}

// TestFull fills the table with established sessions.
func TestFull(t *testing.T) {
	w := newBench(t, 1, 2, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	w.establish("198.51.100.8:4711", "10.9.0.1:5270", "10.0.0.11:8443")
	w.converse([]row{
		{"no room for a third",
			"tcp 198.51.100.9:4711 > 203.0.113.80:443 S ttl 64 seq 1",
			"tcp 203.0.113.80:443 > 198.51.100.9:4711 RA ttl 64 df ack 2", "rejected table_full"},
		{"the others do not notice",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001", "forwarded"},
		{"one ends",
			"tcp 198.51.100.8:4711 > 203.0.113.80:443 R ttl 64 seq 1001",
			"tcp 10.9.0.1:5270 > 10.0.0.11:8443 R ttl 63 seq 1001", "forwarded"},
		{"and gives its place",
			"tcp 198.51.100.9:4711 > 203.0.113.80:443 S ttl 64 seq 1",
			"tcp 10.9.0.1:5160 > 10.0.0.11:8443 S ttl 63 seq 1", "forwarded"},
	})
	w.books()
}

// TestNoPort has two clients in one slot, which has one port towards the server.
func TestNoPort(t *testing.T) {
	first, second := sameSlot(packet.TCP, "198.51.100.7")
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1")
	local := fmt.Sprintf("10.9.0.1:%d", 5120+int(session.Slot(packet.TCP, addr("198.51.100.7"), uint16(first))))
	syn := func(port int) string {
		return fmt.Sprintf("tcp 198.51.100.7:%d > 203.0.113.80:443 S ttl 64 seq 1000", port)
	}
	out := "tcp " + local + " > 10.0.0.11:8443 S ttl 63 seq 1000"
	w.converse([]row{
		{"the first takes the port", syn(first), out, "forwarded"},
		{"the second takes it from the first, which is half-open", syn(second), out, "forwarded"},
	})
	w.services("vip 203.0.113.80:443 → 10.0.0.11:8443 10.0.0.12:8443")
	client := fmt.Sprintf("198.51.100.7:%d", second)
	w.converse([]row{
		{"established", lines("eth1 tcp 10.0.0.11:8443 > "+local+" SA ttl 64 seq 5000 ack 1001", "tcp "+client+" > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001"),
			lines("tcp 203.0.113.80:443 > "+client+" SA ttl 63 seq 5000 ack 1001", "tcp "+local+" > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001"), "forwarded×2"},
		{"established sessions keep their ports", syn(first), "tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df ack 1001", "rejected no_port"},
		{"the other server has ports", syn(first), "tcp " + local + " > 10.0.0.12:8443 S ttl 63 seq 1000", "forwarded"},
	})
	w.services("vip 203.0.113.80:443 → 10.0.0.11:8443")
	third := nextOfSlot(packet.TCP, "198.51.100.7", second)
	w.converse([]row{{"the port is in use and stays so", syn(third),
		fmt.Sprintf("tcp 203.0.113.80:443 > 198.51.100.7:%d RA ttl 64 df ack 1001", third), "rejected no_port"}})
	w.books()
}

// sameSlot returns two ports of a client's that are of one slot.
func sameSlot(protocol uint8, client string) (int, int) {
	return 4711, nextOfSlot(protocol, client, 4711)
}

func nextOfSlot(protocol uint8, client string, port int) int {
	slot := session.Slot(protocol, addr(client), uint16(port))
	for port++; session.Slot(protocol, addr(client), uint16(port)) != slot; port++ {
	}
	return port
}

// TestLoad publishes what the schedulers go by.
func TestLoad(t *testing.T) {
	w := newTestWorker(t,
		"vip 203.0.113.80:443 → 10.0.0.11:8443 10.0.0.12:8443 via 10.9.0.1 wlc",
		"udp 203.0.113.53:53 → 10.0.0.11:5353 10.0.0.12:5353 wlc")
	for i, want := range []string{"11", "12", "11", "12"} {
		w.inject(fmt.Sprintf("udp 198.51.100.7:%d > 203.0.113.53:53 ttl 64", 4711+i))
		w.settle()
		if got := w.sent(); !strings.Contains(got, "> 10.0.0."+want+":") {
			t.Errorf("connection %d: %s, want server %s", i, got, want)
		}
	}
	w.verdictsSince()
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	servers := w.snapshot.Services.Services[0].Servers
	if a, b := servers[0].Load.Active(), servers[1].Load.Active(); a != 1 || b != 0 {
		t.Errorf("%d and %d active sessions, want 1 and 0", a, b)
	}
	w.books()
}

// books checks that the loads published are the sessions there are, of servers
// that there are.
func (b *bench) books() {
	b.Helper()
	active, inactive, sessions := 0, 0, 0
	for _, s := range b.snapshot.Services.Servers {
		if s.Service == b.snapshot.Services.Services[s.Service.ID] { // else it has the load of one that is
			active += s.Load.Active()
			inactive += s.Load.Inactive()
		}
	}
	for _, w := range b.workers {
		for _, path := range w.sessions.Paths() {
			if path.Live {
				sessions += path.Sessions()
			}
		}
	}
	if active+inactive != sessions {
		b.Errorf("servers have %d active and %d inactive sessions, the tables %d", active, inactive, sessions)
	}
}
