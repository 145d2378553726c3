package fullnat

import "testing"

func TestICMPErrors(t *testing.T) {
	w := newTestWorker(t,
		"vip 203.0.113.80:443 → 10.0.0.11:8443 via 10.9.0.1",
		"udp 203.0.113.53:53 → 10.0.0.11:5353",
		"vip [2001:db8::80]:443 → [fd00::11]:8443 via 2001:db8:9::1")
	w.establish("198.51.100.7:4711", "10.9.0.1:5235", "10.0.0.11:8443")
	w.converse([]row{
		{"a datagram", "udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 64 len 33", "udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 len 33", "forwarded"},
		{"IPv6", "tcp [2001:db8:7::7]:4711 > [2001:db8::80]:443 S ttl 64", "tcp [2001:db8:9::1]:5154 > [fd00::11]:8443 S ttl 63", "forwarded"},

		{"from the server's side: to the client, about what the client sent",
			"eth1 icmp 10.0.0.11 > 10.9.0.1 no-port ttl 64 ( udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 len 33 )",
			"icmp 203.0.113.53 > 198.51.100.7 no-port ttl 63 ( udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 len 33 )", "forwarded"},
		{"from a router of the client's: to the server, about what the server sent",
			"icmp 198.51.100.1 > 203.0.113.80 too-big ttl 60 mtu 1400 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 df seq 5001 ack 1001 len 1460 cut 8 )",
			"icmp 10.9.0.1 > 10.0.0.11 too-big ttl 59 mtu 1400 ( tcp 10.0.0.11:8443 > 10.9.0.1:5235 - ttl 55 df seq 5001 len 1460 cut 8 )", "forwarded"},
		{"quoting all there was of the packet",
			"icmp 198.51.100.1 > 203.0.113.80 too-big ttl 60 mtu 1400 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 df seq 5001 ack 1001 len 100 )",
			"icmp 10.9.0.1 > 10.0.0.11 too-big ttl 59 mtu 1400 ( tcp 10.0.0.11:8443 > 10.9.0.1:5235 A ttl 55 df seq 5001 ack 1001 len 100 )", "forwarded"},
		{"an MTU below the floor is forged, or of no use",
			"icmp 198.51.100.1 > 203.0.113.80 too-big ttl 60 mtu 68 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 df seq 5001 ack 1001 len 1460 cut 8 )",
			"icmp 10.9.0.1 > 10.0.0.11 too-big ttl 59 mtu 552 ( tcp 10.0.0.11:8443 > 10.9.0.1:5235 - ttl 55 df seq 5001 len 1460 cut 8 )", "forwarded"},
		{"IPv6",
			"icmp 2001:db8:7::1 > 2001:db8::80 too-big ttl 60 mtu 1300 ( tcp [2001:db8::80]:443 > [2001:db8:7::7]:4711 A ttl 55 len 1440 cut 100 )",
			"icmp 2001:db8:9::1 > fd00::11 too-big ttl 59 mtu 1300 ( tcp [fd00::11]:8443 > [2001:db8:9::1]:5154 A ttl 55 len 1440 cut 100 )", "forwarded"},
		{"a damaged one stays damaged",
			"eth1 icmp 10.0.0.11 > 10.9.0.1 no-port ttl 64 bad-sum ( udp 10.9.0.1:5238 > 10.0.0.11:5353 ttl 63 len 33 )",
			"icmp 203.0.113.53 > 198.51.100.7 no-port ttl 63 bad-sum ( udp 198.51.100.7:4711 > 203.0.113.53:53 ttl 63 len 33 )", "forwarded"},

		{"about nothing of ours",
			"icmp 198.51.100.1 > 203.0.113.80 no-host ttl 60 ( tcp 203.0.113.80:443 > 198.51.100.99:4711 A ttl 55 cut 8 )", "", "error_unmatched"},
		{"about a packet that another host sent",
			"icmp 198.51.100.1 > 203.0.113.80 no-host ttl 60 ( tcp 203.0.113.53:443 > 198.51.100.7:4711 A ttl 55 cut 8 )", "", "error_unmatched"},
		{"about a later fragment: its ports are unknown",
			"icmp 198.51.100.1 > 203.0.113.80 no-host ttl 60 ( frag 203.0.113.80 > 198.51.100.7 ttl 55 off 1480 len 8 )", "", "error_unmatched"},
		{"about a ping that nobody sent",
			"icmp 198.51.100.1 > 203.0.113.80 no-host ttl 60 ( icmp 203.0.113.80 > 198.51.100.7 echo ttl 55 )", "", "error_unmatched"},
		{"quoting too little",
			"icmp 198.51.100.1 > 203.0.113.80 no-host ttl 60 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 cut 7 )", "", "bad_quote"},
		{"for somebody else",
			"icmp 198.51.100.1 > 203.0.113.99 no-host ttl 60 ( tcp 203.0.113.99:443 > 198.51.100.7:4711 A ttl 55 cut 8 )", "", "not_ours"},
		{"no hops left, and no error about an error",
			"icmp 198.51.100.1 > 203.0.113.80 no-host ttl 1 ( tcp 203.0.113.80:443 > 198.51.100.7:4711 A ttl 55 cut 8 )", "", "ttl"},

		{"none of them ended a session",
			"tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001",
			"tcp 10.9.0.1:5235 > 10.0.0.11:8443 A ttl 63 seq 1001 ack 5001", "forwarded"},
	})
}
