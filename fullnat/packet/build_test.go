package packet_test

import (
	"net"
	"net/netip"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
)

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

var mac = [6]byte{2, 0, 0, 0, 0, 9}

// printed is the line of a frame that a Put function wrote, and nothing for
// none. It must be one that we would take ourselves.
func printed(t *testing.T, frame []byte) string {
	t.Helper()
	if len(frame) == 0 {
		return ""
	}
	var p packet.Packet
	if fault := packet.Parse(frame, false, &p); fault != packet.None || len(p.Frame) != len(frame) {
		t.Errorf("fault %v, %d bytes of %d", fault, len(p.Frame), len(frame))
	}
	return packettest.Print(frame)
}

func TestPutReset(t *testing.T) {
	var buf [packet.MaxBuilt]byte
	for _, tt := range []struct {
		ends     string
		seq, ack uint32
		flags    uint8
		out      string
	}{
		{"203.0.113.80:443 > 198.51.100.7:4711", 7, 0, packet.FlagRST,
			"tcp 203.0.113.80:443 > 198.51.100.7:4711 R ttl 64 df seq 7"},
		{"[2001:db8::80]:443 > [2001:db8::7]:4711", 7, 1 << 31, packet.FlagRST | packet.FlagACK,
			"tcp [2001:db8::80]:443 > [2001:db8::7]:4711 RA ttl 64 seq 7 ack 2147483648"},
	} {
		tu := packet.Tuple{Protocol: packet.TCP}
		tu.Src, tu.Dst, tu.SrcPort, tu.DstPort = ends(t, tt.ends)
		n := packet.PutReset(buf[:], tu, tt.seq, tt.ack, tt.flags)
		if got := printed(t, buf[:n]); got != tt.out {
			t.Errorf("\n got %s\nwant %s", got, tt.out)
		}
		if n := testing.AllocsPerRun(100, func() { packet.PutReset(buf[:], tu, 1, 2, tt.flags) }); n != 0 {
			t.Errorf("allocates %v times, want 0", n)
		}
	}
}

func TestPutRefusal(t *testing.T) {
	for _, tt := range []struct{ name, in, out string }{
		{"a SYN is acknowledged and reset",
			"tcp 198.51.100.7:1 > 203.0.113.80:2 S ttl 64 seq 10",
			"tcp 203.0.113.80:2 > 198.51.100.7:1 RA ttl 64 df ack 11"},
		{"with the data it brings",
			"tcp [2001:db8::7]:1 > [2001:db8::80]:2 SF ttl 64 seq 4294967290 len 10",
			"tcp [2001:db8::80]:2 > [2001:db8::7]:1 RA ttl 64 ack 6"},
		{"an ACK tells where the reset must stand",
			"tcp 198.51.100.7:1 > 203.0.113.80:2 PA ttl 64 seq 10 ack 77 len 5",
			"tcp 203.0.113.80:2 > 198.51.100.7:1 R ttl 64 df seq 77"},
		{"a reset is not answered",
			"tcp 198.51.100.7:1 > 203.0.113.80:2 RA ttl 64 seq 10", ""},
		{"nor a datagram",
			"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var buf [packet.MaxBuilt]byte
			n := packet.PutRefusal(buf[:], view(t, tt.in))
			if got := printed(t, buf[:n]); got != tt.out {
				t.Errorf("\n got %s\nwant %s", got, tt.out)
			}
		})
	}
}

func TestPutError(t *testing.T) {
	const us4, us6 = "192.0.2.1", "2001:db8:ffff::1"
	tests := []struct {
		name, in, from string
		why            packet.Cause
		out            string
	}{
		{"too big tells the MTU",
			"tcp 198.51.100.7:1 > 203.0.113.80:2 A ttl 64 df seq 7 len 1460", us4, packet.TooBig,
			"icmp 192.0.2.1 > 198.51.100.7 too-big ttl 64 tos 192 df mtu 1400 ( tcp 198.51.100.7:1 > 203.0.113.80:2 A ttl 64 df seq 7 len 1460 cut 528 )"},
		{"over IPv6, too",
			"tcp [2001:db8::7]:1 > [2001:db8::80]:2 A ttl 64 seq 7 len 1440", us6, packet.TooBig,
			"icmp 2001:db8:ffff::1 > 2001:db8::7 too-big ttl 64 mtu 1400 ( tcp [2001:db8::7]:1 > [2001:db8::80]:2 A ttl 64 seq 7 len 1440 cut 1192 )"},
		{"a short packet is quoted whole",
			"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 1 len 5", us4, packet.TTLExceeded,
			"icmp 192.0.2.1 > 198.51.100.7 ttl-exceeded ttl 64 tos 192 df ( udp 198.51.100.7:1 > 203.0.113.80:2 ttl 1 len 5 )"},
		{"with its options",
			"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 ipopt 94040000 len 5", us4, packet.NoPort,
			"icmp 192.0.2.1 > 198.51.100.7 no-port ttl 64 tos 192 df ( udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 ipopt 94040000 len 5 )"},
		{"nobody listens, IPv6",
			"udp [2001:db8::7]:1 > [2001:db8::80]:2 ttl 64 ext 60 len 5", us6, packet.NoPort,
			"icmp 2001:db8:ffff::1 > 2001:db8::7 no-port ttl 64 ( udp [2001:db8::7]:1 > [2001:db8::80]:2 ttl 64 ext 60 len 5 )"},
		{"no route", "udp [2001:db8::7]:1 > [2001:db8::80]:2 ttl 64", us6, packet.NoRoute,
			"icmp 2001:db8:ffff::1 > 2001:db8::7 no-route ttl 64 ( udp [2001:db8::7]:1 > [2001:db8::80]:2 ttl 64 )"},
		{"no host", "udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64", us4, packet.NoHost,
			"icmp 192.0.2.1 > 198.51.100.7 no-host ttl 64 tos 192 df ( udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 )"},
		{"prohibited", "udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64", us4, packet.Prohibited,
			"icmp 192.0.2.1 > 198.51.100.7 prohibited ttl 64 tos 192 df ( udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 )"},
		{"a first fragment may expire",
			"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 id 9 of 16 len 8", us4, packet.FragmentsExpired,
			"icmp 192.0.2.1 > 198.51.100.7 fragments-expired ttl 64 tos 192 df ( udp 198.51.100.7:1 > 203.0.113.80:2 ttl 64 id 9 of 16 len 8 )"},
		{"a ping may be complained about",
			"icmp 198.51.100.7 > 203.0.113.80 echo ttl 1 ident 7 seq 1", us4, packet.TTLExceeded,
			"icmp 192.0.2.1 > 198.51.100.7 ttl-exceeded ttl 64 tos 192 df ( icmp 198.51.100.7 > 203.0.113.80 echo ttl 1 ident 7 seq 1 )"},

		{"silence about an error",
			"icmp 10.0.0.1 > 10.9.0.1 no-port ttl 64 ( udp 10.9.0.1:1 > 10.0.0.11:2 ttl 63 )", us4, packet.TTLExceeded, ""},
		{"silence about an IPv6 error",
			"icmp fd00::1 > fd00::9 no-port ttl 64 ( udp [fd00::9]:1 > [fd00::11]:2 ttl 63 )", us6, packet.TTLExceeded, ""},
		{"silence about other ICMP, which may be an error",
			"icmp 198.51.100.7 > 203.0.113.80 type5/1 ttl 1", us4, packet.TTLExceeded, ""},
		{"silence about a fragment of ICMP",
			"ip 198.51.100.7 > 203.0.113.80 proto 1 more ttl 1 len 8", us4, packet.TTLExceeded, ""},
		{"silence about a later fragment",
			"frag 198.51.100.7 > 203.0.113.80 ttl 1 off 1480 len 8", us4, packet.TTLExceeded, ""},
		{"silence about multicast",
			"udp 198.51.100.7:1 > 224.0.0.5:2 ttl 1", us4, packet.TTLExceeded, ""},
		{"silence about broadcast",
			"udp 198.51.100.7:1 > 255.255.255.255:2 ttl 1", us4, packet.TTLExceeded, ""},
		{"silence about IPv6 multicast",
			"udp [2001:db8::7]:1 > [ff02::5]:2 ttl 1", us6, packet.TTLExceeded, ""},
		{"silence about a frame sent to many stations",
			"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 1 eth 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff", us4, packet.TTLExceeded, ""},
		{"silence about ARP",
			"arp who-has 203.0.113.80 tell 203.0.113.1", us4, packet.NoHost, ""},
		{"silence about a solicitation",
			"nd who-has 2001:db8::80 tell 2001:db8::1", us6, packet.NoHost, ""},
		{"silence for want of an address of that family",
			"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 1", us6, packet.TTLExceeded, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var buf [packet.MaxBuilt]byte
			p := view(t, tt.in)
			n := packet.PutError(buf[:], p, addr(tt.from), tt.why, 1400)
			if got := printed(t, buf[:n]); got != tt.out {
				t.Errorf("\n got %s\nwant %s", got, tt.out)
			}
			if limit := map[bool]int{false: 14 + 576, true: 14 + 1280}[p.V6]; n > limit {
				t.Errorf("%d bytes, want at most %d", n, limit)
			}
			if n := testing.AllocsPerRun(100, func() { packet.PutError(buf[:], p, addr(tt.from), tt.why, 1400) }); n != 0 {
				t.Errorf("allocates %v times, want 0", n)
			}
		})
	}
}

func TestEchoReply(t *testing.T) {
	for _, tt := range []struct{ in, out string }{
		{"icmp 198.51.100.7 > 203.0.113.80 echo ttl 3 ident 7 seq 1 len 57",
			"icmp 203.0.113.80 > 198.51.100.7 echo-reply ttl 64 ident 7 seq 1 len 57"},
		{"icmp 2001:db8::7 > 2001:db8::80 echo ttl 3 ident 7 seq 1 len 57",
			"icmp 2001:db8::80 > 2001:db8::7 echo-reply ttl 64 ident 7 seq 1 len 57"},
		{"icmp 198.51.100.7 > 203.0.113.80 echo ttl 3 ident 7 seq 1 len 57 bad-sum",
			"icmp 203.0.113.80 > 198.51.100.7 echo-reply ttl 64 ident 7 seq 1 len 57 bad-sum"},
		{"icmp 2001:db8::7 > 2001:db8::80 echo ttl 3 ident 7 seq 1 len 57 partial",
			"icmp 2001:db8::80 > 2001:db8::7 echo-reply ttl 64 ident 7 seq 1 len 57 partial"},
	} {
		p := view(t, tt.in)
		src, dst := p.Ethernet().Src(), p.Ethernet().Dst()
		p.EchoReply()
		if got := packettest.Print(p.Frame); got != tt.out {
			t.Errorf("\n got %s\nwant %s", got, tt.out)
		}
		if p.Ethernet().Src() != dst || p.Ethernet().Dst() != src {
			t.Error("the frame does not go back")
		}
	}
}

func TestNeighbors(t *testing.T) {
	tests := []struct {
		name, in  string
		asked     string
		out, sent string // the answer and the station it goes to
	}{
		{"a station asks for us",
			"arp who-has 203.0.113.80 tell 203.0.113.1", "203.0.113.80",
			"arp 203.0.113.80 is-at 02:00:00:00:00:09 tell 203.0.113.1", "02:00:00:00:00:01"},
		{"a station asks whether the address is free",
			"arp who-has 203.0.113.80 tell 0.0.0.0", "203.0.113.80",
			"arp 203.0.113.80 is-at 02:00:00:00:00:09 tell 0.0.0.0", "02:00:00:00:00:01"},
		{"a station that announces itself asks nothing",
			"arp who-has 203.0.113.80 tell 203.0.113.80", "", "", ""},
		{"nor does one that answers",
			"arp 203.0.113.80 is-at 02:00:00:00:00:05 tell 203.0.113.1", "", "", ""},
		{"a host asks for us",
			"nd who-has 2001:db8::80 tell 2001:db8::1", "2001:db8::80",
			"nd 2001:db8::80 is-at 02:00:00:00:00:09 tell 2001:db8::1 solicited override", "02:00:00:00:00:01"},
		{"a host asks whether the address is free; all hear that it is not",
			"nd who-has 2001:db8::80 tell ::", "2001:db8::80",
			"nd 2001:db8::80 is-at 02:00:00:00:00:09 tell ff02::1 override", "33:33:00:00:00:01"},
		{"a host that advertises itself asks nothing",
			"nd 2001:db8::80 is-at 02:00:00:00:00:05 tell 2001:db8::1 solicited", "", "", ""},
		{"nor does a packet of another kind",
			"udp 198.51.100.7:1 > 203.0.113.80:2 ttl 1", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var buf [packet.MaxBuilt]byte
			p := view(t, tt.in)
			asked, ok := p.Asked()
			if ok != (tt.asked != "") || ok && asked != addr(tt.asked) {
				t.Fatalf("asks for %v, %v", asked, ok)
			}
			if !ok {
				return
			}
			n := packet.PutAnswer(buf[:], p, mac)
			checkSent(t, buf[:n], tt.out, tt.sent)
		})
	}
}

func TestPutAnnouncement(t *testing.T) {
	for _, tt := range []struct{ addr, out, sent string }{
		{"203.0.113.80", "arp who-has 203.0.113.80 tell 203.0.113.80", "ff:ff:ff:ff:ff:ff"},
		{"2001:db8::80", "nd 2001:db8::80 is-at 02:00:00:00:00:09 tell ff02::1 override", "33:33:00:00:00:01"},
	} {
		var buf [packet.MaxBuilt]byte
		n := packet.PutAnnouncement(buf[:], addr(tt.addr), mac)
		checkSent(t, buf[:n], tt.out, tt.sent)
		if n := testing.AllocsPerRun(100, func() { packet.PutAnnouncement(buf[:], addr(tt.addr), mac) }); n != 0 {
			t.Errorf("allocates %v times, want 0", n)
		}
	}
}

// checkSent checks what a frame says and that it goes from our station to
// another.
func checkSent(t *testing.T, frame []byte, line, to string) {
	t.Helper()
	if got := printed(t, frame); got != line {
		t.Errorf("\n got %s\nwant %s", got, line)
	}
	e := (*packet.EthernetHeader)(frame)
	if dst := e.Dst(); net.HardwareAddr(dst[:]).String() != to || e.Src() != mac {
		t.Errorf("goes from %x to %x, want to %s", e.Src(), dst, to)
	}
}
