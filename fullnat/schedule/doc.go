// Package schedule chooses a server for each new connection.
//
// # One small type
//
// [New] builds a [Scheduler] from a name, its flags and the members of a
// service; Pick returns the position of one member, or -1 when there is none to
// be had. A Scheduler never changes: when a weight, a verdict or the set of
// members does, another is built and published with the next snapshot. The
// names, flags and laws are those of IPVS:
//
//	rr wrr            in turn; in turn by weight
//	lc wlc sed nq     fewest sessions; by weight; shortest expected delay; idle first
//	dh sh mh          by hash of destination, of client; Maglev
//	lblc lblcr        destinations keep their server (or servers) until it is overloaded
//	fo ovf            the heaviest; the heaviest with room
//	twos              the less loaded of two drawn by weight
//
// # Who filters
//
// The caller says which members are Eligible: healthy, not draining, of a
// weight above zero. No scheduler picks another. All members are given all the
// same, because the hashing ones (dh, sh, mh) build their table from every
// member with a weight: as long as an ineligible one stays listed nobody else's
// clients move, and its own are refused, or with the flags sh-fallback and
// mh-fallback fall to others. To let a member go altogether, leave it out or
// give it weight 0.
//
// A member at its upper threshold is full, and gets nothing until it has room
// again: whoever has the next turn, or is the next best, gets what it would have
// got. Where the law is a hash it refuses its clients, or lets them fall to
// others, as one that is not eligible does. When all are full nobody is picked.
//
// # In a fleet
//
// The schedulers that look at loads (lc wlc sed nq lblc lblcr ovf twos), and the
// thresholds, reckon with the sessions that servers have on other directors, as
// old as what [Load.SetElsewhere] was told last: a second or two. In between each
// director takes the others to open what it opens itself, and draws among the
// servers that a single one would deal the next clients of all of them to.
//
// # All workers at once
//
// Pick is called by every worker on the same Scheduler. It takes no lock and
// allocates nothing. What must outlive a rebuild (whose turn it is, a Maglev
// table whose members are the same, where destinations went) is in a [State]
// the service keeps; what must be counted is in a [Load], which each worker
// stores for itself and anybody may sum.
//
// # The same on every director
//
// dh, sh and mh answer alike in every process that has the same set of members,
// in whatever order they are listed: tables are built from names, with xxhash64
// and fixed seeds. The price is that somebody who knows the names can aim at a
// server, which in sh and mh without ports takes an address of his own for each.
package schedule
