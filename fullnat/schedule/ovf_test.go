package schedule

import "testing"

func TestOVF(t *testing.T) {
	tests := []struct{ name, members, want string }{
		{"the heaviest while it has room", "a=2 b=5:4/0 c=3", "b"},
		{"up to its weight and one more, as IPVS counts", "a=2 b=5:5/0 c=3", "b"},
		{"then the next", "a=2 b=5:6/0 c=3:3/0", "c"},
		{"and the next", "a=2:0/0 b=5:6/0 c=3:4/0", "a"},
		{"closing sessions take no room", "a=2 b=5:0/999", "b"},
		{"the first of equals", "a=3 b=3", "a"},
		{"all full", "a=2:3/0 b=5:6/0", "-"},
		{"room at a server that is down is none", "a=2:3/0 !b=5:0/0", "-"},
	}
	for _, tt := range tests {
		members := cast(t, tt.members)
		if got := picked(build(t, "ovf", members, nil), members, 1); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
