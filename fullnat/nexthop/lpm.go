package nexthop

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"

	"fleetlb/fullnat/packet"
)

// lpm finds the route of the longest prefix: the prefixes of each length,
// longest first, are sorted and searched by halves. A dozen routes of some
// lengths cost a few comparisons; so does a full table of the Internet's, with
// at most 33 or 129 searches.
type lpm struct{ lengths []length }

// length holds the prefixes of one length.
type length struct {
	mask   word
	prefix []word // sorted
	route  []*entry
}

// A word is an address as two numbers.
type word struct{ hi, lo uint64 }

// An entry is what a route does with packets: nothing if it has no paths.
type entry struct{ paths []way }

// A way is one of a route's paths in the form of the table.
type way struct {
	hop   ID // of a gateway; None: the destination itself is the next hop
	port  uint8
	mtu   uint16 // 0: the interface's
	below uint32 // takes hashes below this share of 1<<32, as far as the ways before it do not
}

func wordOf(a packet.Addr) word {
	return word{binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])}
}

func (w word) and(m word) word { return word{w.hi & m.hi, w.lo & m.lo} }

func compare(a, b word) int {
	if c := cmp.Compare(a.hi, b.hi); c != 0 {
		return c
	}
	return cmp.Compare(a.lo, b.lo)
}

// mask returns the mask of an address's first n bits.
func mask(n int) word {
	if n <= 64 {
		return word{hi: ^uint64(0) << (64 - n)}
	}
	return word{hi: ^uint64(0), lo: ^uint64(0) << (128 - n)}
}

// newLPM makes the table of these routes; prefixes are of one family.
func newLPM(routes map[netip.Prefix]*entry) lpm {
	byLength := make(map[int][]netip.Prefix)
	for p := range routes {
		n := p.Bits()
		if p.Addr().Is4() {
			n += 96
		}
		byLength[n] = append(byLength[n], p)
	}
	var t lpm
	for n, prefixes := range byLength {
		slices.SortFunc(prefixes, netip.Prefix.Compare)
		l := length{mask: mask(n)}
		for _, p := range prefixes {
			l.prefix = append(l.prefix, wordOf(packet.AddrFrom(p.Addr())))
			l.route = append(l.route, routes[p])
		}
		t.lengths = append(t.lengths, l)
	}
	slices.SortFunc(t.lengths, func(a, b length) int { return compare(b.mask, a.mask) })
	return t
}

// find returns the longest prefix's route to dst, nil if there is none.
func (t *lpm) find(dst packet.Addr) *entry {
	w := wordOf(dst)
	for i := range t.lengths {
		l := &t.lengths[i]
		if at, ok := search(l.prefix, w.and(l.mask)); ok {
			return l.route[at]
		}
	}
	return nil
}

// search is slices.BinarySearch without a call for each comparison.
func search(sorted []word, w word) (int, bool) {
	lo, hi := 0, len(sorted)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if m := sorted[mid]; m.hi < w.hi || m.hi == w.hi && m.lo < w.lo {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(sorted) && sorted[lo] == w
}

// path chooses among equal-cost paths by the destination alone, so that all
// packets to one client take one way, whichever worker sends them.
func (e *entry) path(dst packet.Addr) *way {
	if len(e.paths) == 1 {
		return &e.paths[0]
	}
	w := wordOf(dst)
	hi, lo := bits.Mul64(w.hi^0x9E3779B97F4A7C15, w.lo^0xC2B2AE3D27D4EB4F)
	h := uint32((hi ^ lo) * 0x9FB21C651E98DF25 >> 32)
	for i := range e.paths[:len(e.paths)-1] {
		if h < e.paths[i].below {
			return &e.paths[i]
		}
	}
	return &e.paths[len(e.paths)-1]
}
