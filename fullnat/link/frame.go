package link

// Headroom is how many bytes can be put in front of a received frame: room for
// an outer IPv6 header, GUE and then some.
const Headroom = 128

// maxFrame is the longest frame: a 64 KB segmentation super-packet behind an
// Ethernet header. Kernels told to build larger ones ("BIG TCP") are counted.
const maxFrame = 64<<10 + 14

// A Frame is one Ethernet frame, or an empty one to be filled. Its bytes belong
// to whoever holds the frame.
type Frame struct {
	slot []byte // all of the frame's memory: vnetLen, Headroom, the frame, tailroom
	head uint32 // where the frame begins in slot
	size uint32 // how long it is
	held bool   // out of the pool

	Port    uint8 // index into the interfaces: came in by, shall leave by
	Offload Offload
}

// Bytes returns the frame, from its Ethernet header on.
func (f *Frame) Bytes() []byte { return f.slot[f.head : f.head+f.size] }

// Resize makes the frame n bytes long. Bytes it gains at the end are undefined.
// It panics if the frame has no room for n bytes; see Tailroom.
func (f *Frame) Resize(n int) {
	_ = f.slot[int(f.head):][:n]
	f.size = uint32(n)
}

// Tailroom returns by how many bytes Resize may lengthen the frame.
func (f *Frame) Tailroom() int { return len(f.slot) - int(f.head) - int(f.size) }

// Prepend puts n undefined bytes in front of the frame and returns all of it,
// or nil if the headroom is used up. The offsets in Offload follow.
func (f *Frame) Prepend(n int) []byte {
	if n < 0 || int(f.head)-n < vnetLen {
		return nil
	}
	f.head -= uint32(n)
	f.size += uint32(n)
	f.Offload.shift(n)
	return f.Bytes()
}

// Trim cuts n bytes off the front of the frame and returns the rest, or nil if
// it is not that long. The offsets in Offload follow.
func (f *Frame) Trim(n int) []byte {
	if n < 0 || n > int(f.size) {
		return nil
	}
	f.head += uint32(n)
	f.size -= uint32(n)
	f.Offload.shift(-n)
	return f.Bytes()
}

// reset makes the frame an empty one.
func (f *Frame) reset() {
	f.head, f.size = vnetLen+Headroom, 0
	f.Port, f.Offload = 0, Offload{}
}
