package seal

import (
	"testing"

	"pgregory.net/rapid"
)

func TestWindow(t *testing.T) {
	tests := []struct {
		counter uint64
		fresh   bool
	}{
		{0, false}, {1, true}, {1, false}, {3, true}, {2, true}, {3, false},
		{64, true}, {63, true}, {5000, true}, {64, false},
		{5000 - windowSize, false}, {5001 - windowSize, true}, {5001 - windowSize, false},
		{1 << 40, true}, {5000, false}, {1<<40 - 1, true},
	}
	var w window
	for _, tt := range tests {
		if got := w.fresh(tt.counter); got != tt.fresh {
			t.Fatalf("%d is fresh: %v, want %v", tt.counter, got, tt.fresh)
		}
		if tt.fresh {
			w.mark(tt.counter)
		}
	}
}

// A window is a set of all counters seen, but for those it has left behind.
func TestWindowModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		seen, last := map[uint64]bool{}, uint64(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			n := uint64(max(1, int64(last)+rapid.Int64Range(-windowSize-70, windowSize+70).Draw(t, "step")))
			want := !seen[n] && (n > last || last-n < windowSize)
			if got := w.fresh(n); got != want {
				t.Fatalf("%d after %d is fresh: %v, want %v", n, last, got, want)
			}
			if want {
				w.mark(n)
				seen[n], last = true, max(last, n)
			}
		}
	})
}
