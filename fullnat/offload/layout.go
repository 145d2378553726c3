package offload

import (
	"encoding/binary"

	"fleetlb/fullnat/packet"
)

// The memory that the director and the programs share, as flows.c has it.

type face struct {
	src, dst         uint32 // as on the wire; of IPv6 the last four bytes
	ports            uint32
	protocol, family uint8
	gain             uint16
	newSrc, newDst   uint32
	newPorts         uint32
	hop              uint32 // a HopRef
	used             uint32
	next, ack        uint32
	header           uint16
	kind, _          uint8
	packets          uint32
	answer           uint32 // the bucket in which the other face is sought first
	bytes            uint64
}

type ends [4]packet.Addr

const slots = 16

type bucket [slots]uint32

// hopWords are, from the low end, the destination and the MTU; the source, the
// port and the version.
type hopWords [2]uint64

type control struct {
	until  uint64
	tick   uint32
	_      uint32
	usable [256]uint8
}

// Kinds of faces.
const (
	rewrite = iota
	direct
	tunnel
)

// outerMax is the longest outer header that the programs write.
const outerMax = 40

// outer is what the second face of a flow is that is not rewritten.
type outer struct {
	bytes  [outerMax]uint8
	len    uint8
	_      [5]uint8
	port   uint16
	server packet.Addr
}

// describe tells what packets of a tuple become.
func (f *face) describe(is, becomes *packet.Tuple) {
	f.src, f.dst, f.ports = last(&is.Src), last(&is.Dst), portsOf(is.SrcPort, is.DstPort)
	f.newSrc, f.newDst, f.newPorts = last(&becomes.Src), last(&becomes.Dst), portsOf(becomes.SrcPort, becomes.DstPort)
	f.protocol, f.family = is.Protocol, 6
	if is.Src.Is4() {
		f.family = 4
	}
	if *is == *becomes {
		f.kind = direct
		return
	}
	addrs := sumOf(^uint32(0), is.Src[:]) + sumOf(^uint32(0), is.Dst[:]) + sumOf(0, becomes.Src[:]) + sumOf(0, becomes.Dst[:])
	f.header = fold(addrs)
	f.gain = fold(addrs + uint64(^f.ports) + uint64(f.newPorts))
}

// last returns the last four bytes of an address as they are in memory: all of
// one of IPv4.
func last(a *packet.Addr) uint32 { return binary.LittleEndian.Uint32(a[12:]) }

// sumOf adds up the words of b as they are in memory, each after it has been
// combined with flip: with all ones, that is its complement.
func sumOf(flip uint32, b []byte) (s uint64) {
	for ; len(b) >= 4; b = b[4:] {
		s += uint64(flip ^ binary.LittleEndian.Uint32(b))
	}
	return s
}

// fold adds the carries back until 16 bits are left.
func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}
