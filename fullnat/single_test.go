package fullnat

import (
	"testing"

	"fleetlb/fullnat/packet/packettest"
)

// Each datagram of a client goes to the next server, and nothing is kept of it.
func TestSingle(t *testing.T) {
	w := newTestWorkers(t, 1,
		"udp 203.0.113.53:53 → dr 10.0.0.11:53 10.0.0.12:53 once",
		"udp 203.0.113.54:53 → nat 10.0.0.11:5353 10.0.0.12:5353 once",
		"udp 203.0.113.55:5000-5009 → nat 10.0.0.13:0 10.0.0.14:0 once",
		"udp 203.0.113.56:53 → tun 10.0.0.13:53 10.0.0.14:53 once",
		"udp 203.0.113.57:53 → nat 10.0.0.11:99 10.0.0.12:99 once persist=5m")
	const ask = "udp 198.51.100.7:4711 > 203.0.113."
	w.converse([]row{
		{"dr", lines(ask+"53:53 ttl 64 len 33", ask+"53:53 ttl 64 len 34"), lines(ask+"53:53 ttl 63 len 33", ask+"53:53 ttl 63 len 34"), "forwarded×2"},
		{"nat", lines(ask+"54:53 ttl 64", ask+"54:53 ttl 64", ask+"54:53 ttl 64"), lines(
			"udp 198.51.100.7:4711 > 10.0.0.11:5353 ttl 63", "udp 198.51.100.7:4711 > 10.0.0.12:5353 ttl 63", "udp 198.51.100.7:4711 > 10.0.0.11:5353 ttl 63"), "forwarded×3"},
		{"its answers are the VIP's", "eth1 udp 10.0.0.12:5353 > 198.51.100.7:4711 ttl 64 len 99", "udp 203.0.113.54:53 > 198.51.100.7:4711 ttl 63 len 99", "forwarded"},
		{"what else it says is not ours", "eth1 udp 10.0.0.12:5354 > 198.51.100.7:4711 ttl 64", "", "not_ours"},
		{"a range keeps its ports", ask + "55:5007 ttl 64", "udp 198.51.100.7:4711 > 10.0.0.13:5007 ttl 63", "forwarded"},
		{"and its answers theirs", "eth1 udp 10.0.0.14:5007 > 198.51.100.7:4711 ttl 64", "udp 203.0.113.55:5007 > 198.51.100.7:4711 ttl 63", "forwarded"},
		{"but for those that are none", "eth1 udp 10.0.0.14:5010 > 198.51.100.7:4711 ttl 64", "", "not_ours"},
		{"no hops left", ask + "54:53 ttl 1", "icmp 192.0.2.1 > 198.51.100.7 ttl-exceeded ttl 64 tos 192 df ( " + ask + "54:53 ttl 1 )", "rejected ttl"},
		{"persistence still leads a client to one server", lines(ask+"57:53 ttl 64", ask+"57:53 ttl 64"), lines(
			"udp 198.51.100.7:4711 > 10.0.0.11:99 ttl 63", "udp 198.51.100.7:4711 > 10.0.0.11:99 ttl 63"), "forwarded×2"},
	})
	for range 4 {
		w.inject(ask + "53:53 ttl 64")
	}
	w.settle()
	stations := map[string]int{}
	for _, f := range w.frames() {
		stations[string(f.Bytes[:6])]++
	}
	if len(stations) != 2 || stations["\x02\x00\x00\x00\x01\x0b"] != 2 {
		t.Errorf("to stations %x", stations)
	}
	w.verdictsSince()
	w.inject(ask+"56:53 ttl 64 len 33", ask+"56:53 ttl 64 len 33")
	w.settle()
	if got, n := w.verdictsSince(), len(w.frames()); got != "forwarded×2" || n != 2 {
		t.Errorf("tun: %s, %d frames", got, n)
	}
	if got := w.sessionsNow(); len(got) > 0 {
		t.Errorf("kept %v", got)
	}
	c, err := w.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nat := w.snapshot.Services.Services[1]
	if one, two := c.Of(nat.Servers[0]), c.Of(nat.Servers[1]); one.Connections != 2 || one.PacketsIn != 2 || two.PacketsIn != 1 || two.PacketsOut != 1 || two.BytesOut == 0 {
		t.Errorf("counted %+v, %+v", one, two)
	}
	w.books()
}

// The pieces of one datagram go to one server.
func TestSingleInPieces(t *testing.T) {
	w := newTestWorker(t, "udp 203.0.113.54:53 → nat 10.0.0.11:5353 10.0.0.12:5353 once")
	w.converse([]row{
		{"both pieces", lines("udp 198.51.100.7:4711 > 203.0.113.54:53 ttl 64 id 9 of 2000 len 1472", "frag 198.51.100.7 > 203.0.113.54 ttl 64 id 9 off 1480 len 528"),
			lines("udp 198.51.100.7:4711 > 10.0.0.11:5353 ttl 63 id 9 of 2000 len 1472", "frag 198.51.100.7 > 10.0.0.11 ttl 63 id 9 off 1480 len 528"), "forwarded×2"},
	})
	if got := w.sessionsNow(); len(got) != 1 {
		t.Errorf("sessions %v", got)
	}
}

func TestSingleNobody(t *testing.T) {
	w := newTestWorker(t, "udp 203.0.113.54:53 → nat !10.0.0.11:5353 once")
	w.converse([]row{{"no server", "udp 198.51.100.7:4711 > 203.0.113.54:53 ttl 64",
		"icmp 203.0.113.54 > 198.51.100.7 no-port ttl 64 tos 192 df ( udp 198.51.100.7:4711 > 203.0.113.54:53 ttl 64 )", "rejected no_server"}})
}

func TestSingleAllocatesNothing(t *testing.T) {
	w := newTestWorker(t, "udp 203.0.113.54:53 → nat 10.0.0.11:5353 10.0.0.12:5353 once persist=1m")
	q := newTreadmill(t)
	w.workers[0].queue = q
	for _, line := range []string{"udp 198.51.100.7:4711 > 203.0.113.54:53 ttl 64", "udp 10.0.0.12:5353 > 198.51.100.7:4711 ttl 64"} {
		q.load([][]byte{packettest.Frame(t, line)})
		turn := func() { w.workers[0].turn(w.now) }
		turn()
		if n := testing.AllocsPerRun(200, turn); n != 0 {
			t.Errorf("%s: allocates %v times a turn, want 0", line, n)
		}
	}
	if w.workers[0].verdicts[Forwarded] == 0 {
		t.Error("nothing was forwarded")
	}
}
