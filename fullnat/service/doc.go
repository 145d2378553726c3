// Package service is the immutable snapshot of what is served: which VIPs and
// ports, by which servers, chosen and treated how.
//
// The control plane says what it wants as a list of [Spec]s, health verdicts
// included. [Build] checks them and turns them into a [Table], which it
// publishes; the workers read it through one pointer and never see it change.
// Build is pure but for one thing: what must live on over a rebuild (a
// scheduler's turn, the loads of servers) it takes over from the table before.
// A service is the same if the protocol, VIP and ports are that it listens at
// first; a server, if its service is and its own address.
//
// # Where a service listens
//
// At one port, at a range of them, or at any that no other service of the VIP
// has; and at as many such places beside as it wants, of other VIPs and protocols
// too. It is one [Service] for each place, which share what makes them one: the
// scheduler, each server's [schedule.Load], and the name under which persistence
// remembers clients. So the workers need not know that there are such services.
//
// # Who may get a new connection
//
// A server that is up, not draining and of a weight above zero is eligible. The
// scheduler does not even see the others, so that sh and mh let their clients
// move. Two things keep them in the hash table, where nobody else's clients are
// touched: the flags sh-fallback and mh-fallback, with which their own clients
// fall to others until they return, and inhibit_on_failure, with which those
// are refused, as they are by an IPVS server of weight 0. A table that keeps
// them is the same on all directors even while those disagree about a server's
// health. Weight 0 itself always leaves the table, for the table may depend only
// on what is configured now.
//
// One at its upper threshold is eligible and gets nothing: see package schedule.
// Where there is persistence, a server goes on getting its own clients' connections
// when it is full, or of weight 0: see [Server.Keeps].
//
// While no server is eligible the sorry server gets what is new. It is not
// checked.
package service
