package fullnat

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"fleetlb/fullnat/packet/packettest"
)

// stations prints what has left with the stations it goes from and to.
func (b *bench) stations() (all []string) {
	for _, f := range b.frames() {
		all = append(all, fmt.Sprintf("%x > %x %s", f.Bytes[6:12], f.Bytes[:6], packettest.Print(f.Bytes)))
	}
	return all
}

func TestDR(t *testing.T) {
	w := newTestWorker(t,
		"vip 203.0.113.80:443 → dr 10.0.0.11:443 10.0.0.12:443",
		"udp 203.0.113.53:53 → dr 10.0.0.12:53",
		"vip [2001:db8::80]:443 → dr [fd00::11]:443",
		"vip 203.0.113.81:443 → dr 198.18.0.1:443")
	w.converse([]row{
		{"a SYN opens a session", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000 mss 1460", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 63 seq 1000 mss 1460", "forwarded"},
		{"the client speaks for both", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 seq 1001 ack 5001", "forwarded"},
		{"UDP", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 33", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 len 33", "forwarded"},
		{"a fragment", lines("udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 9 of 2000 len 1472", "frag 198.51.100.7 > 203.0.113.53 ttl 64 id 9 off 1480 len 528"),
			lines("udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 id 9 of 2000 len 1472", "frag 198.51.100.7 > 203.0.113.53 ttl 63 id 9 off 1480 len 528"), "forwarded×2"},
		{"IPv6", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64 seq 7", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 63 seq 7", "forwarded"},
		{"an error about what the server sent goes to the server",
			"icmp 198.51.100.1 > 203.0.113.80 too-big ttl 60 mtu 1400 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 df seq 5001 ack 1001 len 1460 cut 8 )",
			"icmp 198.51.100.1 > 203.0.113.80 too-big ttl 59 mtu 1400 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 - ttl 55 df seq 5001 len 1460 cut 8 )", "forwarded"},
		{"no hops left", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 1 seq 1001 ack 5001",
			"icmp 192.0.2.1 > 198.51.100.7 ttl-exceeded ttl 64 tos 192 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 1 seq 1001 ack 5001 )", "rejected ttl"},
		{"back from the server that it would go to: a director itself",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 62 seq 1001 ack 5001 eth 02:00:00:00:01:0b > 02:00:00:00:01:01", "", "loop"},
		{"from another station it goes on, a hop less each time",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 62 seq 1001 ack 5001 eth 02:00:00:00:01:0c > 02:00:00:00:01:01",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 61 seq 1001 ack 5001", "forwarded"},
		{"a server behind a router", "tcp 198.51.100.7:4711 > 203.0.113.81:443 S ttl 64", "", "off_link"},
		{"answers of a server pass by", "eth1 tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 64", "", "not_ours"},
	})
	if got, want := w.sessionsNow(), []string{"198.51.100.7:4711 established", "198.51.100.7:4711 one_way", "[2001:db8:7::7]:4711 syn_recv"}; !slices.Equal(got, want) {
		t.Errorf("sessions %v, want %v", got, want)
	}

	w.inject("tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 seq 1001 ack 5001 len 10")
	w.settle()
	if got, want := w.stations(), []string{"020000000101 > 02000000010b tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 63 seq 1001 ack 5001 len 10"}; !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	w.verdictsSince()
	w.pass(16 * time.Minute)
	if got, want := w.stations(), []string{
		"020000000101 > 02000000010b tcp 198.51.100.7:4711 > 203.0.113.80:443 RA ttl 64 df seq 1011 ack 5001",
		"020000000001 > 0200000000fe tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df seq 5001 ack 1011",
	}; !slices.Equal(got, want) {
		t.Errorf("an idle session ends with %q, want %q", got, want)
	}
}

// TestDRUnresolved holds the packet for the server, though it goes to the VIP.
func TestDRUnresolved(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → dr 10.0.0.20:443")
	w.inject("tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000")
	w.settle()
	w.expect("held", "", "parked")
	if !slices.Contains(w.wanted, addr("10.0.0.20")) {
		t.Errorf("wanted %v, not the server", w.wanted)
	}
	server := addr("10.0.0.20").Netip()
	w.network.Neighbors[1][server] = [6]byte{2, 0, 0, 0, 1, 20}
	w.network.Wanted = append(w.network.Wanted, server)
	w.publish()
	w.settle()
	w.expect("let go", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 63 seq 1000", "forwarded")
}
