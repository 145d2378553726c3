package replica

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/cespare/xxhash/v2"

	"fleetlb/session"
)

// Rank sorts ids by their right to key, the first first: rendezvous hashing. When
// one of them comes or goes, the others keep their order, so only what is its own
// moves. All directors must agree; hence a fixed hash.
func Rank(key uint64, ids []session.NodeID) []session.NodeID {
	ranked := slices.Clone(ids)
	slices.SortFunc(ranked, func(a, b session.NodeID) int {
		if c := cmp.Compare(weight(key, b), weight(key, a)); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	return ranked
}

// BlockKey is the key by which directors are ranked as successors of the one
// whose local-address block this is.
func BlockKey(block netip.Prefix) uint64 { return xxhash.Sum64String(block.Masked().String()) }

// weight is the right of a member to a key: the finalizer of MurmurHash3 over
// both, which is far cheaper than a hash of bytes and as good on words.
func weight(key uint64, id session.NodeID) uint64 {
	return mix(mix(key+0x9e3779b97f4a7c15) ^ uint64(id))
}

func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}
