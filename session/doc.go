// Package session remembers which server each connection was given.
//
// # Two faces, one session
//
// FULLNAT replaces all four endpoints, so one connection has two faces:
//
//	client:4711 → vip:443       what the client sends   (inbound)
//	server:8443 → local:5120    what the server sends   (outbound)
//
// A [Table] finds the same [Session] by either, in one index that holds both.
// NAT sessions answer to server → client instead; DR and TUN sessions have no
// outbound face, for replies bypass the director.
//
// # Paths
//
// What all sessions of one service with one server have in common is kept once,
// in a [Path]: protocol, mode, VIP, server, timeouts, counts. A session names
// its path and adds only what is its own, so that it fits into a cache line.
//
// # Slots
//
// The [Slot] of a connection is a hash of its client's endpoint. A local port
// carries it in its low byte, so either direction of a packet tells the slot by
// itself, and from the slot follows the worker that owns the session. A table
// belongs to that worker and is touched by no other: nothing here locks.
//
// # Local ports
//
// A local port must be unique only towards one server endpoint. Each pair of
// local address and server endpoint has its own exact set of ports, so nothing
// is probed, nothing collides, and a freed port is the last to be used again.
//
// # Ageing
//
// Time is a [Tick], counted by the worker once a batch. A session holds the
// tick it was last used; the wheel only finds candidates. Use is one store.
//
// # Words
//
// client, vip, local, server: the four endpoints. inbound: from client to
// server; outbound: the way back. session, path, slot: as above. home: the
// director from whose block a session's local address was taken. worker, batch,
// snapshot: as in package fullnat.
package session
