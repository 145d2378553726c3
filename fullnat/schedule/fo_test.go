package schedule

import "testing"

func TestFO(t *testing.T) {
	tests := []struct{ name, members, want string }{
		{"the heaviest", "a=1 b=3:9999/0 c=2", "b"},
		{"the first of equals", "a=1 b=3 c=3", "b"},
		{"the next when it is down", "a=1 !b=3 c=2", "c"},
		{"nobody may", "!a=1 b=0", "-"},
	}
	for _, tt := range tests {
		members := cast(t, tt.members)
		if got := picked(build(t, "fo", members, nil), members, 1); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
