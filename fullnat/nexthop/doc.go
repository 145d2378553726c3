// Package nexthop tells where to send a packet next, as the kernel would.
//
// A [Watcher] follows the kernel's routes, neighbours, links and addresses over
// netlink and turns them into a [Table] that never changes: looked up by any
// number of workers, replaced as a whole.
//
// # From destination to hop
//
// [Table.Lookup] finds the longest prefix among the routes that leave by our
// interfaces and answers with an [ID]; [Table.Hop] turns that into interface and
// MAC addresses. A worker may keep an ID for as long as [Table.Generation] stays
// the same: what changes often, whether a neighbour answers and from which MAC
// address, changes the hop and not its ID.
//
// Routes by other interfaces do not exist here: what the director cannot send
// by its own interfaces it cannot send. Of the kernel's tables, local, main and
// default are read; policy rules and VRFs are not.
//
// # Who resolves
//
// The kernel alone speaks ARP and NDP. This package only asks it to: at once
// for destinations that workers [Watcher.Want], and again and again for those it
// is told to [Watcher.Keep] and for the gateways of all routes, since traffic
// that bypasses the kernel does not keep its neighbour entries fresh.
package nexthop
