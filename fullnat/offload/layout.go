package offload

import (
	"encoding/binary"

	"fleetlb/fullnat/packet"
)

// The memory that the director and the programs share, as flows.c has it.

type face struct {
	ports, newPorts uint32 // source and destination, as on the wire
	protocol, kind  uint8
	header          uint16
	gain, pseudo    uint16
	hop             uint32 // a HopRef
	used            uint32
	packets, bytes  uint64
	next, ack       uint32
	told            [2]uint64
}

type flow struct {
	ends  [4]packet.Addr
	faces [2]face
}

const slots = 8

type bucket [slots]uint64

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

// outer is what the second face of a flow through a tunnel is.
type outer struct {
	_     [9]uint8
	len   uint8
	_     [6]uint8
	bytes [outerMax]uint8
	_     [8]uint8
}

// describe tells what packets of a tuple become.
func (f *face) describe(is, becomes *packet.Tuple) {
	f.ports, f.newPorts = portsOf(is.SrcPort, is.DstPort), portsOf(becomes.SrcPort, becomes.DstPort)
	f.protocol = is.Protocol
	f.pseudo = fold(sumOf(0, is.Src[:]) + sumOf(0, is.Dst[:]) + uint64(is.Protocol)<<8)
	if *is == *becomes {
		f.kind = direct
		return
	}
	addrs := sumOf(^uint32(0), is.Src[:]) + sumOf(^uint32(0), is.Dst[:]) + sumOf(0, becomes.Src[:]) + sumOf(0, becomes.Dst[:])
	f.header = fold(addrs)
	f.gain = fold(addrs + uint64(^f.ports) + uint64(f.newPorts))
}

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
