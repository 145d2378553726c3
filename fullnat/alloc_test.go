package fullnat

import (
	"testing"

	"fleetlb/fullnat/packet/packettest"
)

// TestAllocations: nothing on a packet's way allocates.
func TestAllocations(t *testing.T) {
	w, q, in, out := crowd(t, 2000, 2000)
	worker := w.workers[0]
	turn := func() { worker.turn(w.now) }
	syns := clients(t, 2000, 2)

	for _, tt := range []struct {
		name   string
		frames [][]byte
		do     func()
	}{
		{"established, inbound", in, turn},
		{"established, outbound", out, turn},
		{"opening, and displacing half-open ones", syns, turn},
		{"refused", [][]byte{packettest.Frame(t, "tcp 198.51.100.7:4711 > 203.0.113.80:444 S ttl 64")}, turn},
		{"no hops left", [][]byte{packettest.Frame(t, "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 1")}, turn},
		{"ping", [][]byte{packettest.Frame(t, "icmp 198.51.100.7 > 203.0.113.80 echo ttl 64")}, turn},
		{"malformed", [][]byte{packettest.Frame(t, "tcp 198.51.100.7:4711 > 203.0.113.80:444 S ttl 64 bad-ip-sum")}, turn},
		{"fragments without a beginning", [][]byte{packettest.Frame(t, "frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 1480 len 80")}, turn},
		{"an error", [][]byte{packettest.Frame(t, "icmp 198.51.100.7 > 203.0.113.80 no-host ttl 64 ( tcp 203.0.113.80:443 > 198.51.100.9:4711 A ttl 55 cut 8 )")}, turn},
		{"a tick", in, func() { w.now++; turn() }},
		{"the snapshot looked at again", in, func() { worker.pin(w.now) }},
		{"a walk for a server that went down", in, func() { worker.walker.start(); worker.walk(w.now) }},
	} {
		q.load(tt.frames)
		tt.do() // what is made once is made
		if n := testing.AllocsPerRun(200, tt.do); n != 0 {
			t.Errorf("%s: allocates %v times a turn, want 0", tt.name, n)
		}
	}
}
