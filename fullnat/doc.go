// Package fullnat carries packets between clients and servers.
//
// # One packet, one straight line
//
//	recv batch → parse → find session → (miss: service → schedule → open) → rewrite → send batch
//
// Read the files in the order a packet meets them: worker.go goes round,
// batch.go receives and parses, flow.go finds the session and carries the packet
// on, mode.go does what the session's mode wants (fullnat.go, nat.go, dr.go,
// tun.go), open.go decides for the first packet of a connection, send.go lets go
// of the frames.
// Everything else is rare and one call away: mtu.go, pending.go (the next hop is
// being resolved), handoff.go (the packet belongs to another worker),
// fragment.go, icmp.go, gateway.go (packets to no address of ours), answer.go
// (ARP, NDP, ping, refusals), expire.go (what ends, and who is told), walk.go
// (what concerns many sessions at once), announce.go, persistence.go (clients
// that keep their server), single.go (datagrams without a session).
//
// # The fleet
//
// Directors tell each other of their sessions, so that any of them may carry any
// packet. Between two batches a worker speaks to the others (tell.go) and believes
// what they say (apply.go). Their sessions lie in its table beside its own, and
// are found like them; the first packet makes one its own to serve (adopt.go).
// What is not in the table the others are asked for while the packet waits
// (question.go), and we answer what they ask (lookup.go, export.go). Who has slept
// acts on nothing until it has caught up (fence.go).
//
// # Lifted
//
// Established sessions are carried by the network drivers (package offload), so
// that their packets need not come here at all. lift.go takes sessions up and
// down and believes what was counted meanwhile, hoist.go keeps next hops true and
// gives the sign of life, outer.go writes what tunnels put in front, restore.go
// takes over from a former director.
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
// At one pointer: a [Snapshot] holds the services, the next hops, the local
// addresses and the other directors. It is never changed, only replaced, and a worker pins one for a
// whole turn; paths.go joins it with the sessions that outlive it. What a worker
// owns is read by asking the worker (inquiry.go), which answers between two
// batches.
//
// # Who holds a frame
//
// A frame is the worker's from the queue's Recv or Alloc until it goes to Send
// or Free. In between it is in exactly one place: in the batch, parked (pending,
// fragments, sought from the other directors), or outgoing. Its [Verdict] says where it goes.
package fullnat
