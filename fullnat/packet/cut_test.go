package packet_test

import (
	"bytes"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
)

func TestCompleteChecksum(t *testing.T) {
	for _, line := range []string{
		"tcp 198.51.100.7:1 > 203.0.113.80:2 A ttl 64 len 1001",
		"tcp [2001:db8::7]:1 > [2001:db8::80]:2 A ttl 64 len 1001",
		"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 ipopt 94040000 len 9",
		"udp [2001:db8::7]:1 > [2001:db8::80]:2 ttl 64 ext 60 len 9",
		"icmp 2001:db8::7 > 2001:db8::80 echo ttl 64 ident 7 seq 1 len 9",
	} {
		p := view(t, line+" partial")
		for range 2 { // the second time changes nothing
			p.CompleteChecksum()
			if got := packettest.Print(p.Frame); got != line || p.Partial {
				t.Errorf("\n got %s\nwant %s", got, line)
			}
		}
	}
}

func TestPutFragment(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		mtu      int
		parts    []string
	}{
		{"a whole packet",
			"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 id 7 len 3000", 1500, []string{
				"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 id 7 of 3000 len 1472",
				"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 1480 more len 1480",
				"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 2960 len 48"}},
		{"an MTU that is no multiple of eight",
			"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 id 7 len 1472", 1499, []string{
				"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 id 7 of 1472 len 1464",
				"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 1472 len 8"}},
		{"a packet that fits",
			"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 id 7 len 1472", 1500, []string{
				"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 id 7 len 1472"}},
		{"a middle fragment: more follows each part of it",
			"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 1480 more len 1480", 1300, []string{
				"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 1480 more len 1280",
				"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 2760 more len 200"}},
		{"a last fragment",
			"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 2960 len 49", 60, []string{
				"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 2960 more len 40",
				"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 3000 len 9"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := view(t, tt.in)
			var buf [2000]byte
			from := 0
			for i, want := range tt.parts {
				n, next := packet.PutFragment(buf[:], p, from, tt.mtu)
				if got := packettest.Print(buf[:n]); got != want {
					t.Errorf("\n got %s\nwant %s", got, want)
				}
				if last := i == len(tt.parts)-1; last != (next == 0) {
					t.Fatalf("part %d: the next begins at %d", i, next)
				}
				from = next
			}
		})
	}
}

// The parts are the bytes that packettest cuts.
func TestPutFragmentLikeSplit(t *testing.T) {
	const line = "udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 id 7 len 5000"
	for mtu := 68; mtu < 5100; mtu += 61 {
		p, from := view(t, line), 0
		for _, want := range packettest.Split(packettest.Frame(t, line), mtu, 7) {
			buf := make([]byte, mtu+14)
			n, next := packet.PutFragment(buf, p, from, mtu)
			if !bytes.Equal(buf[:n], want) {
				t.Fatalf("mtu %d from %d:\n got %x\nwant %x", mtu, from, buf[:n], want)
			}
			from = next
		}
		if from != 0 {
			t.Fatalf("mtu %d: more is left at %d", mtu, from)
		}
	}
}

func TestCuttable(t *testing.T) {
	for line, want := range map[string]bool{
		"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64":                  true,
		"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 df":               false,
		"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 ipopt 94040000":   false,
		"udp [2001:db8::7]:1 > [2001:db8::80]:2 ttl 64":               false,
		"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 1480 len 8": true,
	} {
		if got := view(t, line).Cuttable(); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}
