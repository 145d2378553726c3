package seal

// windowSize is how far behind the latest a datagram may come, in counts of its
// sender to this receiver. At 20,000 a second it is 200 ms.
const windowSize = 4096

// A window remembers which counters of one sender were seen, as RFC 6479 does:
// a ring of words, one of which is always free, so that moving on clears whole
// words and never shifts.
type window struct {
	last uint64 // the greatest seen
	seen [windowSize/64 + 1]uint64
}

// fresh says whether this counter was neither seen nor left behind. Zero never
// is: counters begin at one.
func (w *window) fresh(counter uint64) bool {
	switch {
	case counter == 0:
		return false
	case counter > w.last:
		return true
	case w.last-counter >= windowSize:
		return false
	}
	return w.seen[counter/64%uint64(len(w.seen))]&(1<<(counter%64)) == 0
}

// mark remembers a fresh counter.
func (w *window) mark(counter uint64) {
	if counter > w.last {
		from, to := w.last/64, counter/64
		for word := from + 1; word <= min(to, from+uint64(len(w.seen))); word++ {
			w.seen[word%uint64(len(w.seen))] = 0
		}
		w.last = counter
	}
	w.seen[counter/64%uint64(len(w.seen))] |= 1 << (counter % 64)
}
