// Package vrrp agrees with other routers on a LAN who holds a set of virtual
// addresses: the Virtual Router Redundancy Protocol, version 3 (RFC 9568), for
// IPv4 and IPv6.
//
// A [Speaker] is given the whole set of groups, never changes. For each it sends
// and hears advertisements, and says whether this host is the active one; to
// answer for the addresses, or not to, is up to its caller. A group that is not
// ready takes no part: what it held it gives away with priority 0, and others
// follow within their skew time.
//
// Read speaker.go for the one goroutine that does everything, election.go for
// the protocol (a pure function of state, event and time), router.go for our end
// of one virtual router, packet.go for the bytes, socket.go for the wire.
//
// # What it speaks
//
// Multicast advertisements from the interface's own MAC address, as keepalived
// does by default; the virtual router's MAC address is nobody's. So a takeover
// is told to the stations by gratuitous ARP and unsolicited neighbour
// advertisements, which [Status.Claims] asks for. No version 2, no unicast, no
// authentication: version 3 has none.
//
// # Two checksums
//
// RFC 5798 was read in two ways: over IPv4 the checksum covers a pseudo-header,
// as over IPv6, or it does not. RFC 9568 §5.2.8 means the second; keepalived and
// FRR do the first unless told otherwise. What is heard may have either; what is
// sent has the one the group says.
package vrrp
