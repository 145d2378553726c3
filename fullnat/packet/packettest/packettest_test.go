package packettest

import "testing"

// Each line is printed as it was written.
func TestLines(t *testing.T) {
	for _, line := range []string{
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64",
		"tcp 198.51.100.7:4711 > 203.0.113.80:443 SA ttl 63 tos 16 id 7 df seq 4294967295 ack 2 win 1024 mss 1460 sackok ts 1/2 ws 7",
		"tcp [2001:db8::7]:4711 > [2001:db8::80]:443 PA ttl 64 seq 1 ack 2 len 1001",
		"tcp [2001:db8::7]:4711 > [2001:db8::80]:443 - ttl 64 opt 254/c633640712",
		`udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 data "hello, world"`,
		"udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 ext 0 ext 60 len 9",
		"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 ipopt 94040000 len 9 no-sum",
		"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 len 9 bad-sum",
		"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 len 9 bad-ip-sum",
		"tcp 198.51.100.7:4711 > 203.0.113.80:53 A ttl 64 len 60000 partial",
		"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 id 9 of 3000 len 1472",
		"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 9 off 1480 more len 1480",
		"frag 198.51.100.7 > 203.0.113.80 ttl 64 proto 6 id 9 off 1480 len 24",
		"udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 id 123456 of 3000 len 1232",
		"frag 2001:db8::7 > 2001:db8::80 ttl 64 id 123456 off 1240 len 1768",
		"icmp 198.51.100.7 > 203.0.113.80 echo ttl 64 ident 7 seq 1 len 56",
		"icmp 2001:db8::7 > 2001:db8::80 echo-reply ttl 64 ident 7 seq 1 len 56",
		"icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 1400 ( tcp 10.9.0.1:5120 > 10.0.0.11:80 - ttl 63 df seq 9 len 1460 cut 8 )",
		"icmp 10.0.0.1 > 10.9.0.1 no-port ttl 64 ( udp 10.9.0.1:5120 > 10.0.0.11:53 ttl 63 len 100 cut 8 bad-sum )",
		"icmp fd00::1 > fd00::9 too-big ttl 64 mtu 1280 ( tcp [fd00::9]:5120 > [fd00::11]:80 A ttl 63 seq 9 len 1400 cut 1100 )",
		"icmp 10.0.0.1 > 10.9.0.1 type3/9 ttl 64 ( udp 10.9.0.1:5120 > 10.0.0.11:53 ttl 63 len 100 )",
		"ip 10.0.0.1 > 10.9.0.1 ttl 64 proto 47 len 40",
		"ipip 10.0.0.1 > 10.0.0.31 ttl 64 tos 16 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 63 tos 16 df mss 1460 )",
		"ipip fd00::1 > fd00::31 ttl 64 ( udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 63 len 33 )",
		"gue0 10.0.0.1:49152 > 10.0.0.31:6080 ttl 64 id 7 no-sum ( tcp [2001:db8::7]:4711 > [2001:db8::80]:443 PA ttl 64 seq 1 len 1001 )",
		"gue1 [fd00::1]:49152 > [fd00::31]:6080 ttl 64 ( udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 63 len 33 )",
		"icmp 10.0.0.1 > 10.0.0.9 too-big ttl 64 mtu 1400 ( ipip 10.0.0.9 > 10.0.0.31 ttl 63 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 63 df seq 9 len 1460 cut 20 ) )",
		"arp who-has 203.0.113.80 tell 203.0.113.1",
		"arp 203.0.113.80 is-at 02:00:00:00:00:02 tell 203.0.113.1",
		"nd who-has 2001:db8::80 tell 2001:db8::1",
		"nd who-has 2001:db8::80 tell ::",
		"nd 2001:db8::80 is-at 02:00:00:00:00:02 tell 2001:db8::1 solicited override",
	} {
		if got := Print(Frame(t, line)); got != line {
			t.Errorf("\n got %s\nwant %s", got, line)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"tcq 1.2.3.4:1 > 1.2.3.5:2 S", `packet "tcq 1.2.3.4:1 > 1.2.3.5:2 S": "tcq" is no kind of packet`},
		{"tcp 1.2.3.4:1 > 1.2.3.5:2 X", `packet "tcp 1.2.3.4:1 > 1.2.3.5:2 X": 'X' is no TCP flag`},
		{"udp 1.2.3.4:1 > 1.2.3.5:2 tll 3", `packet "udp 1.2.3.4:1 > 1.2.3.5:2 tll 3": "tll" means nothing`},
		{"udp 1.2.3.4:1 > [::1]:2", `packet "udp 1.2.3.4:1 > [::1]:2": addresses of two families`},
	} {
		if _, err := Build(tt.line); err == nil || err.Error() != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		whole string
		parts []string
	}{
		{"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 len 3000", []string{
			"udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 64 id 7 of 3000 len 1472",
			"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 1480 more len 1480",
			"frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 2960 len 48",
		}},
		{"udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 len 2000", []string{
			"udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 id 7 of 2000 len 1440",
			"frag 2001:db8::7 > 2001:db8::80 ttl 64 id 7 off 1448 len 560",
		}},
	} {
		parts := Split(Frame(t, tt.whole), 1500, 7)
		if len(parts) != len(tt.parts) {
			t.Fatalf("%s: %d parts, want %d", tt.whole, len(parts), len(tt.parts))
		}
		for i, part := range parts {
			if got := Print(part); got != tt.parts[i] {
				t.Errorf("\n got %s\nwant %s", got, tt.parts[i])
			}
		}
	}
}
