// Package bfd notices within milliseconds that a router is gone, and lets the
// router notice as fast that this director is (Bidirectional Forwarding
// Detection, RFC 5880; RFC 5881 next door, RFC 5883 over routers).
//
// A [Speaker] is given the whole set of peers, never changes. With each it
// exchanges a small datagram every interval; whoever misses a few in a row
// calls the session down. What is sent is vouched for by a heartbeat of the
// caller's: while that is not felt nothing is sent, because a director whose
// control plane lives on and whose packets do not flow is as good as dead.
//
// Read speaker.go for the one goroutine that does everything, session.go for
// what becomes of a packet and of the lack of one, timing.go for when to speak
// and how long to wait, socket.go for the wire.
//
// # What it speaks
//
// Asynchronous mode. No echo, which the director's packet path would only get in
// the way of; no demand mode on this side; no authentication: a packet from
// next door proves where it comes from by its hop limit (RFC 5881 §5), and an
// authenticated one is dropped.
package bfd
