// Package persist remembers which server the clients of a network were given, so
// that their next connections go there too.
//
// # Templates
//
// A template, as IPVS calls it, is one service, one network of clients and one
// server. It is made when the network's first connection is opened and stays for
// as long as a session holds it, and for the service's timeout after that. What
// holds it says so: [Store.Take] or [Store.Give] when a session opens,
// [Store.Release] when it closes. A TCP client must have shown that it is there,
// by a connection that was established ([Store.Assure]), or the template goes with
// its last session: forged addresses leave nothing behind.
//
// # One store, many workers
//
// Sessions of one client are of different slots and so of different workers, who
// share a [Store]. It is asked when a connection is opened, established or
// closed, never for a packet, so locks are good enough: there are 64, by hash,
// and none is held for longer than it takes to look at a few templates. No call
// of a worker's allocates.
//
// # Bounds
//
// A store holds so many templates and no more. When there is no room, one that no
// session holds gives its place away, of a few that are looked at the one that
// would have expired first; if all are held, the new client is not remembered.
//
// # A fleet
//
// Routers give a client's connections to different directors, so all directors
// need all templates. [Store.Changed] is what others have to be told, [Store.Apply]
// takes what they tell. A template is a register that may be written anywhere:
// the one that was moved to another server more often wins, and of two that were
// made at the same time the one with the lower server address. Then all directors
// agree, and one of the two clients' connections that raced stays where it is
// while the next ones go with the other.
package persist
