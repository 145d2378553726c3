package fullnat

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/link/linktest"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
)

func TestTUN(t *testing.T) {
	w := newTestWorker(t,
		"vip 203.0.113.80:443 → tun 10.0.0.11:443",
		"udp 203.0.113.53:53 → gue0 10.0.0.12:53",
		"vip [2001:db8::80]:443 → tun [fd00::11]:443",
		"vip 203.0.113.81:443 → tun [fd00::12]:443",
		"vip [2001:db8::81]:443 → gue1 10.0.0.12:443",
		"udp [2001:db8::53]:53 → gue1 [fd00::12]:53",
		"vip 203.0.113.82:443 → tun 198.18.0.1:443")
	w.converse([]row{
		{"IP in IP", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 tos 2 df seq 1000 mss 1460",
			"ipip 10.0.0.1 > 10.0.0.11 ttl 64 tos 2 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 63 tos 2 df seq 1000 mss 1460 )", "forwarded"},
		{"the client speaks for both", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 df seq 1001 ack 5001",
			"ipip 10.0.0.1 > 10.0.0.11 ttl 64 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 df seq 1001 ack 5001 )", "forwarded"},
		{"a checksum still owed is still owed", "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 df seq 1001 ack 5001 len 10 partial",
			"ipip 10.0.0.1 > 10.0.0.11 ttl 64 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 63 df seq 1001 ack 5001 len 10 partial )", "forwarded"},
		{"GUE", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 df len 33",
			"gue0 10.0.0.1:54610 > 10.0.0.12:6080 ttl 64 df no-sum ( udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 df len 33 )", "forwarded"},
		{"IPv6 in IPv6", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64 seq 7",
			"ipip fd00::1 > fd00::11 ttl 64 ( tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 63 seq 7 )", "forwarded"},
		{"IPv4 in IPv6", "tcp 198.51.100.7:4711 > 203.0.113.81:443 S ttl 64 seq 7",
			"ipip fd00::1 > fd00::12 ttl 64 ( tcp 198.51.100.7:4711 > 203.0.113.81:443 S ttl 63 seq 7 )", "forwarded"},
		{"IPv6 in IPv4", "tcp [2001:db8:7::7]:4711 > [2001:db8::81]:443 S ttl 64 seq 7",
			"gue1 10.0.0.1:51559 > 10.0.0.12:6080 ttl 64 id 7 no-sum ( tcp [2001:db8:7::7]:4711 > [2001:db8::81]:443 S ttl 63 seq 7 )", "forwarded"},
		{"GUE over IPv6", "udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 33",
			"gue1 [fd00::1]:51559 > [fd00::12]:6080 ttl 64 ( udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 63 len 33 )", "forwarded"},
		{"behind a router", "tcp 198.51.100.7:4711 > 203.0.113.82:443 S ttl 64 df seq 7",
			"ipip 192.0.2.1 > 198.18.0.1 ttl 64 df ( tcp 198.51.100.7:4711 > 203.0.113.82:443 S ttl 63 df seq 7 )", "forwarded"},

		{"as long as the tunnel takes", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 df seq 1001 ack 5001 len 1440",
			"ipip 10.0.0.1 > 10.0.0.11 ttl 64 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 df seq 1001 ack 5001 len 1440 )", "forwarded"},
		{"one byte more: the client is told the tunnel's MTU", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 df seq 1001 ack 5001 len 1441",
			"icmp 192.0.2.1 > 198.51.100.7 too-big ttl 64 tos 192 df mtu 1480 ( tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 df seq 1001 ack 5001 len 1441 cut 528 )", "rejected too_big"},
		{"over IPv6", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 A ttl 64 seq 8 len 1401",
			"icmp 2001:db8:2::1 > 2001:db8:7::7 too-big ttl 64 mtu 1460 ( tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 A ttl 64 seq 8 len 1401 cut 1192 )", "rejected too_big"},
		{"to be cut: each fragment in a packet of its own", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 7 len 2000",
			lines("gue0 10.0.0.1:54610 > 10.0.0.12:6080 ttl 64 id 11 no-sum ( udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 id 7 of 2000 len 1440 )",
				"gue0 10.0.0.1:54610 > 10.0.0.12:6080 ttl 64 id 12 no-sum ( frag 198.51.100.7 > 203.0.113.53 ttl 63 id 7 off 1448 len 560 )"), "cut"},
		{"fragments", lines("udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 9 of 2000 len 1432", "frag 198.51.100.7 > 203.0.113.53 ttl 64 id 9 off 1440 len 568"),
			lines("gue0 10.0.0.1:54610 > 10.0.0.12:6080 ttl 64 id 13 no-sum ( udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 id 9 of 2000 len 1432 )",
				"gue0 10.0.0.1:54610 > 10.0.0.12:6080 ttl 64 id 14 no-sum ( frag 198.51.100.7 > 203.0.113.53 ttl 63 id 9 off 1440 len 568 )"), "forwarded×2"},
		{"no hops left", "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 1 seq 1001 ack 5001",
			"icmp 192.0.2.1 > 198.51.100.7 ttl-exceeded ttl 64 tos 192 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 1 seq 1001 ack 5001 )", "rejected ttl"},
		{"an error about what the server sent goes to the server",
			"icmp 198.51.100.1 > 203.0.113.80 too-big ttl 60 mtu 1400 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 df seq 5001 ack 1001 len 1460 cut 8 )",
			"ipip 10.0.0.1 > 10.0.0.11 ttl 64 id 15 ( icmp 198.51.100.1 > 203.0.113.80 too-big ttl 59 mtu 1400 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 - ttl 55 df seq 5001 len 1460 cut 8 ) )", "forwarded"},

		{"too big on the way: the client is told",
			"eth1 icmp 10.0.0.254 > 10.0.0.1 too-big ttl 64 mtu 1400 ( ipip 10.0.0.1 > 10.0.0.11 ttl 60 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 df seq 1001 ack 5001 len 1440 cut 500 ) )",
			"icmp 203.0.113.80 > 198.51.100.7 too-big ttl 64 tos 192 df mtu 1380 ( tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 df seq 1001 ack 5001 len 1440 cut 500 )", "forwarded"},
		{"the server knows no such tunnel",
			"eth1 icmp fd00::12 > fd00::1 no-port ttl 64 ( gue1 [fd00::1]:51559 > [fd00::12]:6080 ttl 64 ( udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 63 len 33 ) )",
			"icmp 2001:db8::53 > 2001:db8:7::7 no-host ttl 64 ( udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 63 len 33 )", "forwarded"},
		{"about a tunnel to another server",
			"eth1 icmp 10.0.0.254 > 10.0.0.1 no-host ttl 64 ( ipip 10.0.0.1 > 10.0.0.12 ttl 60 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 df cut 100 ) )", "", "error_unmatched"},
		{"about a session that there is not",
			"eth1 icmp 10.0.0.254 > 10.0.0.1 no-host ttl 64 ( ipip 10.0.0.1 > 10.0.0.11 ttl 60 df ( tcp 198.51.100.8:4711 > 203.0.113.80:443 A ttl 63 df cut 100 ) )", "", "error_unmatched"},
		{"about what the host itself says to a server",
			"eth1 icmp 10.0.0.11 > 10.0.0.1 no-port ttl 64 ( udp 10.0.0.1:4711 > 10.0.0.11:53 ttl 64 len 33 )", "", "not_ours"},
	})
	if got, want := w.sessionsNow(), []string{
		"198.51.100.7:4711 established", "198.51.100.7:4711 one_way", "198.51.100.7:4711 syn_recv", "198.51.100.7:4711 syn_recv",
		"[2001:db8:7::7]:4711 one_way", "[2001:db8:7::7]:4711 syn_recv", "[2001:db8:7::7]:4711 syn_recv",
	}; !slices.Equal(got, want) {
		t.Errorf("sessions %v, want %v", got, want)
	}
	w.pass(16 * time.Minute)
	w.expect("an idle session ends for both ends", lines(
		"ipip 10.0.0.1 > 10.0.0.11 ttl 64 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 RA ttl 64 df seq 2441 ack 5001 )",
		"tcp 203.0.113.80:443 > 198.51.100.7:4711 RA ttl 64 df seq 5001 ack 2441"), "originated×2")
}

// TestTUNSmallLink sends what every IPv6 link carries over one that has no room
// for it and the outer header: in fragments of the outer packet.
func TestTUNSmallLink(t *testing.T) {
	w := newTestWorker(t, "udp [2001:db8::53]:53 → tun 10.0.0.12:53")
	w.network.Ports[1].MTU = 1290
	w.publish()
	for _, partial := range []string{"", " partial"} {
		f := frameOf(t, "udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 1232"+partial)
		if partial != "" {
			f.Offload = link.OwedChecksum(54, 6)
		}
		w.queues[0].InjectFrame(f)
		w.settle()
		var whole []byte
		for _, part := range w.frames() {
			if len(part.Bytes) > 14+1290 || part.Offload != (link.Offload{}) {
				t.Errorf("a fragment of %d bytes, offload %+v", len(part.Bytes), part.Offload)
			}
			whole = append(whole, part.Bytes[34:]...)
		}
		frame := append(make([]byte, 12), 0x86, 0xdd)
		if got, want := packettest.Print(append(frame, whole...)), "udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 63 len 1232"; got != want {
			t.Errorf("inside the fragments: %s, want %s", got, want)
		}
		if got := w.verdictsSince(); got != "cut" {
			t.Errorf("verdicts %s", got)
		}
	}
	w.inject("udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 1233")
	w.settle()
	if got := w.sent(); !strings.HasPrefix(got, "icmp 2001:db8:2::1 > 2001:db8:7::7 too-big ttl 64 mtu 1280 ") {
		t.Errorf("sent %s", got)
	}
}

// TestTUNSegments sends a super-packet as what it stands for, with checksums that
// the card completes.
func TestTUNSegments(t *testing.T) {
	for _, tt := range []struct {
		service, in string
		gsoType     uint8
		size        int
		outer       string
		inner       []string
	}{
		{"vip 203.0.113.80:443 → tun 10.0.0.11:443",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 id 3 df seq 1001 ack 5001 len 3500 partial", 1, 1440,
			"ipip 10.0.0.1 > 10.0.0.11 ttl 64 df ( %s )", []string{
				"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 id 3 df seq 1001 ack 5001 len 1440 partial",
				"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 id 4 df seq 2441 ack 5001 len 1440 partial",
				"tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 63 id 5 df seq 3881 ack 5001 len 620 partial"}},
		{"vip [2001:db8::80]:443 → tun [fd00::11]:443",
			"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 PA ttl 64 seq 1001 ack 5001 len 2000 partial", 4, 1400,
			"ipip fd00::1 > fd00::11 ttl 64 ( %s )", []string{
				"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 A ttl 63 seq 1001 ack 5001 len 1400 partial",
				"tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 PA ttl 63 seq 2401 ack 5001 len 600 partial"}},
		{"udp 203.0.113.53:53 → gue0 10.0.0.11:53",
			"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 3 df len 2000 partial", 5, 1200,
			"gue0 10.0.0.1:54610 > 10.0.0.11:6080 ttl 64 df no-sum ( %s )", []string{
				"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 id 3 df len 1200 partial",
				"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 id 4 df len 800 partial"}},
	} {
		w := newTestWorker(t, tt.service)
		f := frameOf(t, tt.in)
		var p packet.Packet
		packet.Parse(f.Bytes, true, &p)
		if p.Tuple.Protocol == packet.TCP { // the connection it belongs to
			w.inject(strings.Replace(strings.Replace(tt.in[:strings.Index(tt.in, "seq")], "PA", "S", 1), "tcp", "tcp", 1) + "seq 1000")
			w.settle()
			w.sent()
			w.verdictsSince()
		}
		f.Offload = link.OwedChecksum(p.L4, p.ChecksumAt()-p.L4)
		f.Offload.GSOType, f.Offload.GSOSize = tt.gsoType, uint16(tt.size)
		w.queues[0].InjectFrame(f)
		w.settle()
		var payload []byte
		for i, part := range w.frames() {
			header := len(part.Bytes) - 14 - innerLen(t, part) + (p.Payload - p.L3)
			l4 := header + 14 - (p.Payload - p.L4)
			if want := link.OwedChecksum(l4, p.ChecksumAt()-p.L4); part.Offload != want {
				t.Errorf("segment %d: offload %+v, want %+v", i, part.Offload, want)
			}
			data := part.Bytes[header+14:]
			payload = append(payload, data...)
			for j := range data {
				data[j] = byte(j + j>>8)
			}
			if got, want := packettest.Print(part.Bytes), fmt.Sprintf(tt.outer, tt.inner[min(i, len(tt.inner)-1)]); got != want {
				t.Errorf("segment %d:\n got %s\nwant %s", i, got, want)
			}
		}
		if !bytes.Equal(payload, p.Frame[p.Payload:]) {
			t.Errorf("%s: the segments carry other bytes", tt.in)
		}
		if got := w.verdictsSince(); got != "segmented" {
			t.Errorf("%s: verdicts %s", tt.in, got)
		}
		w.conserved(tt.in)
	}
}

// innerLen is the length of the packet inside a frame.
func innerLen(t *testing.T, f linktest.Frame) int {
	t.Helper()
	var outer packet.Packet
	if fault := packet.Parse(f.Bytes, false, &outer); fault != packet.None {
		t.Fatal(fault)
	}
	n := len(outer.Frame) - outer.L4
	if outer.Tuple.Protocol == packet.UDP {
		n -= 8 + 4
	}
	return n
}

// TestTUNNoSource needs an address of the server's family to speak from.
func TestTUNNoSource(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → tun [fd00::11]:443")
	w.network.Addresses[0], w.network.Addresses[1] = w.network.Addresses[0][:1], w.network.Addresses[1][:1]
	w.publish()
	w.converse([]row{{"no IPv6 on the host", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64", "", "no_source"}})
}

// TestModesSideBySide gives the servers of one service a mode each.
func TestModesSideBySide(t *testing.T) {
	w := newTestWorker(t, "vip 203.0.113.80:443 → 10.0.0.11:8443 dr 10.0.0.12:443 nat 10.0.0.13:8443 tun 10.0.0.14:443 via 10.9.0.1")
	w.converse([]row{
		{"fullnat", "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1", "tcp 10.9.0.1:5235 > 10.0.0.11:8443 S ttl 63 seq 1", "forwarded"},
		{"dr", "tcp 198.51.100.8:4711 > 203.0.113.80:443 S ttl 64 seq 1", "tcp 198.51.100.8:4711 > 203.0.113.80:443 S ttl 63 seq 1", "forwarded"},
		{"nat", "tcp 198.51.100.9:4711 > 203.0.113.80:443 S ttl 64 seq 1", "tcp 198.51.100.9:4711 > 10.0.0.13:8443 S ttl 63 seq 1", "forwarded"},
		{"tun", "tcp 198.51.100.10:4711 > 203.0.113.80:443 S ttl 64 df seq 1", "ipip 10.0.0.1 > 10.0.0.14 ttl 64 df ( tcp 198.51.100.10:4711 > 203.0.113.80:443 S ttl 63 df seq 1 )", "forwarded"},
	})
}
