// Package link moves Ethernet frames between the kernel and the workers.
//
// # A queue is a worker's
//
// [Open] opens a set of interfaces for a number of workers and gives each
// worker one [Queue], which receives from and sends to all the interfaces. No
// two goroutines share a queue, so nothing in it locks; its calls are made once
// a batch, never once a packet.
//
// # Who owns a frame
//
// Frames are slots of the queue's [Pool]. Recv and Alloc hand them to the
// caller, who holds each for as long as it likes and then passes it to Send or
// to Free of the same queue. While a caller holds all of them, Recv returns
// nothing and the kernel's own buffer fills up.
//
// # Offloads
//
// A frame may be a whole 64 KB segmentation super-packet and its transport
// checksum may still be owed; [Offload] says so, in the form of virtio's
// network header. A frame sent with the Offload it came with leaves as the
// kernel would have forwarded it: segmented and summed as late as possible.
//
// # Rings
//
// Beside its packet sockets a queue has AF_XDP rings where they are of use: each
// batch costs one system call to send and none to receive. Plain TCP and UDP takes
// them ([Ports.Express] is the XDP program that feeds them); the packet sockets
// carry the rest, super-packets whole. What goes to one interface in one burst
// goes one way, so that its order stays.
//
// BenchmarkDrivers compares, 60-byte frames on one core; the most that arrived,
// in thousands a second, in two rounds, and what arrived of a flood:
//
//	packet sockets           273 267   flood 208 211
//	TPACKET_V2 to receive    342 429   flood 251 356
//	TPACKET_V3 to receive    397 453   flood 375 382
//	rings to send            432 381   flood 278 240
//	rings to receive         363 475   flood 277 417
//	rings                    907 595   flood 667 450
//
// TPACKET_V3 also hands a block over when full or a millisecond late. Frames that
// the kernel's test run of an XDP program would send without a socket buffer cost
// tens of milliseconds a call, in which it waits for its page pool to go.
//
// In a flood the worker goes before the kernel's receiving thread ([Precede]), or
// half of the core would be spent on receiving what nobody has time to carry.
//
// # Steering
//
// The kernel offers every frame that an interface receives. [Ports.Steer] names
// the addresses that are ours; an eBPF program lets only frames to them through
// and gives each to the worker that owns its slot.
//
// The host's own stack sees every frame as well, after the sockets. It would
// forward those of ours if it is told to forward, so a third program drops them
// on their way there; only what is sent to the host's own addresses passes.
//
// # When an interface goes away
//
// The workers carry on with the other interfaces and count what they cannot
// send. An interface that was down is used again as soon as it is up. One that
// was removed, or that was down at Open, is looked for by name ten times a
// second and opened anew. Until then Wait still sleeps and Recv returns nothing.
package link
