package packet_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
)

// say tells what Parse saw, in a few words.
func say(p *packet.Packet) string {
	s := p.Kind.String() + " " + p.Tuple.String()
	if p.Kind == packet.Fragment {
		s += fmt.Sprintf(" id %d off %d", p.Frag.ID, p.Frag.Offset)
		if p.Frag.More {
			s += " more"
		}
	}
	if p.Kind == packet.Error {
		s += " about " + p.Inner.Tuple.String()
	}
	return s + fmt.Sprintf(" payload %d", len(p.Frame)-p.Payload)
}

func TestParse(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"a SYN",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 mss 1460",
			"flow tcp 198.51.100.7:4711 > 203.0.113.80:443 payload 0"},
		{"data over IPv6",
			"tcp [2001:db8::7]:4711 > [2001:db8::80]:443 PA ttl 64 ts 1/2 len 100",
			"flow tcp [2001:db8::7]:4711 > [2001:db8::80]:443 payload 100"},
		{"a datagram",
			"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 len 9",
			"flow udp 198.51.100.7:4711 > 203.0.113.80:53 payload 9"},
		{"an empty datagram",
			"udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64",
			"flow udp [2001:db8::7]:4711 > [2001:db8::80]:53 payload 0"},
		{"a GSO packet of the greatest length",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 len 65495 partial",
			"flow tcp 198.51.100.7:4711 > 203.0.113.80:443 payload 65495"},
		{"a GSO packet over IPv6",
			"tcp [2001:db8::7]:4711 > [2001:db8::80]:443 A ttl 64 len 65515 partial",
			"flow tcp [2001:db8::7]:4711 > [2001:db8::80]:443 payload 65515"},
		{"IPv4 options are stepped over",
			"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 ipopt 0194040000 len 9",
			"flow udp 198.51.100.7:4711 > 203.0.113.80:53 payload 9"},
		{"extension headers are stepped over",
			"udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 ext 0 ext 60 ext 43 ext 60 len 9",
			"flow udp [2001:db8::7]:4711 > [2001:db8::80]:53 payload 9"},
		{"a fragment header that makes no fragment",
			"udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 ext 44 len 9",
			"flow udp [2001:db8::7]:4711 > [2001:db8::80]:53 payload 9"},
		{"the first fragment has ports",
			"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 id 9 of 3000 len 1472",
			"fragment udp 198.51.100.7:4711 > 203.0.113.80:53 id 9 off 0 more payload 1472"},
		{"a later fragment has none",
			"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 9 off 1480 len 25",
			"fragment udp 198.51.100.7:0 > 203.0.113.80:0 id 9 off 1480 payload 25"},
		{"the first fragment over IPv6",
			"udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 ext 0 id 123456 of 3000 len 1232",
			"fragment udp [2001:db8::7]:4711 > [2001:db8::80]:53 id 123456 off 0 more payload 1232"},
		{"a middle fragment over IPv6",
			"frag 2001:db8::7 > 2001:db8::80 ttl 64 id 123456 off 1240 more len 1240",
			"fragment udp [2001:db8::7]:0 > [2001:db8::80]:0 id 123456 off 1240 more payload 1240"},
		{"a later fragment that begins like an extension header",
			"frag 2001:db8::7 > 2001:db8::80 ttl 64 id 1 proto 60 off 1240 len 16",
			"fragment protocol 60 [2001:db8::7]:0 > [2001:db8::80]:0 id 1 off 1240 payload 16"},
		{"a ping",
			"icmp 198.51.100.7 > 203.0.113.80 echo ttl 64 ident 7 seq 1 len 56",
			"echo icmp 198.51.100.7:0 > 203.0.113.80:0 payload 56"},
		{"a ping over IPv6",
			"icmp 2001:db8::7 > 2001:db8::80 echo ttl 64 ident 7 seq 1 len 56",
			"echo icmp6 [2001:db8::7]:0 > [2001:db8::80]:0 payload 56"},
		{"an answer to a ping we never sent",
			"icmp 198.51.100.7 > 203.0.113.80 echo-reply ttl 64 ident 7 seq 1 len 56",
			"other icmp 198.51.100.7:0 > 203.0.113.80:0 payload 56"},
		{"an error tells what it is about",
			"icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 1400 ( tcp 10.9.0.1:5120 > 10.0.0.11:80 A ttl 63 len 1460 cut 8 )",
			"error icmp 10.0.0.1:0 > 10.9.0.1:0 about tcp 10.9.0.1:5120 > 10.0.0.11:80 payload 28"},
		{"also if what it is about has options",
			"icmp 10.0.0.1 > 10.9.0.1 parameter ttl 64 ( udp 10.9.0.1:5120 > 10.0.0.11:80 ipopt 94040000 cut 8 )",
			"error icmp 10.0.0.1:0 > 10.9.0.1:0 about udp 10.9.0.1:5120 > 10.0.0.11:80 payload 32"},
		{"an error over IPv6",
			"icmp fd00::1 > fd00::9 ttl-exceeded ttl 64 ( udp [fd00::9]:5120 > [fd00::11]:80 ttl 63 ext 60 len 1460 cut 8 )",
			"error icmp6 [fd00::1]:0 > [fd00::9]:0 about udp [fd00::9]:5120 > [fd00::11]:80 payload 56"},
		{"an error about a later fragment knows no ports",
			"icmp 10.0.0.1 > 10.9.0.1 fragments-expired ttl 64 ( frag 10.9.0.1 > 10.0.0.11 off 1480 len 100 cut 8 )",
			"error icmp 10.0.0.1:0 > 10.9.0.1:0 about udp 10.9.0.1:0 > 10.0.0.11:0 payload 28"},
		{"an error about a ping",
			"icmp 10.0.0.1 > 10.9.0.1 no-host ttl 64 ( icmp 10.9.0.1 > 10.0.0.11 echo ttl 63 ident 1 seq 1 )",
			"error icmp 10.0.0.1:0 > 10.9.0.1:0 about icmp 10.9.0.1:0 > 10.0.0.11:0 payload 28"},
		{"another protocol",
			"ip 198.51.100.7 > 203.0.113.80 ttl 64 proto 47 len 40",
			"other protocol 47 198.51.100.7:0 > 203.0.113.80:0 payload 40"},
		{"ICMP of the other family",
			"ip 2001:db8::7 > 2001:db8::80 ttl 64 proto 1 len 40",
			"other icmp [2001:db8::7]:0 > [2001:db8::80]:0 payload 40"},
		{"ARP",
			"arp who-has 203.0.113.80 tell 203.0.113.1",
			"arp protocol 0 203.0.113.1:0 > 203.0.113.80:0 payload 0"},
		{"a solicitation",
			"nd who-has 2001:db8::80 tell 2001:db8::1",
			"neighbor icmp6 [2001:db8::1]:0 > [ff02::1:ff00:80]:0 payload 24"},
		{"a solicitation by a host that has no address yet",
			"nd who-has 2001:db8::80 tell ::",
			"neighbor icmp6 [::]:0 > [ff02::1:ff00:80]:0 payload 16"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			frame := packettest.Frame(t, tt.in)
			padded := append(frame[:len(frame):len(frame)], make([]byte, 18)...) // as on a wire
			partial := strings.Contains(tt.in, "partial")
			var p packet.Packet
			if fault := packet.Parse(padded, partial, &p); fault != packet.None {
				t.Fatal(fault)
			}
			if got := say(&p); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			if len(p.Frame) != len(frame) {
				t.Errorf("frame is %d bytes, want %d: padding is no part of it", len(p.Frame), len(frame))
			}
			if n := testing.AllocsPerRun(100, func() { packet.Parse(padded, partial, &p) }); n != 0 {
				t.Errorf("Parse allocates %v times, want 0", n)
			}
		})
	}
}

// An edit changes a good frame; those of IPv4 headers mend the checksum.
type edit func(frame []byte) []byte

// at overwrites the frame from offset off.
func at(off int, with string) edit {
	return func(frame []byte) []byte {
		b, err := hex.DecodeString(with)
		if err != nil {
			panic(err)
		}
		copy(frame[off:], b)
		return frame
	}
}

func cut(n int) edit { return func(frame []byte) []byte { return frame[:n] } }

// mended is at with a true IPv4 header checksum.
func mended(off int, with string) edit {
	return func(frame []byte) []byte {
		frame = at(off, with)(frame)
		n := max(20, min(int(frame[14]&15)*4, len(frame)-14))
		h := frame[14 : 14+n]
		binary.BigEndian.PutUint16(h[10:], 0)
		binary.BigEndian.PutUint16(h[10:], ^sumWords(h))
		return frame
	}
}

func TestFaults(t *testing.T) {
	const (
		tcp4 = "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 mss 1460 len 10"
		tcp6 = "tcp [2001:db8::7]:4711 > [2001:db8::80]:443 S ttl 64 mss 1460 len 10"
		udp4 = "udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 len 9"
		udp6 = "udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 len 9"
		ext6 = "udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 ext 60 len 9"
		err4 = "icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 1400 ( tcp 10.9.0.1:5120 > 10.0.0.11:80 A ttl 63 len 1460 cut 8 )"
		err6 = "icmp fd00::1 > fd00::9 too-big ttl 64 mtu 1400 ( tcp [fd00::9]:5120 > [fd00::11]:80 A ttl 63 len 1460 cut 8 )"
		arp  = "arp who-has 203.0.113.80 tell 203.0.113.1"
		ns   = "nd who-has 2001:db8::80 tell 2001:db8::1"
		dad  = "nd who-has 2001:db8::80 tell ::"
	)
	tests := []struct {
		name, in string
		edit     edit
		want     packet.Fault
	}{
		{"an empty frame", tcp4, cut(0), packet.TooShort},
		{"half an Ethernet header", tcp4, cut(13), packet.TooShort},
		{"no IPv4 header", tcp4, cut(14), packet.TooShort},
		{"half an IPv4 header", tcp4, cut(33), packet.TooShort},
		{"half an IPv6 header", tcp6, cut(53), packet.TooShort},
		{"half an ARP message", arp, cut(41), packet.TooShort},
		{"a VLAN tag", tcp4, at(12, "8100"), packet.NotIP},
		{"an Ethernet length instead of a type", tcp4, at(12, "0026"), packet.NotIP},
		{"IPv6 that says it is IPv4", tcp6, at(12, "0800"), packet.BadVersion},
		{"IPv4 that says it is IPv6", tcp4, at(12, "86dd"), packet.BadVersion},
		{"IHL of 16 bytes", tcp4, mended(14, "44"), packet.BadIHL},
		{"IHL of 0", tcp4, mended(14, "40"), packet.BadIHL},
		{"IHL past the total length", udp4, mended(14, "4f"), packet.BadLength},
		{"a total length below the header's", tcp4, mended(16, "0013"), packet.BadLength},
		{"a total length of 0", tcp4, mended(16, "0000"), packet.BadLength},
		{"a total length past the frame", tcp4, mended(16, "0037"), packet.BadLength},
		{"an IPv6 length past the frame", tcp6, at(18, "0023"), packet.BadLength},
		{"a wrong IPv4 header checksum", tcp4, at(22, "20"), packet.BadChecksum},
		{"an option of length 0", udp4 + " ipopt 94000000", nil, packet.BadOptions},
		{"an option of length 1", udp4 + " ipopt 94010000", nil, packet.BadOptions},
		{"an option past the header", udp4 + " ipopt 94050000", nil, packet.BadOptions},
		{"an option cut after its type", udp4 + " ipopt 01010194", nil, packet.BadOptions},
		{"a loose source route", udp4 + " ipopt 01830704cb007101", nil, packet.SourceRoute},
		{"a strict source route", udp4 + " ipopt 890704cb007101", nil, packet.SourceRoute},
		{"an IPv6 source route", udp6 + " ext 43", at(14+40+3, "01"), packet.SourceRoute},
		{"from multicast", tcp4, mended(26, "e0000001"), packet.Martian},
		{"from broadcast", tcp4, mended(26, "ffffffff"), packet.Martian},
		{"from loopback", tcp4, mended(26, "7f000001"), packet.Martian},
		{"from nobody", tcp4, mended(26, "00000000"), packet.Martian},
		{"to loopback", tcp4, mended(30, "7f000001"), packet.Martian},
		{"to nobody", tcp4, mended(30, "00000000"), packet.Martian},
		{"from IPv6 multicast", tcp6, at(22, "ff02"), packet.Martian},
		{"from IPv6 loopback", tcp6, at(22, "00000000000000000000000000000001"), packet.Martian},
		{"from IPv6 nobody", tcp6, at(22, "00000000000000000000000000000000"), packet.Martian},
		{"from an IPv4 address in IPv6's clothes", tcp6, at(22, "00000000000000000000ffffc6336407"), packet.Martian},
		{"to an IPv4 address in IPv6's clothes", tcp6, at(38, "00000000000000000000ffffc6336407"), packet.Martian},
		{"to itself", tcp4, mended(30, "c6336407"), packet.Land},
		{"to itself over IPv6", tcp6, at(38, "20010db8000000000000000000000007"), packet.Land},
		{"a first fragment of 17 bytes", udp4 + " more", nil, packet.BadFragment},
		{"a first fragment with half a TCP header", "tcp 198.51.100.7:1 > 203.0.113.80:2 S ttl 64 more", cut4(14 + 20 + 16), packet.BadFragment},
		{"a first fragment with half the TCP options", "tcp 198.51.100.7:1 > 203.0.113.80:2 S ttl 64 ts 1/2 more", cut4(14 + 20 + 24), packet.BadTCPOffset},
		{"a later fragment that reaches into the TCP header", "frag 198.51.100.7 > 203.0.113.80 proto 6 off 8 len 24", nil, packet.BadFragment},
		{"a middle fragment of 7 bytes", "frag 198.51.100.7 > 203.0.113.80 off 1480 more len 7", nil, packet.BadFragment},
		{"an empty fragment", "frag 198.51.100.7 > 203.0.113.80 off 1480", nil, packet.BadFragment},
		{"a fragment past 65535 bytes", "frag 198.51.100.7 > 203.0.113.80 off 65528 len 8", nil, packet.BadFragment},
		{"a fragment past 65535 bytes over IPv6", "frag 2001:db8::7 > 2001:db8::80 off 65528 len 8", nil, packet.BadFragment},
		{"half a TCP header", tcp4, cut4(14 + 20 + 19), packet.TooShort},
		{"half a TCP header over IPv6", tcp6, cut6(14 + 40 + 19), packet.TooShort},
		{"a TCP header of 16 bytes", tcp4, at(14+20+12, "40"), packet.BadTCPOffset},
		{"a TCP header past the packet", tcp4, at(14+20+12, "90"), packet.BadTCPOffset},
		{"half a UDP header", udp4, cut4(14 + 20 + 7), packet.TooShort},
		{"a UDP length of 7", udp4, at(14+20+4, "0007"), packet.BadUDPLength},
		{"a UDP length of 0", udp6, at(14+40+4, "0000"), packet.BadUDPLength},
		{"a UDP length past the packet", udp4, at(14+20+4, "0012"), packet.BadUDPLength},
		{"half an ICMP header", err4, cut4(14 + 20 + 7), packet.TooShort},
		{"an error that quotes nothing", err4, cut4(14 + 20 + 8), packet.BadQuote},
		{"an error that quotes half an IP header", err4, cut4(14 + 20 + 8 + 19), packet.BadQuote},
		{"an error that quotes 7 bytes of TCP", err4, cut4(14 + 20 + 8 + 20 + 7), packet.BadQuote},
		{"an error that quotes a bad IHL", err4, at(14+20+8, "44"), packet.BadQuote},
		{"an error that quotes more options than bytes", err4, at(14+20+8, "4f"), packet.BadQuote},
		{"an error that quotes IPv6 over IPv4", err4, at(14+20+8, "60"), packet.BadQuote},
		{"an error that quotes half an IPv6 header", err6, cut6(14 + 40 + 8 + 39), packet.BadQuote},
		{"an error that quotes 7 bytes of TCP over IPv6", err6, cut6(14 + 40 + 8 + 40 + 7), packet.BadQuote},
		{"an error that quotes half an extension header", strings.Replace(err6, "len 1460 cut 8", "ext 60 cut 0", 1), at(14+40+8+40+1, "01"), packet.BadQuote},
		{"ARP for another hardware", arp, at(14, "0006"), packet.BadARP},
		{"ARP for another protocol", arp, at(16, "86dd"), packet.BadARP},
		{"reverse ARP", arp, at(20, "0003"), packet.BadARP},
		{"a solicitation from afar", ns, at(14+7, "fe"), packet.BadNeighbor},
		{"a solicitation for multicast", ns, at(62, "ff"), packet.BadNeighbor},
		{"a solicitation with a wrong checksum", ns + " bad-sum", nil, packet.BadNeighbor},
		{"a solicitation with a code", ns, at(55, "01"), packet.BadNeighbor},
		{"a solicitation with an empty option", ns, at(79, "00"), packet.BadNeighbor},
		{"a solicitation with an option past its end", ns, at(79, "02"), packet.BadNeighbor},
		{"half a solicitation", ns, cut6(14 + 40 + 23), packet.BadNeighbor},
		{"a solicitation from nobody to one host", dad, at(38, "2001"), packet.Martian},
		{"a solicitation from nobody to all hosts", dad, at(38, "ff020000000000000000000000000001"), packet.BadNeighbor},
		{"an advertisement from nobody", dad, at(54, "88"), packet.Martian},
		{"hop-by-hop options after others", udp6 + " ext 60 ext 0", nil, packet.ExtensionHeaders},
		{"seven extension headers", udp6 + " ext 0 ext 60 ext 60 ext 60 ext 60 ext 60 ext 60", nil, packet.ExtensionHeaders},
		{"two fragment headers", udp6 + " ext 44 ext 44", nil, packet.ExtensionHeaders},
		{"half an extension header", ext6, cut6(14 + 40 + 7), packet.ExtensionHeaders},
		{"an extension header past the packet", ext6, at(55, "03"), packet.ExtensionHeaders},
		{"a jumbogram", udp6 + " ext 0", at(18, "0000"), packet.Jumbogram},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			frame := packettest.Frame(t, tt.in)
			if tt.edit != nil {
				frame = tt.edit(frame)
			}
			var p packet.Packet
			if got := packet.Parse(frame[:len(frame):len(frame)], false, &p); got != tt.want {
				t.Errorf("fault %v, want %v", got, tt.want)
			}
		})
	}
}

// cut4 and cut6 end the frame at n and make the IP header agree.
func cut4(n int) edit {
	return func(frame []byte) []byte {
		frame = frame[:n]
		binary.BigEndian.PutUint16(frame[16:], uint16(n-14))
		return mended(14, "45")(frame)
	}
}

func cut6(n int) edit {
	return func(frame []byte) []byte {
		frame = frame[:n]
		binary.BigEndian.PutUint16(frame[18:], uint16(n-54))
		return frame
	}
}

// sumWords is RFC 1071 as plainly as it can be said.
func sumWords(b []byte) uint16 {
	var s uint32
	for i, c := range b {
		s += uint32(c) << (8 * uint(1-i&1))
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// Every fault has a name for tables and a sentence for people.
func TestFaultWords(t *testing.T) {
	for f := packet.None; f < packet.NumFaults; f++ {
		if f.Name() == "" || f.Help() == "" || strings.ContainsAny(f.Name(), " (") {
			t.Errorf("fault %d: name %q, help %q", f, f.Name(), f.Help())
		}
	}
}
