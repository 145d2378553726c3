package session

import (
	"encoding/binary"
	"math/bits"

	"fleetlb/fullnat/packet"
)

// Slots is how many slots there are: as many as a local port's low byte tells
// apart. Low rather than high, so that reserving ports 0–1023 costs every slot
// the same.
const Slots = 256

// Slot returns the slot of a client's connections: the low byte of xxhash64
// over protocol, address and port in network order. Every director must compute
// the same, and so must the filter in the kernel; hence a published hash without
// a seed, unlike the index's. Clients can choose their slot; each slot costs
// them no more than 252 local ports per local address and server.
func Slot(protocol uint8, client packet.Addr, port uint16) uint8 {
	const ( // of xxhash64
		prime1 = 0x9e3779b185ebca87
		prime2 = 0xc2b2ae3d27d4eb4f
		prime3 = 0x165667b19e3779f9
		prime4 = 0x85ebca77c2b2ae63
		prime5 = 0x27d4eb2f165667c5
		length = 1 + 16 + 2
	)
	hi := binary.LittleEndian.Uint64(client[:8])
	lo := binary.LittleEndian.Uint64(client[8:])

	// Nineteen bytes are two words, which the protocol in front shifts by one
	// byte against the address, and three bytes.
	h := uint64(length)
	h += prime5
	for _, word := range [...]uint64{hi<<8 | uint64(protocol), lo<<8 | hi>>56} {
		h ^= bits.RotateLeft64(word*prime2, 31) * prime1
		h = bits.RotateLeft64(h, 27)*prime1 + prime4
	}
	for _, b := range [...]uint64{lo >> 56, uint64(port >> 8), uint64(port & 0xff)} {
		h ^= b * prime5
		h = bits.RotateLeft64(h, 11) * prime1
	}
	h ^= h >> 33
	h *= prime2
	h ^= h >> 29
	h *= prime3
	h ^= h >> 32
	return uint8(h)
}
