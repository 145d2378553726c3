// Package fullnat carries packets between clients and servers.
//
// # One packet, one straight line
//
//	recv batch → parse → find session → (miss: service → schedule → open) → rewrite → send batch
//
// Read the files in the order a packet meets them: worker.go receives a batch
// and sends it on, flow.go finds the session and moves the packet to its other
// face, open.go decides for the first packet of a connection. Everything else
// is rare and one call away: fragment.go, icmp.go, answer.go (ARP, NDP, ping),
// mtu.go, pending.go (the next hop is being resolved), handoff.go (the packet
// belongs to another worker), reset.go, expire.go.
//
// # Share nothing
//
// A [Plane] runs several workers. Each owns the slots (see package session) of
// its share, its session table and its local ports, so that no packet takes a
// lock. Both directions of a connection have the same slot, and the kernel
// steers frames by it; a worker that gets a frame of a slot it does not own
// hands it over, so steering is a matter of speed and never of correctness.
//
// # Where the control plane meets it
//
// At one pointer: a [Snapshot] holds the services, the next hops and the local
// addresses. It is never changed, only replaced, and a worker pins one for a
// whole batch. What a worker owns is read by asking the worker ([Plane.Sessions],
// [Plane.Counters]): it answers between two batches.
package fullnat
