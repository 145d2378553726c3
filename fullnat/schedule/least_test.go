package schedule

import (
	"slices"
	"testing"
)

// What the four least-connection laws make of the same loads.
func TestLeast(t *testing.T) {
	const tied = ""
	tests := []struct{ name, members, lc, wlc, sed, nq string }{
		{"fewest active",
			"a=1:3/0 b=1:2/0 c=1:4/0", "b", "b", "b", "b"},
		{"256 inactive weigh as one active, in lc and wlc",
			"a=1:1/0 b=1:0/255 c=1:0/257", "b", "b", tied, tied},
		{"and nothing in sed and nq",
			"a=1:1/0 b=1:2/0 c=1:1/999", "a", "a", tied, tied},
		{"weight divides, but not in lc",
			"a=1:2/0 b=4:4/0", "a", "b", "b", "b"},
		{"sed counts the newcomer: the fast one though busy",
			"a=1:0/0 b=4:2/0", "a", "a", "b", "a"},
		{"nq: someone idle before all else",
			"a=100:1/0 b=1:0/0 c=50:1/0", "b", "b", "a", "b"},
		{"nq: nobody idle is sed",
			"a=100:9/0 b=1:1/0 c=50:3/0", "b", "c", "c", "c"},
		{"who may not is not looked at",
			"!a=1:0/0 b=0:0/0 c=1:9/9", "c", "c", "c", "c"},
		{"nobody may",
			"!a=1:0/0 b=0:0/0", "-", "-", "-", "-"},
		{"no load is lost to large weights",
			"a=65535:4000000000/0 b=65534:4000000000/0", tied, "a", "a", "a"},
	}
	for _, tt := range tests {
		members := cast(t, tt.members)
		for name, want := range map[string]string{"lc": tt.lc, "wlc": tt.wlc, "sed": tt.sed, "nq": tt.nq} {
			state := new(State)
			for range members { // wherever the look begins
				s := build(t, name, members, state)
				if got := nameOf(members, s.Pick(nil)); got != want && want != tied {
					t.Errorf("%s: %s: %s, want %s", tt.name, name, got, want)
				}
			}
		}
	}
}

// Equals take turns, so that a quiet service does not live on its first server.
func TestLeastTiesRotate(t *testing.T) {
	for _, name := range []string{"lc", "wlc", "sed", "nq"} {
		members := cast(t, "a=2 b=2 c=2")
		if got := picked(build(t, name, members, nil), members, 6); got != "a b c a b c" {
			t.Errorf("%s: %s, want a b c a b c", name, got)
		}
	}
}

// Where connections stay, they come to lie by weight to within one.
func TestLeastShares(t *testing.T) {
	tests := []struct {
		name    string
		weights []int
	}{
		{"lc", []int{1, 1, 1}},
		{"wlc", []int{3, 2, 1}},
		{"sed", []int{3, 2, 1}},
		{"nq", []int{3, 2, 1}},
	}
	for _, tt := range tests {
		for _, n := range []int{6, 7, 100, 1000} {
			members := cast(t, "a=3 b=2 c=1")
			got := held(build(t, tt.name, members, nil), members, n)
			if !withinOne(got, tt.weights...) {
				t.Errorf("%s: %d held lie %v, want %v", tt.name, n, got, tt.weights)
			}
		}
	}
}

// Members nobody counts are idle, and take turns.
func TestLeastWithoutLoads(t *testing.T) {
	members := []Member{{Name: "a", Weight: 1, Eligible: true}, {Name: "b", Weight: 9, Eligible: true}}
	s := build(t, "wlc", members, nil)
	if got := []int{s.Pick(nil), s.Pick(nil)}; !slices.Equal(got, []int{0, 1}) {
		t.Errorf("picked %v, want 0 and 1", got)
	}
}
