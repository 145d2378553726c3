package schedule

import (
	"sync"
	"testing"
)

func TestRR(t *testing.T) {
	tests := []struct{ name, members, want string }{
		{"each in turn, as listed", "b=1 a=1 c=1", "b a c b a c"},
		{"whatever the weight", "a=5 b=1", "a b a b a b"},
		{"who may not is stepped over", "a=1 !b=1 c=0 d=1", "a d a d a d"},
		{"nobody may", "!a=1 b=0", "- - - - - -"},
		{"nobody", "", "- - - - - -"},
	}
	for _, tt := range tests {
		members := cast(t, tt.members)
		if got := picked(build(t, "rr", members, nil), members, 6); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A rebuild goes on where the former scheduler was: a service whose snapshot
// changes with every connection would otherwise send all to its first server.
func TestTurnsOutliveRebuilds(t *testing.T) {
	for _, name := range []string{"rr", "wrr", "wlc"} {
		members := cast(t, "a=1 b=1 c=1")
		state := new(State)
		got := ""
		for range 6 {
			got += picked(build(t, name, members, state), members, 1)
		}
		if got != "abcabc" {
			t.Errorf("%s: %s, want abcabc", name, got)
		}
	}
}

// Eight workers together are as exact as one.
func TestTurnsAreExactAcrossWorkers(t *testing.T) {
	const workers, each = 8, 900
	for name, weights := range map[string][]int{"rr": {1, 1, 1}, "wrr": {3, 2, 1}} {
		members := cast(t, "a=3 b=2 c=1")
		s := build(t, name, members, nil)
		var counts [workers][3]int
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for range each {
					counts[w][s.Pick(nil)]++
				}
			})
		}
		wg.Wait()
		for i, weight := range weights {
			total := 0
			for w := range workers {
				total += counts[w][i]
			}
			if want := workers * each * weight / sum(weights); total != want {
				t.Errorf("%s: member %d was picked %d times, want %d", name, i, total, want)
			}
		}
	}
}
