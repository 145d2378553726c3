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
// # The fleet
//
// Directors tell each other their sessions as [Record]s. Those of others are in
// the same table as our own, found by the same faces, so that a packet which the
// routers send to another director than before finds its session there. What a
// session is to a director is its [Role]:
//
//	home     we opened it, and nobody else gives out its port. Our worker alone
//	         ends it for all, by a Gone when it closes it: because it has been
//	         idle, or another needs its place, or its client opens another.
//	adopted  another's, but its packets come to us. We tell what we see of it.
//	         Not used between two looks of the wheel, it is a replica again.
//	replica  another's, kept for the day when that one dies. It stays for a third
//	         of its timeout and ten seconds longer than its home would keep it,
//	         and closing it here ends it nowhere else.
//
// A session is shared, that is told to others, when both its ends believe in it
// ([Table.Share] forces it). From then on a change of its state is news at once,
// and that it is in use is told in a touch, once in a third of its timeout: a
// touch can only prolong a life. A director that has lost its memory is told its
// own sessions by the others; it is their home again, and their ports are in use
// ([Table.Install]).
//
// Home and adopter may each see one direction of a connection. What either knows
// is joined, in whatever order it arrives (see joins): nothing that was finished
// is unfinished by a late record, and whoever was behind is told. What begins
// anew under the same ends is told from what was there before by its birth
// ([Born]). Two directors may have a session for the same client's port: who is
// found by it follows from the two alone, so all directors agree (see wear.go).
// Whether they know the same they see by comparing a [Digest] for each slot.
//
// # Lifted
//
// The packets of an established session may be carried without the worker, by a
// [Carrier]. The table has a session landed before it changes its state, its role
// or its place, and hears what was carried before it judges whether it is idle.
//
// # Words
//
// client, vip, local, server: the four endpoints. inbound: from client to
// server; outbound: the way back. session, path, slot: as above. home: the
// director from whose block a session's local address was taken, or that opened
// it where there is none. keeper: a director that holds replicas of a slot.
// adopt: serve another's session. share: have others know of one. worker, batch,
// snapshot: as in package fullnat.
package session
