// Package gossip is a director's membership of its fleet: who else is there, in
// which of its lives, what it tells of itself, and how to speak with it.
//
// # One port
//
// All goes over one port, UDP and TCP, in one sealed form (package seal), told
// apart by a byte inside the seal: memberlist's packets and streams, beats,
// shared values, calls, and the datagrams and streams of the replication.
//
//	wire.go        the port: seal, send; receive, open, pass on
//	transport.go   the wire as memberlist sees it
//	list.go        memberlist: who lives, by probing and gossip
//	peers.go       what is concluded from it
//	beat.go        what members tell each other each second, and at each change
//	seek.go        how members find each other, again and again
//	share.go, call.go, keyring.go, conflict.go
//
// # Lives
//
// A director has another name in memberlist each time it starts (name.go), and is
// to the seal one node of ever later epochs. So a restart faster than any
// detection is recognised at once, a partition of any length ends, and nothing
// that was said before a restart is heard after it.
//
// # Who is alive
//
// memberlist's verdict, but for who said good-bye and for who was not heard by us
// for 15 s. Members that died are asked to join for a day, seeds for ever; beats
// go to the dead as well, and to hear one is reason to ask. In a network in
// memory and virtual time, for 3, 16 and 64 members: a death is known to all
// after 3.5 to 4, 4 and 5.5 s; after a partition all know each other again in
// 0.3 to 1 s; idle, a member sends 5, 19 and 67 datagrams or 0.5, 1.4 and 4.4 kB
// a second, and 0.05 to 0.6 kB/s by stream.
//
// # Cost of the seal
//
// 48 bytes a datagram. On an EPYC core sealing takes 170 ns for 64 bytes and
// 470 ns for 1,360, opening 150 and 440 ns, without allocation; to refuse a
// forgery of that length takes 1.8 µs.
package gossip
