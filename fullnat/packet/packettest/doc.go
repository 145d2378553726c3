// Package packettest writes packets as lines, so that a test table reads like a
// capture.
//
//	tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1 mss 1460
//	udp [2001:db8::7]:4711 > [2001:db8::80]:53 ttl 64 len 100
//	icmp 10.0.0.1 > 10.9.0.1 too-big ttl 64 mtu 1400 ( tcp 10.9.0.1:5120 > 10.0.0.11:80 A ttl 63 len 1460 cut 8 )
//	ipip 10.0.0.1 > 10.0.0.31 ttl 64 df ( tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 63 df )
//	gue1 [fd00::1]:49152 > [fd00::31]:6080 ttl 64 ( udp 198.51.100.7:4711 > 203.0.113.80:53 ttl 63 len 33 )
//	frag 198.51.100.7 > 203.0.113.80 ttl 64 id 7 off 1480 len 24
//	arp who-has 203.0.113.80 tell 203.0.113.1
//	nd 2001:db8::80 is-at 02:00:00:00:00:02 tell 2001:db8::1 solicited override
//
// [Frame] makes the bytes, [Print] reads them back. It checks every checksum it
// meets and says so where one is wrong, so comparing lines compares checksums.
//
// # Words
//
//	S F R P A U E C    TCP flags, in this order; - for none
//	ttl tos id df      of the IP header; ttl also for the hop limit, tos for the traffic class
//	ext N              an IPv6 extension header of this protocol, eight bytes long
//	ipopt HEX          IPv4 options
//	seq ack win        of the TCP header
//	mss ws sackok ts nop opt K/HEX    TCP options, in this order in the packet; NOPs are not printed
//	ident seq          of an echo
//	mtu                of a too-big
//	len N, data "…"    the payload: N bytes of a pattern, or these
//	of N               a first fragment, of a payload of N bytes in all
//	off N more proto P of a later fragment
//	cut N              only N bytes of the L4 header and payload are there: in quotes
//	bad-ip-sum bad-sum    the IPv4 header checksum, the L4 checksum is wrong
//	no-sum             the UDP checksum is zero
//	partial            the checksum holds the pseudo-header's sum (CHECKSUM_PARTIAL)
//	eth A > B          Ethernet addresses; never printed
//
// It shares no code with package packet and uses the plainest sums there are,
// so that each may convict the other.
package packettest
