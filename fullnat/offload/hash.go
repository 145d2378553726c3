package offload

import (
	"encoding/binary"

	"fleetlb/fullnat/packet"
)

// hash is the one in flows.c. Its seed is secret: who could choose his address
// and port so as to fill a bucket would keep others out of it.
func hash(seed uint64, t *packet.Tuple) uint64 {
	const ( // of xxhash64
		prime1 = 0x9e3779b185ebca87
		prime2 = 0xc2b2ae3d27d4eb4f
		prime3 = 0x165667b19e3779f9
		prime4 = 0x85ebca77c2b2ae63
	)
	word := func(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
	h := (seed ^ uint64(portsOf(t.SrcPort, t.DstPort)) ^ uint64(t.Protocol)<<32) * prime1
	h = (h ^ h>>32 ^ word(t.Src[8:])) * prime2
	h = (h ^ h>>29 ^ word(t.Dst[8:])) * prime3
	if !t.Src.Is4() {
		h = (h ^ h>>32 ^ word(t.Src[:8])) * prime4
		h = (h ^ h>>29 ^ word(t.Dst[:8])) * prime1
	}
	return h ^ h>>32
}

// splitPorts is the reverse of portsOf.
func splitPorts(ports uint32) (src, dst uint16) {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], ports)
	return binary.BigEndian.Uint16(b[:]), binary.BigEndian.Uint16(b[2:])
}

// portsOf returns two ports as the word that a TCP or UDP header begins with.
func portsOf(src, dst uint16) uint32 {
	var b [4]byte
	binary.BigEndian.PutUint16(b[:], src)
	binary.BigEndian.PutUint16(b[2:], dst)
	return binary.LittleEndian.Uint32(b[:])
}
