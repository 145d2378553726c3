package schedule

import (
	"slices"
	"testing"
)

// Over all pairs of draws each member comes up by its weight, and the better of
// two wins: of 36 pairs at 3:2:1, 9 are both a, 16 more have a in them.
func TestTwosOverAllDraws(t *testing.T) {
	tests := []struct {
		name, members string
		want          []int
	}{
		{"a is least loaded, then b", "a=3:0/0 b=2:1/0 c=1:1/0", []int{27, 8, 1}},
		{"c is, then b", "a=3:9/0 b=2:2/0 c=1:0/0", []int{9, 16, 11}},
		{"for its weight: c has fewest, and most", "a=3:4/0 b=2:3/0 c=1:2/0", []int{27, 8, 1}},
		{"who may not is never drawn", "a=3:9/0 !b=2 c=1:0/0", []int{9, 0, 7}},
	}
	for _, tt := range tests {
		s := build(t, "twos", cast(t, tt.members), nil).(*twos)
		total := s.upTo[len(s.upTo)-1]
		counts := make([]int, 3)
		for x := range total {
			for y := range total {
				counts[s.of(x, y)]++
			}
		}
		if !slices.Equal(counts, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, counts, tt.want)
		}
	}
}

// Two choices keep what is held close to the weights: the gap to the fullest is
// of the order log log n, not √n.
func TestTwosShares(t *testing.T) {
	members := cast(t, "a=3 b=2 c=1")
	got := held(build(t, "twos", members, nil), members, 6000)
	for i, want := range []int{3000, 2000, 1000} {
		if d := got[i] - want; d > 30 || d < -30 {
			t.Errorf("6000 held lie %v, want 3:2:1", got)
		}
	}
}

func TestTwosNobody(t *testing.T) {
	members := cast(t, "!a=1 b=0")
	if got := picked(build(t, "twos", members, nil), members, 1); got != "-" {
		t.Errorf("picked %s, want a refusal", got)
	}
}
