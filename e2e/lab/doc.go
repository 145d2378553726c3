// Package lab lays out clients, routers, directors and servers as network
// namespaces of this machine and runs real programs in them.
//
// A [Layout] says which machines there are and which LANs they are plugged
// into; [Open] builds it and [Lab.Close] takes all of it away again: programs,
// links, namespaces, files. [Site] is the layout nearly every story uses.
//
// # What ends with what
//
// Everything belongs to one Lab, and the Lab belongs to this process. A Lab
// closes itself on Ctrl-C. If the process is killed outright, the kernel kills
// what it started, and the next Open sweeps away the names that are left. A
// process is only ever ended by the id it was started with.
//
// # Threads
//
// A network namespace belongs to a thread, not to a process. Each [Host] owns
// one thread, which lives in the host's namespaces and starts its programs:
// the kernel sends the parent-death signal when the starting *thread* ends, so
// that thread must live as long as they may. [Host.Do] borrows another.
//
// # Silence and noise
//
// The lab removes what gives false verdicts: duplicate address detection,
// router advertisements, multicast snooping, bridges that read the packets they
// carry, the rate limit on ICMP errors, and the router's habit of hashing flows by address alone.
package lab
