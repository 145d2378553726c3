package fullnat

import (
	"strings"
	"testing"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet/packettest"
)

func TestMTU(t *testing.T) {
	w := newTestWorker(t,
		"vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1",
		"udp 203.0.113.53:53 → 10.0.0.11:5353",
		"udp [2001:db8::53]:53 → [fd00::11]:5353 via 2001:db8:9::1")
	w.network.Ports[1].MTU = 1400
	w.publish()
	w.converse([]row{
		{"as long as the link takes",
			"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 df len 1372",
			"udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 df len 1372", "forwarded"},
		{"one byte more, and not to be cut",
			"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 df len 1373",
			"icmp 192.0.2.1 > 198.51.100.7 too-big ttl 64 tos 192 df mtu 1400 ( udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 df len 1373 cut 528 )", "rejected too_big"},
		{"to be cut",
			"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 7 len 3000",
			lines("udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 id 7 of 3000 len 1368",
				"frag 10.9.0.1 > 10.0.0.11 ttl 63 id 7 off 1376 more len 1376",
				"frag 10.9.0.1 > 10.0.0.11 ttl 63 id 7 off 2752 len 256"), "cut"},
		{"a checksum still owed is paid before",
			"udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 8 len 1400 partial",
			lines("udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 id 8 of 1400 len 1368",
				"frag 10.9.0.1 > 10.0.0.11 ttl 63 id 8 off 1376 len 32"), "cut"},
		{"a fragment is cut again",
			lines("udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 9 of 1600 len 1472",
				"frag 198.51.100.7 > 203.0.113.53 ttl 64 id 9 off 1480 len 128"),
			lines("udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 id 9 of 1600 len 1368",
				"frag 10.9.0.1 > 10.0.0.11 ttl 63 id 9 off 1376 more len 104",
				"frag 10.9.0.1 > 10.0.0.11 ttl 63 id 9 off 1480 len 128"), "forwarded cut"},
		{"nobody cuts IPv6",
			"udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 1373",
			"icmp 2001:db8:2::1 > 2001:db8:7::7 too-big ttl 64 mtu 1400 ( udp [2001:db8:7::7]:4711 > [2001:db8::53]:53 ttl 64 len 1373 cut 1192 )", "rejected too_big"},
		{"the clients' side takes more",
			"eth1 udp 10.0.0.11:5353 > 10.9.0.1:5238 ttl 64 df len 1472",
			"udp 203.0.113.53:53 > 198.51.100.7:4711 ttl 63 df len 1472", "forwarded"},
		{"too big for it: the server is told",
			"eth1 udp 10.0.0.11:5353 > 10.9.0.1:5238 ttl 64 df len 1473",
			"icmp 10.0.0.1 > 10.0.0.11 too-big ttl 64 tos 192 df mtu 1500 ( udp 10.0.0.11:5353 > 10.9.0.1:5238 ttl 64 df len 1473 cut 528 )", "rejected too_big"},
	})
}

// TestCutSuperPacket sends a segment of 1460 bytes as two, where its sender lets
// routers cut, and merged datagrams nowhere, for it must be told.
func TestCutSuperPacket(t *testing.T) {
	w := newTestWorker(t,
		"vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1",
		"udp 203.0.113.53:53 → 10.0.0.11:5353")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	w.network.Ports[1].MTU = 1400
	w.publish()

	f := frameOf(t, "tcp 198.51.100.7:4711 > 203.0.113.80:443 PA ttl 64 id 3 seq 1001 ack 5001 len 2920 partial")
	f.Offload.GSOType, f.Offload.GSOSize = 1, 1460
	w.queues[0].InjectFrame(f)
	w.settle()
	var whole []byte
	for _, part := range w.frames() {
		if part.Offload != (link.Offload{}) || len(part.Bytes) > 1414 {
			t.Errorf("a fragment of %d bytes with offload %+v", len(part.Bytes), part.Offload)
		}
		if len(whole) == 0 {
			whole = append(whole, part.Bytes[:34]...)
		}
		whole = append(whole, part.Bytes[34:]...)
	}
	// The whole packet's own length and flags, so that it can be printed.
	want := packettest.Frame(t, "tcp 10.9.0.1:5235 > 10.0.0.11:8443 PA ttl 63 id 3 seq 1001 ack 5001 len 2920")
	copy(whole[:34], want[:34])
	if got, want := packettest.Print(whole), packettest.Print(want); got != want {
		t.Errorf("the fragments make %s\nwant %s", got, want)
	}
	w.verdictsSince()

	f = frameOf(t, "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 2920 partial")
	f.Offload.ChecksumOffset, f.Offload.GSOType, f.Offload.GSOSize = 6, 5, 1460
	w.queues[0].InjectFrame(f)
	w.settle()
	if got := w.sent(); !strings.HasPrefix(got, "icmp 192.0.2.1 > 198.51.100.7 too-big") {
		t.Errorf("merged datagrams: sent %s", got)
	}
	if got := w.verdictsSince(); got != "rejected too_big" {
		t.Errorf("merged datagrams: %s", got)
	}
}

// TestTinyMTU survives a route that nothing fits through.
func TestTinyMTU(t *testing.T) {
	w := newTestWorker(t, "udp 203.0.113.53:53 → 10.0.0.11:5353 via 10.9.0.1")
	w.network.Ports[1].MTU = 1
	w.publish()
	w.inject("udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 id 7 len 100")
	w.settle()
	w.expect("a hundred bytes", lines(
		"udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 id 7 of 100 len 40",
		"frag 10.9.0.1 > 10.0.0.11 ttl 63 id 7 off 48 more len 48",
		"frag 10.9.0.1 > 10.0.0.11 ttl 63 id 7 off 96 len 12"), "cut")
}
