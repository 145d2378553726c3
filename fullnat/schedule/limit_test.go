package schedule

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A threshold as its life: a load of so many sessions, and whether it is full.
func TestFull(t *testing.T) {
	tests := []struct {
		name         string
		upper, lower uint32
		life         string // sessions, ! when full
	}{
		{"no threshold", 0, 0, "0 5 1000000"},
		{"until three quarters are left", 8, 0, "7 8! 9! 8! 7! 6! 5 6 7 8!"},
		{"until there are fewer than lower", 8, 3, "7 8! 7! 3! 2 7 8!"},
		{"lower is upper", 4, 4, "3 4! 5! 4! 3 4!"},
		{"three quarters of one is none", 1, 0, "0 1! 0 1!"},
		{"more than a little room at once", 100, 10, "99 250! 9 99"},
	}
	for _, tt := range tests {
		load := NewLoads(1)[0]
		var got []string
		for _, word := range strings.Fields(tt.life) {
			var n uint32
			fmt.Sscan(strings.TrimSuffix(word, "!"), &n)
			load.Cell(0).Set(n/2, n/4) // active and inactive ones, of all workers
			load.Cell(1).Set(0, n-n/2-n/4)
			word = fmt.Sprint(n)
			if load.Full(tt.upper, tt.lower) {
				word += "!"
			}
			got = append(got, word)
		}
		if strings.Join(got, " ") != tt.life {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.life)
		}
	}
}

// What others have counts.
func TestFullElsewhere(t *testing.T) {
	load := NewLoads(1)[0]
	load.Cell(0).Set(1, 1)
	load.SetElsewhere(3, 2, 2)
	if load.Full(8, 0) || !load.Full(7, 0) {
		t.Error("two here and five elsewhere are not seven")
	}
	if a, i, others := load.Elsewhere(); a != 3 || i != 2 || others != 2 {
		t.Errorf("elsewhere %d, %d over %d", a, i, others)
	}
	load.SetElsewhere(3, 2, 0)
	if load.Full(7, 3) || load.Active() != 1 {
		t.Error("without others there is nobody to count")
	}
}

// Every scheduler lets a full member be, and goes back to it when there is room:
// among the others, or where its law is a hash to nobody unless it may fall back.
func TestFullGetsNothing(t *testing.T) {
	for _, name := range every() {
		members := cast(t, "a=2 b=2 c=2")
		for i := range members {
			members[i].Upper = 100
		}
		s := build(t, name, members, nil)
		refuses := slices.Contains([]string{"dh", "sh", "mh"}, name)
		sees := func(n int) (seen map[int]bool) {
			seen = make(map[int]bool)
			for c := range n {
				k := client(c)
				k.VIP[15] = byte(c) // many destinations
				seen[s.Pick(k)] = true
			}
			return seen
		}
		mine := -2
		for i := range sees(1) {
			mine = i
		}
		members[mine].Load.Cell(0).Set(0, 100)
		seen := sees(400)
		switch {
		case seen[mine]:
			t.Errorf("%s: %s is full and gets more", name, members[mine].Name)
		case seen[-1] != refuses:
			t.Errorf("%s: refuses: %v, want %v", name, seen[-1], refuses)
		}
		for i := range members {
			members[i].Load.Cell(0).Set(0, 100)
		}
		if seen := sees(100); len(seen) != 1 || !seen[-1] {
			t.Errorf("%s: all are full, and yet %v", name, seen)
		}
		members[mine].Load.Cell(0).Set(0, 10)
		if seen := sees(400); !seen[mine] {
			t.Errorf("%s: %s has room again and gets nothing: %v", name, members[mine].Name, seen)
		}
	}
}

// The turns of one that is full go to the others in their order.
func TestTurnsOfTheFull(t *testing.T) {
	members := cast(t, "a=3 b=2 c=1")
	members[0].Upper = 1
	members[0].Load.Cell(0).Set(1, 0)
	if got, want := picked(build(t, "rr", members, nil), members, 4), "b c b c"; got != want {
		t.Errorf("rr: %s, want %s", got, want)
	}
	counts := shares(build(t, "wrr", members, nil), members, 300)
	if counts["a"] != 0 || !withinOne([]int{counts["b"], counts["c"]}, 2, 1) {
		t.Errorf("wrr: %v", counts)
	}
	// The one with room has one turn in 16384.
	members = cast(t, "a=16383 b=1")
	members[0].Upper = 1
	members[0].Load.Cell(0).Set(1, 0)
	if got, want := picked(build(t, "wrr", members, nil), members, 3), "b b b"; got != want {
		t.Errorf("wrr: %s, want %s", got, want)
	}
}

// fo and ovf go on to the next heaviest.
func TestHeaviestIsFull(t *testing.T) {
	for _, name := range []string{"fo", "ovf"} {
		members := cast(t, "a=1 b=30 c=20")
		members[1].Upper = 2
		s := build(t, name, members, nil)
		if got := picked(s, members, 1); got != "b" {
			t.Errorf("%s: %s, want b", name, got)
		}
		members[1].Load.Cell(0).Set(1, 1)
		if got := picked(s, members, 1); got != "c" {
			t.Errorf("%s: %s, want c", name, got)
		}
	}
}
