package fullnat

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
)

func TestNAT(t *testing.T) {
	w := newTestWorker(t,
		"vip 203.0.113.80:443 → nat 10.0.0.11:8443",
		"udp 203.0.113.53:53 → nat 10.0.0.12:5353",
		"vip [2001:db8::80]:443 → nat [fd00::11]:8443",
		"vip 203.0.113.81:80 → nat !10.0.0.13:80")
	w.network.Ports[1].MTU = 1400
	w.publish()
	w.converse([]row{
		{"the server sees the client",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000 mss 1460",
			"tcp 198.51.100.7:4711 > 10.0.0.11:8443 S ttl 63 seq 1000 mss 1460", "forwarded"},
		{"and answers it",
			"eth1 tcp 10.0.0.11:8443 > 198.51.100.7:4711 SA ttl 64 seq 5000 ack 1001 mss 1360",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 SA ttl 63 seq 5000 ack 1001 mss 1360", "forwarded"},
		{"the handshake completes",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001",
			"tcp 198.51.100.7:4711 > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001", "forwarded"},
		{"a checksum still owed is still owed",
			"eth1 tcp 10.0.0.11:8443 > 198.51.100.7:4711 PA ttl 64 seq 5001 ack 1001 len 10 partial",
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 PA ttl 63 seq 5001 ack 1001 len 10 partial", "forwarded"},
		{"UDP",
			"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 33",
			"udp 198.51.100.7:4711 > 10.0.0.12:5353 ttl 63 len 33", "forwarded"},
		{"and back, without a checksum",
			"eth1 udp 10.0.0.12:5353 > 198.51.100.7:4711 ttl 64 len 512 no-sum",
			"udp 203.0.113.53:53 > 198.51.100.7:4711 ttl 63 len 512 no-sum", "forwarded"},
		{"in fragments, in any order",
			lines("eth1 frag 10.0.0.12 > 198.51.100.7 ttl 64 id 9 off 1376 len 632",
				"eth1 udp 10.0.0.12:5353 > 198.51.100.7:4711 ttl 64 id 9 of 2000 len 1368"),
			lines("udp 203.0.113.53:53 > 198.51.100.7:4711 ttl 63 id 9 of 2000 len 1368",
				"frag 203.0.113.53 > 198.51.100.7 ttl 63 id 9 off 1376 len 632"), "forwarded×2 parked"},
		{"IPv6",
			"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64 seq 7",
			"tcp [2001:db8:7::7]:4711 > [fd00::11]:8443 S ttl 63 seq 7", "forwarded"},
		{"and back",
			"eth1 tcp [fd00::11]:8443 > [2001:db8:7::7]:4711 SA ttl 64 seq 9 ack 8",
			"tcp [2001:db8::80]:443 > [2001:db8:7::7]:4711 SA ttl 63 seq 9 ack 8", "forwarded"},

		{"an error from the server: to the client, about what the client sent",
			"eth1 icmp 10.0.0.12 > 198.51.100.7 no-port ttl 64 ( udp 198.51.100.7:4711 > 10.0.0.12:5353 ttl 63 len 33 )",
			"icmp 203.0.113.53 > 198.51.100.7 no-port ttl 63 ( udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 len 33 )", "forwarded"},
		{"from a router between",
			"eth1 icmp 10.0.0.254 > 198.51.100.7 too-big ttl 64 mtu 1300 ( tcp 198.51.100.7:4711 > 10.0.0.11:8443 A ttl 62 df seq 1001 ack 5001 len 1360 cut 8 )",
			"icmp 203.0.113.80 > 198.51.100.7 too-big ttl 63 mtu 1300 ( tcp 198.51.100.7:4711 > 203.0.113.80:443 - ttl 62 df seq 1001 len 1360 cut 8 )", "forwarded"},
		{"from a router of the client's: to the server, about what the server sent",
			"icmp 198.51.100.1 > 203.0.113.80 too-big ttl 60 mtu 1300 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 df seq 5001 ack 1001 len 1360 cut 8 )",
			"icmp 198.51.100.1 > 10.0.0.11 too-big ttl 59 mtu 1300 ( tcp 10.0.0.11:8443 > 198.51.100.7:4711 - ttl 55 df seq 5001 len 1360 cut 8 )", "forwarded"},
		{"over IPv6",
			"eth1 icmp fd00::fe > 2001:db8:7::7 too-big ttl 64 mtu 1300 ( tcp [2001:db8:7::7]:4711 > [fd00::11]:8443 A ttl 62 seq 8 len 1330 cut 100 )",
			"icmp 2001:db8::80 > 2001:db8:7::7 too-big ttl 63 mtu 1300 ( tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 A ttl 62 seq 8 len 1330 cut 100 )", "forwarded"},

		{"no hops left: the server is told",
			"eth1 tcp 10.0.0.11:8443 > 198.51.100.7:4711 A ttl 1 seq 5001 ack 1001",
			"icmp 10.0.0.1 > 10.0.0.11 ttl-exceeded ttl 64 tos 192 df ( tcp 10.0.0.11:8443 > 198.51.100.7:4711 A ttl 1 seq 5001 ack 1001 )", "rejected ttl"},
		{"too long for the servers' link",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 df seq 1001 ack 5001 len 1361",
			"icmp 192.0.2.1 > 198.51.100.7 too-big ttl 64 tos 192 df mtu 1400 ( tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 df seq 1001 ack 5001 len 1361 cut 528 )", "rejected too_big"},

		{"a connection of the server's own is the kernel's",
			"eth1 tcp 10.0.0.11:4711 > 198.51.100.7:443 S ttl 64", "", "not_ours"},
		{"so is what its service port sends to somebody who is no client",
			"eth1 tcp 10.0.0.11:8443 > 198.51.100.8:4711 SA ttl 64", "", "not_ours"},
		{"and to the host itself, whose checks it answers",
			"eth1 tcp 10.0.0.11:8443 > 10.0.0.1:4711 SA ttl 64", "", "not_ours"},
		{"in fragments as well",
			lines("eth1 udp 10.0.0.12:4711 > 198.51.100.7:53 ttl 64 id 10 of 2000 len 1368",
				"eth1 frag 10.0.0.12 > 198.51.100.7 ttl 64 id 10 off 1376 len 632"), "", "not_ours×2"},
		{"and errors about them",
			"eth1 icmp 10.0.0.12 > 198.51.100.8 no-port ttl 64 ( udp 198.51.100.8:4711 > 10.0.0.12:5353 ttl 63 len 33 )", "", "not_ours"},
		{"and about the host's own",
			"eth1 icmp 10.0.0.12 > 10.0.0.1 no-port ttl 64 ( udp 10.0.0.1:4711 > 10.0.0.12:5353 ttl 63 len 33 )", "", "not_ours"},
		{"another server's answer",
			"eth1 tcp 10.0.0.14:8443 > 198.51.100.7:4711 A ttl 64", "", "not_ours"},
		{"a server that would be given its own connection is refused",
			"eth1 tcp 10.0.0.11:4711 > 203.0.113.80:443 S ttl 64 seq 1",
			"tcp 203.0.113.80:443 > 10.0.0.11:4711 RA ttl 64 df ack 2", "rejected hairpin"},
		{"every server is down",
			"tcp 198.51.100.7:4711 > 203.0.113.81:80 S ttl 64 seq 1",
			"tcp 203.0.113.81:80 > 198.51.100.7:4711 RA ttl 64 df ack 2", "rejected no_server"},
	})
	if got, want := w.sessionsNow(), []string{"198.51.100.7:4711 established", "198.51.100.7:4711 two_way", "[2001:db8:7::7]:4711 syn_recv"}; !slices.Equal(got, want) {
		t.Errorf("sessions %v, want %v", got, want)
	}
	w.pass(16 * time.Minute)
	w.expect("an idle session ends for both ends", lines(
		"tcp 198.51.100.7:4711 > 10.0.0.11:8443 RA ttl 64 df seq 1001 ack 5001",
		"tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df seq 5001 ack 1001"), "originated×2")
}

// TestTwoServicesOneServer cannot tell the server's answers to one client apart.
func TestTwoServicesOneServer(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → nat 10.0.0.11:8443", "vip 203.0.113.81:443 → nat 10.0.0.11:8443")
	w.converse([]row{
		{"one",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1",
			"tcp 198.51.100.7:4711 > 10.0.0.11:8443 S ttl 63 seq 1", "forwarded"},
		{"the other, from the same port",
			"tcp 198.51.100.7:4711 > 203.0.113.81:443 S ttl 64 seq 1",
			"tcp 203.0.113.81:443 > 198.51.100.7:4711 RA ttl 64 df ack 2", "rejected no_port"},
		{"the other, from another port",
			"tcp 198.51.100.7:4712 > 203.0.113.81:443 S ttl 64 seq 1",
			"tcp 198.51.100.7:4712 > 10.0.0.11:8443 S ttl 63 seq 1", "forwarded"},
	})
}

// TestNATWorkers lets either direction arrive at a worker that does not own it.
func TestNATWorkers(t *testing.T) {
	w := newTestWorkers(t, 4, "vip 203.0.113.80:443 → nat 10.0.0.11:8443", "udp 203.0.113.53:53 → nat 10.0.0.11:5353")
	for at := range 4 {
		for _, r := range []struct{ in, out string }{
			{"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000", "tcp 198.51.100.7:4711 > 10.0.0.11:8443 S ttl 63 seq 1000"},
			{"eth1 tcp 10.0.0.11:8443 > 198.51.100.7:4711 SA ttl 64 seq 5000 ack 1001", "tcp 203.0.113.80:443 > 198.51.100.7:4711 SA ttl 63 seq 5000 ack 1001"},
			{"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 33", "udp 198.51.100.7:4711 > 10.0.0.11:5353 ttl 63 len 33"},
			{"eth1 icmp 10.0.0.254 > 198.51.100.7 no-port ttl 64 ( udp 198.51.100.7:4711 > 10.0.0.11:5353 ttl 63 len 33 )", "icmp 203.0.113.53 > 198.51.100.7 no-port ttl 63 ( udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 len 33 )"},
			{"eth1 udp 10.0.0.11:5353 > 198.51.100.7:4711 ttl 64 id 9 of 2000 len 1472", "udp 203.0.113.53:53 > 198.51.100.7:4711 ttl 63 id 9 of 2000 len 1472"},
			{"eth1 frag 10.0.0.11 > 198.51.100.7 ttl 64 id 9 off 1480 len 528", "frag 203.0.113.53 > 198.51.100.7 ttl 63 id 9 off 1480 len 528"},
		} {
			w.injectAt(at, r.in)
			w.settle()
			if got := w.sent(); got != r.out {
				t.Errorf("at worker %d: sent %s, want %s", at, cmpLine(got), r.out)
			}
		}
	}
}

// TestGates tells the kernel whose answers are ours, and goes on doing so for a
// server that is gone as long as it has sessions.
func TestGates(t *testing.T) {
	const other = "vip 203.0.113.80:443 → nat 10.0.0.12:8443"
	w := newTestWorker(t, "vip 203.0.113.80:443 → nat 10.0.0.11:8443", "vip 203.0.113.81:443 → 10.0.0.13:8443 via 10.9.0.1", "vip [2001:db8::80]:443 → gue0 [fd00::11]:443")
	gated := func(want ...string) {
		t.Helper()
		var got []string
		for _, e := range w.steered.Gated {
			if e.Protocol != packet.TCP {
				t.Errorf("%v is gated", e)
			}
			got = append(got, e.AddrPort.String())
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("gated %v, want %v", got, want)
		}
	}
	gated("10.0.0.11:8443")
	if got := w.steered.Tunnelled; !reflect.DeepEqual(got, link.Ours{Tunnelled: got}.Tunnelled) || len(got) != 1 || got[0].String() != "fd00::11" {
		t.Errorf("tunnelled %v", got)
	}
	w.inject("tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000", "eth1 tcp 10.0.0.11:8443 > 198.51.100.7:4711 SA ttl 64 seq 5000 ack 1001")
	w.settle()
	w.sent()
	w.verdictsSince()
	w.services(other)
	gated("10.0.0.11:8443", "10.0.0.12:8443")
	w.converse([]row{{"the old server's answer",
		"eth1 tcp 10.0.0.11:8443 > 198.51.100.7:4711 A ttl 64 seq 5001 ack 1001",
		"tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 63 seq 5001 ack 1001", "forwarded"}})
	w.pass(16 * time.Minute)
	w.services(other)
	gated("10.0.0.12:8443")
}

// TestExplainModes says what becomes of a packet in each.
func TestExplainModes(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → nat 10.0.0.11:8443", "vip 203.0.113.81:443 → dr 10.0.0.12:443",
		"vip 203.0.113.82:443 → gue0 10.0.0.13:443", "vip 203.0.113.83:443 → dr 198.18.0.1:443")
	for _, tt := range []struct{ name, tuple, says string }{
		{"nat", "198.51.100.7:4711 203.0.113.80:443", "sent on as 198.51.100.7:4711 → 10.0.0.11:8443"},
		{"and back", "10.0.0.11:8443 198.51.100.7:4711", "sent on as 203.0.113.80:443 → 198.51.100.7:4711"},
		{"a gated server's own", "10.0.0.11:8443 198.51.100.8:4711", "left to the kernel"},
		{"dr", "198.51.100.7:4711 203.0.113.81:443", "as it is, to the station of 10.0.0.12"},
		{"tun", "198.51.100.7:4711 203.0.113.82:443", "as it is inside 10.0.0.1 → 10.0.0.13, gue variant 0 at port 6080"},
	} {
		ends := strings.Fields(tt.tuple)
		src, dst := netip.MustParseAddrPort(ends[0]), netip.MustParseAddrPort(ends[1])
		if strings.HasPrefix(ends[1], "203") {
			w.inject("tcp " + ends[0] + " > " + ends[1] + " S ttl 64 seq 1")
			w.settle()
		}
		e, err := w.Explain(t.Context(), packet.Tuple{Src: packet.AddrFrom(src.Addr()), SrcPort: src.Port(), Dst: packet.AddrFrom(dst.Addr()), DstPort: dst.Port(), Protocol: packet.TCP})
		if err != nil || !strings.Contains(strings.Join(e.Why, "\n"), tt.says) {
			t.Errorf("%s: %v: %q says nothing of %q", tt.name, err, e.Why, tt.says)
		}
	}
}
