package schedule

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestInterleave(t *testing.T) {
	tests := []struct {
		weights []int
		want    string
	}{
		{[]int{3, 2, 1}, "ababac"},
		{[]int{1, 1, 1}, "abc"},
		{[]int{5, 1}, "aaaaab"},
		{[]int{1, 5}, "bbbbab"},
		{[]int{1, 0, 1}, "ac"},
		{[]int{0}, ""},
		{nil, ""},
	}
	for _, tt := range tests {
		var got string
		for _, i := range interleave(tt.weights, sum(tt.weights)) {
			got += string(rune('a' + i))
		}
		if got != tt.want {
			t.Errorf("interleave(%v) = %s, want %s", tt.weights, got, tt.want)
		}
	}
}

// Every prefix of every sequence, of whatever length, keeps the quota.
func TestInterleaveKeepsQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 300), 1, 12).Draw(t, "weights")
		total := sum(weights)
		n := rapid.IntRange(0, 3*total).Draw(t, "n")
		had := make([]int, len(weights))
		for k, i := range interleave(weights, n) {
			had[i]++
			for i, w := range weights {
				if d := had[i]*total - (k+1)*w; d >= total || d <= -total {
					t.Fatalf("after %d turns of %v: %v", k+1, weights, had)
				}
			}
		}
	})
}

func TestReduce(t *testing.T) {
	tests := []struct {
		name    string
		weights []int
		limit   int
		want    []int
	}{
		{"by their common divisor", []int{300, 200, 100}, 100, []int{3, 2, 1}},
		{"those of no weight stay so", []int{4, 0, 2}, 100, []int{2, 0, 1}},
		{"to the limit", []int{65535, 32768}, 30, []int{20, 10}},
		{"never to nothing", []int{65535, 1}, 10, []int{10, 1}},
		{"nobody has weight", []int{0, 0}, 10, []int{0, 0}},
	}
	for _, tt := range tests {
		got, total := reduce(tt.weights, tt.limit)
		if !slices.Equal(got, tt.want) || total != sum(tt.want) {
			t.Errorf("%s: reduce(%v, %d) = %v, %d, want %v", tt.name, tt.weights, tt.limit, got, total, tt.want)
		}
	}
}
