package session

import (
	"slices"
	"testing"

	"fleetlb/fullnat/packet"
)

// expireAt lets the worker run until now and returns what expired, closed.
func expireAt(t *Table, now Tick) (clients []uint16) {
	var into [16]*Session
	for t.Behind(now) {
		for _, s := range into[:t.expire(now, into[:])] {
			clients = append(clients, s.ClientPort)
			t.Close(s)
		}
	}
	slices.Sort(clients)
	return clients
}

func TestExpire(t *testing.T) {
	start := ^Tick(0) - 100 // the clock wraps around meanwhile
	table := newTestTable(10)
	var tt Timeouts
	tt[Established] = 30 * 86400 * second
	tt[SynRecv] = 5 * second
	table.SetTimeouts(7, tt)
	long := pathTo(addr("10.0.0.12"))
	dns := pathTo(addr("10.0.0.13"))
	dns.Protocol = packet.UDP
	web := table.Bind(pathTo(addr("10.0.0.11")))
	table.Path(table.Bind(long)).Timeouts = 7

	open := func(port uint16, path PathID, segments ...*packet.Packet) *Session {
		s, _ := table.Open(addr("198.51.100.7"), port, path, start)
		for _, p := range segments {
			table.Track(s, Inbound, p, start)
		}
		return s
	}
	syn, ack, rst := tcpPacket(packet.FlagSYN, 1, 0, 0), tcpPacket(packet.FlagACK, 2, 1, 0), tcpPacket(packet.FlagRST, 2, 0, 0)
	open(1, web, syn)
	open(2, web, ack)
	open(3, table.Bind(long), ack)
	open(4, table.Bind(dns))
	open(5, web, ack, rst)
	open(6, table.Bind(long), syn)
	used := open(7, web, ack)

	steps := []struct {
		after Tick
		want  []uint16
		why   string
	}{
		{5*second - 1, nil, "nothing before its time"},
		{5 * second, []uint16{6}, "syn_recv by the path's own timeouts"},
		{10*second - 1, nil, ""},
		{10 * second, []uint16{5}, "a state of shorter patience brings the time forward"},
		{60 * second, []uint16{1}, "syn_recv"},
		{300 * second, []uint16{4}, "UDP"},
		{900*second - 1, nil, ""},
		{900 * second, []uint16{2}, "established; the one used meanwhile stays"},
		{800*second + 900*second - 1, nil, ""},
		{800*second + 900*second, []uint16{7}, "until it has been idle for as long"},
		{30*86400*second - 1, nil, "more turns of the wheel than one"},
		{30 * 86400 * second, []uint16{3}, "thirty days"},
	}
	for _, step := range steps {
		if step.after > 800*second && table.Count() > 2 {
			used.LastUsed = start + 800*second // use is one store
		}
		if got := expireAt(table, start+step.after); !slices.Equal(got, step.want) {
			t.Errorf("after %d ticks: %v expired, want %v: %s", step.after, got, step.want, step.why)
		}
	}
}

// What the worker leaves alone is found again, and keeps nothing from being
// found.
func TestExpiredButNotClosed(t *testing.T) {
	table := newTestTable(10)
	path := table.Bind(pathTo(addr("10.0.0.11")))
	s, _ := table.Open(addr("198.51.100.7"), 1, path, 0)
	var into [4]*Session
	for now := 60 * second; now < 70*second; now++ {
		n := 0
		for table.Behind(now) {
			n += table.expire(now, into[:])
		}
		if n != 1 {
			t.Fatalf("tick %d: found %d times, want once", now, n)
		}
	}
	s.LastUsed = 70 * second
	if got := expireAt(table, 130*second-1); got != nil {
		t.Errorf("a session used again expired")
	}
	if got := expireAt(table, 130*second); len(got) != 1 {
		t.Errorf("a session used again never expires")
	}
}

// However many expire at once, one call does no more than its share.
func TestExpireIsBounded(t *testing.T) {
	const n = 50_000
	table := newTestTable(n)
	path := table.Bind(pathTo(addr("10.0.0.11")))
	for i := range n {
		table.Open(addr("198.51.100.7"), uint16(i), path, 0)
	}
	var into [64]*Session
	closed, calls := 0, 0
	for table.Behind(60 * second) {
		for _, s := range into[:table.expire(60*second, into[:])] {
			table.Close(s)
			closed++
		}
		calls++
	}
	if closed != n || calls > n/len(into)+60*int(second)/len(into) {
		t.Errorf("%d of %d closed in %d calls", closed, n, calls)
	}
	if table.expire(60*second, into[:]) != 0 || table.expire(70*second, nil) != 0 {
		t.Error("an empty table expires")
	}
}

// A director that was stopped for a day finds everything when it wakes up.
func TestLongSleep(t *testing.T) {
	table := newTestTable(1000)
	path := table.Bind(pathTo(addr("10.0.0.11")))
	for i := range 1000 {
		s, _ := table.Open(addr("198.51.100.7"), uint16(i), path, Tick(i))
		table.Track(s, Inbound, tcpPacket(packet.FlagACK, 1, 1, 0), Tick(i))
	}
	if got := expireAt(table, 86400*second); len(got) != 1000 {
		t.Errorf("%d of 1000 found", len(got))
	}
}
