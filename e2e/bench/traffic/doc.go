// Package traffic is a crowd of clients and the server that they ask, as XDP
// programs at both ends of a device under test: a core of them keeps up with any
// device.
//
// # A closed loop
//
// A fixed number of requests is under way ([Window]). What comes back to the
// clients is checked, counted and, in the same frame, becomes the next request,
// of a session at random. So the device gets what it can carry and no more: the
// figure is its maximum, and not how it behaves under an overload that nobody
// measures twice the same. The price is that the ends must be faster than the
// device, which the rig verifies by how busy the device's core was.
//
// A request that does not come back within a tenth of a second is lost, counted,
// and replaced. Each has a slot and a turn in its payload: an answer to what was
// given up, or a second one, is late and starts nothing.
//
// # Nothing is taken for granted
//
// A client counts an answer only if it comes from the target's address and port to
// the client that waits for it, with every checksum right; the server reflects
// datagrams without a look at their checksum, so one that was spoilt on the way in
// is found, too. Anything else is counted as wrong.
//
// # Connections
//
// Both ends speak TCP and remember almost nothing, see tcp.h. A slot's next
// connection begins when its last one has ended; addresses and ports take
// millions of turns before one comes again.
//
// # Latency
//
// Requests that are paced, not kept in a loop, so that a slow answer does not
// delay the next question (coordinated omission); each carries the time at which
// it was sent.
package traffic
