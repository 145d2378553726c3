package schedule

import "testing"

func TestWRR(t *testing.T) {
	tests := []struct{ name, members, want string }{
		{"3:2:1, spread", "a=3 b=2 c=1", "a b a b a c a b a b a c"},
		{"only proportions matter", "a=300 b=200 c=100", "a b a b a c a b a b a c"},
		{"of one weight: rr", "a=7 b=7", "a b a b a b a b a b a b"},
		{"who may not is left out", "a=3 !b=2 c=1 d=0", "a a a c a a a c a a a c"},
		{"nobody may", "!a=1", "- - - - - - - - - - - -"},
	}
	for _, tt := range tests {
		members := cast(t, tt.members)
		if got := picked(build(t, "wrr", members, nil), members, 12); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestWRRShares(t *testing.T) {
	tests := []struct {
		name, members string
		picks         int
		want          map[string]int
	}{
		{"a thousand land 3:2:1", "a=3 b=2 c=1", 1000, map[string]int{"a": 500, "b": 333, "c": 167}},
		{"coprime weights are exact", "a=97 b=89 c=83", 269, map[string]int{"a": 97, "b": 89, "c": 83}},
		{"as long as the sequence may be", "a=16383 b=1", 16384, map[string]int{"a": 16383, "b": 1}},
		{"beyond it the light are not forgotten", "a=65535 b=1", 16385, map[string]int{"a": 16384, "b": 1}},
		{"and the heavy are right to 1 in 16384", "a=65535 b=65534", 32768, map[string]int{"a": 16384, "b": 16384}},
	}
	for _, tt := range tests {
		members := cast(t, tt.members)
		got := shares(build(t, "wrr", members, nil), members, tt.picks)
		for name, want := range tt.want {
			if d := got[name] - want; d > 1 || d < -1 {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
				break
			}
		}
	}
}

// From whatever turn on, no run strays by two connections or more.
func TestWRRRuns(t *testing.T) {
	members := cast(t, "a=3 b=2 c=1")
	for start := range 6 {
		state := new(State)
		state.cursor.Store(uint64(start))
		s := build(t, "wrr", members, state)
		var counts [3]int
		for n := range 1000 {
			counts[s.Pick(nil)]++
			if n == 999 && !withinOne(counts[:], 3, 2, 1) {
				t.Errorf("1000 from turn %d: %v", start, counts)
			}
		}
	}
}
