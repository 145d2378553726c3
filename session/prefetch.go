package session

import (
	"unsafe"

	"fleetlb/fullnat/packet"
)

// Prefetch brings into the cache what Find will read for these tuples. A worker
// calls it with a whole batch: the misses of up to 64 packets then pass side by
// side, where packet after packet each would wait for two in a row. With a
// million sessions that was 53 ns a packet, Find included, instead of 285. It is
// a matter of speed alone.
func (t *Table) Prefetch(tuples []*packet.Tuple) {
	var hashes [64]uint64
	for len(tuples) > 0 {
		some := tuples[:min(len(tuples), len(hashes))]
		for i, tu := range some {
			hashes[i] = t.index.key.hash(tu)
			at, _ := t.index.home(hashes[i])
			prefetch(unsafe.Pointer(&t.index.buckets[at]))
		}
		for _, h := range hashes[:len(some)] {
			at, tag := t.index.home(h)
			b := &t.index.buckets[at]
			if m := b.match(tag); m != 0 {
				prefetch(unsafe.Pointer(&t.sessions[b.refs[m.lane()].number()]))
			}
		}
		tuples = tuples[len(some):]
	}
}
