// Package bgp tells the routers which addresses this director serves.
//
// A [Speaker] is given whole desired sets, never changes: [Speaker.Announce]
// takes all the routes that shall be announced, [Speaker.Configure] all the
// neighbours. It learns nothing from a neighbour; what a router sends is
// refused.
//
// # A process of its own
//
// BGP itself is spoken by GoBGP, which is sealed in this package, and GoBGP can
// be made to panic by a malformed message. So it runs in a child process, the
// same executable started once more (see [Child]), and the director loses
// nothing but a session when it dies:
//
//	parent  Speaker ──── desired state, heartbeat (standard input)  ───▶ child
//	        Speaker ◀─── neighbours, progress, heartbeat (output)  ──── child
//
// Both directions are lines of JSON, each a whole state, so a child that is
// started again needs one line to know everything its predecessor knew.
//
//   - The child dies: it is started again within a second.
//   - The parent dies, however: the child dies at once, the kernel closes its
//     connections, and the routers turn to other directors.
//   - The parent is stopped, not dead: the child misses its heartbeat and ends
//     itself, for nobody forwards the packets it would go on attracting.
//   - The child hangs: the parent misses its heartbeat and kills it.
//
// Graceful restart is off on purpose. It would ask a router to keep the routes
// of a director that is gone.
package bgp
