// Package packet reads and rewrites network frames where they lie.
//
// # One look, then offsets
//
// [Parse] proves once that a frame is what it claims to be and fills a
// [Packet]: its [Tuple], its [Kind], and where each header begins. What cannot
// be proven is a [Fault], never a guess. Everything after Parse trusts it and
// checks nothing, so a frame must be changed only through its Packet.
//
// # One kind of address
//
// Above the header views an address is 16 bytes; an IPv4 address stands as
// ::ffff:a.b.c.d. A real IPv6 packet that carries such an address is a fault,
// so the two can never be taken for each other.
//
// # Checksums are carried, not made
//
// A rewrite changes a checksum by exactly what it changed in the packet
// (RFC 1624, equation 3). A wrong checksum therefore stays wrong by the same
// amount, and a packet that was damaged on its way here is still discarded by
// its receiver.
//
// A frame that never left this machine may be partial (CHECKSUM_PARTIAL): its
// L4 checksum field holds only the sum of the pseudo-header, uncomplemented,
// and the last device adds the rest.
//
// # Ownership
//
// A Packet points into the caller's frame and owns nothing. Nothing here
// allocates, locks, logs or keeps state.
package packet
