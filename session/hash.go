package session

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"

	"fleetlb/fullnat/packet"
)

// A Hash is that of a tuple, by which one table finds its session.
type Hash uint64

// A hashKey makes the index's hash unpredictable: whoever may choose client
// addresses and ports must not be able to aim them all at one bucket.
type hashKey [6]uint64

func newHashKey() (k hashKey) {
	var b [8 * len(k)]byte
	rand.Read(b[:]) // never fails
	for i := range k {
		k[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return k
}

// hash folds 64×64→128-bit products, as wyhash does: five words in four
// multiplications. The last is for the port: one product alone maps ports that
// follow each other, as local ports do, to buckets that do, and with an unlucky
// key to few of them. The seeded hash of hash/maphash takes four times as long
// for a Tuple.
func (k *hashKey) hash(t *packet.Tuple) Hash {
	src := fold(
		binary.LittleEndian.Uint64(t.Src[:8])^k[0],
		binary.LittleEndian.Uint64(t.Src[8:])^k[1])
	dst := fold(
		binary.LittleEndian.Uint64(t.Dst[:8])^k[2],
		binary.LittleEndian.Uint64(t.Dst[8:])^k[3])
	rest := uint64(t.SrcPort)<<32 | uint64(t.DstPort)<<16 | uint64(t.Protocol)
	return Hash(fold(fold(src^dst, rest^k[4]), k[5]))
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
