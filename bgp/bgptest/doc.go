// Package bgptest is the router's side of the session, for tests and for the
// demonstration: a BGP peer that listens, remembers what it is told and by
// whom, and lets a test wait for it. It can also be a router: install what it
// learns in the main table of its network namespace, as one multipath route
// over all the neighbours with the best path, which is what spreads
// connections over the directors.
//
// A peer runs in a process of its own, because GoBGP keeps part of its
// configuration in variables of the package, and because a router that is
// killed is a test too:
//
//	Start(config)  ──▶  the same executable, in Child, which calls Run
//	Peer           ◀──  the whole state as a line of JSON after each change
//
// A program that wants to be the peer itself calls [Run].
package bgptest
