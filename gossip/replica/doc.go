// Package replica keeps the sessions of one director alive in the tables of
// others.
//
// # Who keeps what
//
// Rendezvous hashing ranks all live members for each slot. The first replicas of
// them, never a session's home itself, are its keepers: they hold a copy of every
// shared session of the slot. Where the home is gone, one more member keeps it,
// so there are as many copies as before. A member that has not yet fetched its
// slots keeps them beside the others, not in the place of one.
//
// # Streams
//
// What a director's workers tell goes to each keeper, and to the home where that
// is another, as a stream of batches: one batch to a datagram, numbered,
// acknowledged one by one, sent again until it is. A batch is acknowledged when
// it has been applied, so a receiver without room slows the sender down instead
// of losing anything. Within 5 ms a record is on its way, at once if the stream
// was idle.
//
// A queue is bounded. What it has no room for is not queued, and its slot is
// noted: the receiver is told, in the stream, that it is behind with that slot,
// and pulls it in bulk. The same repairs what differs: once a second the home
// marks its place in the stream with the digest of a slot, and a keeper whose
// own digest is another pulls the slot.
//
// # Pulls
//
// A pull names slots and homes and says the digests of what is there already.
// The other side sends the sessions of those that differ, over a stream of the
// wire's, as fast as they are taken. A home that has all sessions of its own, as
// it has from its Sync on, is the authority on them: what it does not send is
// gone. For the sessions of a home that is gone, and for a director's own after it
// was born again, all copies are merged.
//
// # Questions
//
// A worker that gets a packet of no session it knows asks: the keepers of the
// slot and, where the packet tells it, the home; then, in a small fleet,
// everybody.
//
// # Trust
//
// The wire has authenticated the sender, who may still be wrong: frozen for a
// minute, configured twice, or broken into. So only the home of a session creates
// or ends it, with local addresses of its own block; others may only tell what
// became of it, and create nothing unless they were asked.
//
// # Versions
//
// Every datagram and stream begins with the version of its format and the oldest
// one that can read it. Kinds of blocks, frames and extensions that are not known
// are skipped.
//
// A record's way, in the order of the files: stage.go, outgoing.go, datagram.go,
// incoming.go, admit.go. The rest: roster.go says who keeps what and peer.go who
// comes and goes; ask.go and answer.go are questions; pull.go and serve.go are the
// two ends of a pull, repair.go decides what to pull and sync.go pulls all.
package replica
