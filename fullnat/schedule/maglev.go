package schedule

import (
	"slices"

	"github.com/cespare/xxhash/v2"
)

// maglevSize is the number of entries, the prime of the paper's evaluation:
// 128 KiB a table. Of 100 equal members each has 655 or 656. Building for 100
// takes 2 ms.
const maglevSize = 65537

// A maglev is a lookup table after Eisenbud et al., "Maglev: A Fast and
// Reliable Software Network Load Balancer", NSDI 2016, §3.4. It depends on
// nothing but names and weights, and is never changed.
type maglev struct {
	names   []string // by rank, sorted
	weights []int    // by rank, all above zero
	table   []uint16 // ranks; empty when there are no members
}

// Seeds of the two hashes of a name. All directors of a fleet must agree, so
// these are for ever.
const (
	seedOffset = 1
	seedSkip   = 2
)

// A preference is one member's walk over the table: offset, then on by skip,
// which being less than a prime leads it through every entry once.
type preference struct {
	at, skip uint32
	credit   int
}

// newMaglev fills the table: members take turns, each taking the next entry of
// its preference that is still free, until none is. Turns come by weight: one
// of the greatest weight has one every round, one of half that every second.
// A bitmap of 8 KiB, which stays in the first-level cache, knows what is taken.
func newMaglev(names []string, weights []int) *maglev {
	m := &maglev{names: names, weights: weights}
	if len(names) == 0 {
		return m
	}
	walks := make([]preference, len(names))
	for i, name := range names {
		walks[i].at = uint32(seeded(name, seedOffset) % maglevSize)
		walks[i].skip = uint32(seeded(name, seedSkip)%(maglevSize-1)) + 1
	}
	m.table = make([]uint16, maglevSize)
	most := slices.Max(weights)
	var taken [maglevSize/64 + 1]uint64
	for filled := 0; ; {
		for i := range walks {
			w := &walks[i]
			if w.credit += weights[i]; w.credit < most {
				continue
			}
			w.credit -= most
			for taken[w.at/64]&(1<<(w.at%64)) != 0 {
				w.next()
			}
			taken[w.at/64] |= 1 << (w.at % 64)
			m.table[w.at] = uint16(i)
			if filled++; filled == maglevSize {
				return m
			}
		}
	}
}

func (w *preference) next() {
	if w.at += w.skip; w.at >= maglevSize {
		w.at -= maglevSize
	}
}

func seeded(name string, seed uint64) uint64 {
	d := xxhash.NewWithSeed(seed)
	d.WriteString(name)
	return d.Sum64()
}
