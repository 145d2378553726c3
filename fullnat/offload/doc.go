// Package offload carries the packets of established sessions in the network
// driver, by an XDP program, while everything unusual goes up to the worker.
//
// # Who knows what
//
// The worker's session table remains the truth. It lifts a session once both
// ends have agreed, by [Table.Lift], and takes it down, by [Table.Drop], before
// anything about it changes. The program does for a packet what the worker would
// do, to the byte, or it does nothing and lets it pass: SYN, FIN, RST, fragments,
// options, the last hop, what is too big, what it does not know.
//
// # Memory, not messages
//
// The tables of flows.c are mapped into the director. A lift is a few stores and
// takes no system call; what a session has carried ([Table.Read]) is a load. A
// flow has the number that its session has in the worker's table, so nothing is
// allocated. Slots of the hash index are taken by compare-and-swap, so workers
// need no lock between them.
//
// A program may still read a flow that was just dropped. Its number is used
// again only after a grace period, in which every program that was running has
// ended (grace.go).
//
// # Cache lines
//
// With a hundred sessions a packet costs what its instructions cost, with a million
// what it waits for: 140 ns for each line from memory. So a face, one direction of a
// flow, is one line, with all that a packet of IPv4 needs, and its place in the index
// takes four bytes, sixteen to a line. A packet waits for two lines, one after the
// other. The first of a tick also reads what its answer will want (near, in
// find.h). Round trips a second on one core, by go run ./e2e/bench/rig/try:
//
//	                                               100 k    1 M sessions
//	three lines a flow, index of eight-byte slots  1.06 M   0.34 M
//	a face is one line, index of four bytes                 0.78 M
//	and answers' lines read ahead                  1.4 M    0.83 to 0.93 M
//
// Tried and left: each face at a place that its hash tells, with a byte in the index
// (a fifth slower in the benchmark at 1 M: the faces of a flow lie apart). Memory in
// large pages, which maps of at most 32 KB have, in a map of maps: 147 instead of
// 153 ns for a line out of 256 MB, and each store a system call. The kernel's hash
// map: 365 ns where an array takes 140. A store to fetch a line: no better than a
// load.
//
// # What races cost
//
// Counters are plain additions: one direction of a flow is carried by one
// receive queue and so by one processor. If the card moves it to another at
// that very moment, a count may be lost. Nothing else depends on them.
//
// # Next hops
//
// A face names its next hop by an index into one array ([Hops]), so a neighbour
// with a new MAC address is one store for all its sessions. A [HopRef] carries a
// version: an index that has come to mean another neighbour does not match, and
// the packet goes up.
//
// # Death
//
// The programs carry nothing after the moment that [Table.Renew] last named. A
// director that is dead, stopped or stuck attracts nothing within two seconds.
package offload
