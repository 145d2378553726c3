package link

import "time"

// A Queue is one worker's receive/transmit pair over all the interfaces. Only
// its worker may call it, except for Wake. It is an interface because it is
// called once a batch; nothing called once a packet is.
type Queue interface {
	// Recv fills into with waiting frames and returns how many. It never
	// blocks. The frames are the caller's until it passes each to Send or Free.
	Recv(into []*Frame) int
	// Send gives each frame to the interface of its Port and returns how many
	// went. It may reorder the slice, though never the frames of one port that
	// went: those it took back come first, those refused, which are still the
	// caller's, last.
	Send(frames []*Frame) int
	// Free takes frames back unsent.
	Free(frames []*Frame)
	// Alloc fills into with empty frames for packets of our own and returns how
	// many it had.
	Alloc(into []*Frame) int
	// Wait blocks until a frame is waiting, Wake is called or timeout is over;
	// for ever if timeout is negative. It may return early.
	Wait(timeout time.Duration) error
	// Wake ends the present Wait, or else the next. Any goroutine may call it,
	// also after Close.
	Wake()
	// Close gives up the sockets. The frames stay valid until [Ports.Close].
	Close() error
}

// An Interface is a network interface as the kernel describes it.
type Interface struct {
	Name  string
	Index int
	MAC   [6]byte
	MTU   int
}

// A Stat counts what happened to one worker's frames on one interface. Counts
// only grow.
type Stat struct {
	Interface string
	Worker    int

	RxFrames  uint64 // received
	RxFull    uint64 // lost by the kernel because the worker did not keep up
	RxTooBig  uint64 // longer than a frame can be
	RxRefused uint64 // in a form that the kernel could not describe to us

	TxFrames  uint64 // sent
	TxFull    uint64 // refused because the interface did not keep up
	TxTooBig  uint64 // refused because longer than the interface's MTU
	TxDown    uint64 // refused because the interface is down or gone
	TxRefused uint64 // refused by the kernel for another reason, as a checksum offset beyond the frame
}
