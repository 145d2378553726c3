package fullnat

import "testing"

// onLinkServices has a VIP and a local address on each link.
var onLinkServices = []string{
	"vip 192.0.2.80:443 → 10.0.0.11:8443 via 10.0.0.99",
	"vip [2001:db8:2::80]:443 → [fd00::11]:8443 via fd00::99",
	"vip 203.0.113.80:443 → 10.0.0.11:8443",
}

func TestPing(t *testing.T) {
	w := newTestWorker(t, onLinkServices...)
	w.converse([]row{
		{"a VIP", "icmp 198.51.100.7 > 203.0.113.80 echo ttl 64 ident 7 seq 1 len 56", "icmp 203.0.113.80 > 198.51.100.7 echo-reply ttl 64 ident 7 seq 1 len 56", "answered"},
		{"a local address", "eth1 icmp 10.0.0.11 > 10.0.0.99 echo ttl 1 ident 7 seq 1", "icmp 10.0.0.99 > 10.0.0.11 echo-reply ttl 64 ident 7 seq 1", "answered"},
		{"IPv6", "icmp 2001:db8:7::7 > 2001:db8:2::80 echo ttl 64 ident 7 seq 1 len 56", "icmp 2001:db8:2::80 > 2001:db8:7::7 echo-reply ttl 64 ident 7 seq 1 len 56", "answered"},
		{"damaged, to be judged by who asked", "icmp 198.51.100.7 > 203.0.113.80 echo ttl 64 ident 7 seq 1 bad-sum", "icmp 203.0.113.80 > 198.51.100.7 echo-reply ttl 64 ident 7 seq 1 bad-sum", "answered"},
		{"somebody else", "icmp 198.51.100.7 > 203.0.113.99 echo ttl 64", "", "not_ours"},
		{"from a VIP", "icmp 192.0.2.80 > 203.0.113.80 echo ttl 64", "", "spoofed"},
		{"an answer to nothing", "icmp 198.51.100.7 > 203.0.113.80 echo-reply ttl 64", "", "protocol"},
	})
	w.snapshot.Ping = false
	w.publish()
	w.converse([]row{{"when told not to", "icmp 198.51.100.7 > 203.0.113.80 echo ttl 64", "", "protocol"}})
}

func TestNeighborQuestions(t *testing.T) {
	w := newTestWorker(t, onLinkServices...)
	w.converse([]row{
		{"a VIP on the link", "arp who-has 192.0.2.80 tell 192.0.2.7", "arp 192.0.2.80 is-at 02:00:00:00:00:01 tell 192.0.2.7", "answered"},
		{"a local address on the link", "eth1 arp who-has 10.0.0.99 tell 10.0.0.11", "arp 10.0.0.99 is-at 02:00:00:00:01:01 tell 10.0.0.11", "answered"},
		{"a VIP on another link", "eth1 arp who-has 192.0.2.80 tell 10.0.0.11", "", "not_ours"},
		{"a VIP that is routed to us", "arp who-has 203.0.113.80 tell 192.0.2.7", "", "not_ours"},
		{"the host's address: the kernel answers", "arp who-has 192.0.2.1 tell 192.0.2.7", "", "not_ours"},
		{"a neighbour", "arp who-has 192.0.2.9 tell 192.0.2.7", "", "not_ours"},
		{"a probe whether the address is free (RFC 5227)", "arp who-has 192.0.2.80 tell 0.0.0.0", "arp 192.0.2.80 is-at 02:00:00:00:00:01 tell 0.0.0.0", "answered"},
		{"an announcement is no question", "arp who-has 192.0.2.80 tell 192.0.2.80", "", "not_ours"},
		{"an answer is no question", "arp 192.0.2.80 is-at 02:00:00:00:00:09 tell 192.0.2.7", "", "not_ours"},

		{"a VIP on the link, IPv6", "nd who-has 2001:db8:2::80 tell 2001:db8:2::7", "nd 2001:db8:2::80 is-at 02:00:00:00:00:01 tell 2001:db8:2::7 solicited override", "answered"},
		{"a local address on the link, IPv6", "eth1 nd who-has fd00::99 tell fd00::11", "nd fd00::99 is-at 02:00:00:00:01:01 tell fd00::11 solicited override", "answered"},
		{"on another link, IPv6", "eth1 nd who-has 2001:db8:2::80 tell fd00::11", "", "not_ours"},
		{"somebody wants our address for itself (RFC 4862)", "nd who-has 2001:db8:2::80 tell ::", "nd 2001:db8:2::80 is-at 02:00:00:00:00:01 tell ff02::1 override", "answered"},
		{"a neighbour, IPv6", "nd who-has 2001:db8:2::9 tell 2001:db8:2::7", "", "not_ours"},
		{"from beyond the link", "nd who-has 2001:db8:2::80 tell 2001:db8:2::7 ttl 254", "", "bad_neighbor"},
		{"with a wrong checksum", "nd who-has 2001:db8:2::80 tell 2001:db8:2::7 bad-sum", "", "bad_neighbor"},
	})

	w.network.Ports[0].MAC = [6]byte{2, 0xff}
	w.publish()
	w.sent()
	w.converse([]row{{"with the station's newest address", "arp who-has 192.0.2.80 tell 192.0.2.7", "arp 192.0.2.80 is-at 02:ff:00:00:00:00 tell 192.0.2.7", "answered"}})
}
