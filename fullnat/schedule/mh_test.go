package schedule

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// fleet makes n members of weight 1.
func fleet(n int) []Member {
	members := make([]Member, n)
	for i, load := range NewLoads(n) {
		members[i] = Member{Name: fmt.Sprintf("10.3.%d.%d:8080", i/250, i%250+1), Weight: 1, Eligible: true, Load: load}
	}
	return members
}

// entries returns the name each entry of the table stands for.
func entries(t testing.TB, members []Member) []string {
	s := build(t, "mh", members, nil).(*hashed)
	names := make([]string, len(s.table))
	for i, rank := range s.table {
		names[i] = members[s.members[rank]].Name
	}
	return names
}

// Members of one weight have the same share to one entry. (The paper allows 1 %;
// whole rounds of turns do better.)
func TestMaglevIsEven(t *testing.T) {
	for _, n := range []int{1, 3, 100, 1000} {
		counts := make(map[string]int)
		for _, name := range entries(t, fleet(n)) {
			counts[name]++
		}
		for name, got := range counts {
			if got < maglevSize/n || got > maglevSize/n+1 {
				t.Errorf("%d members: %s has %d entries, want %d", n, name, got, maglevSize/n)
			}
		}
		if len(counts) != n {
			t.Errorf("%d members: %d are in the table", n, len(counts))
		}
	}
}

func TestMaglevWeights(t *testing.T) {
	members := cast(t, "a=3 b=2 c=1 d=0")
	counts := make(map[string]int)
	for _, name := range entries(t, members) {
		counts[name]++
	}
	if !withinOne([]int{counts["a"], counts["b"], counts["c"]}, 3, 2, 1) || counts["d"] != 0 {
		t.Errorf("3:2:1:0 have %v entries", counts)
	}
}

// Removing one of N moves its own 1/N and little beyond, and so it is with every
// change: an entry that neither was nor becomes the changed member's stays, but
// for less than one in a hundred.
func TestMaglevDisruption(t *testing.T) {
	changes := []struct {
		name   string
		change func(members []Member, at int) []Member
	}{
		{"one removed", func(m []Member, at int) []Member { return slices.Delete(m, at, at+1) }},
		{"one added", func(m []Member, at int) []Member {
			return append(m, Member{Name: fmt.Sprint("new ", at), Weight: 1, Eligible: true})
		}},
		{"one doubled", func(m []Member, at int) []Member { m[at].Weight = 2; return m }},
		{"one drained by weight 0", func(m []Member, at int) []Member { m[at].Weight = 0; return m }},
	}
	for _, tt := range changes {
		for _, n := range []int{3, 10, 100, 1000} {
			all := fleet(n)
			before := entries(t, all)
			worst := 0.0
			for at := range min(n, 5) {
				changed := tt.change(slices.Clone(all), at)
				name := all[at].Name
				if len(changed) > n {
					name = changed[n].Name
				}
				moved, stayed := 0, 0
				for i, after := range entries(t, changed) {
					switch {
					case before[i] == name || after == name:
					case before[i] == after:
						stayed++
					default:
						moved++
					}
				}
				worst = max(worst, float64(moved)/float64(moved+stayed))
			}
			t.Logf("%s of %d: at most %.2f %% of the others' entries move", tt.name, n, 100*worst)
			if worst > 0.01 {
				t.Errorf("%s of %d: %.2f %% of the others' entries move, want at most 1 %%", tt.name, n, 100*worst)
			}
		}
	}
}

// The table is made anew only when names or weights are others.
func TestMaglevIsReused(t *testing.T) {
	state := new(State)
	table := func(line string) *uint16 {
		return &build(t, "mh mh-fallback", cast(t, line), state).(*hashed).table[0]
	}
	first := table("a=2 b=1 c=1")
	tests := []struct {
		name, members string
		reused        bool
	}{
		{"somebody went down", "a=2 !b=1 c=1", true},
		{"the order is another", "c=1 a=2 b=1", true},
		{"the proportions are the same", "a=4 b=2 c=2", true},
		{"a weight is another", "a=3 b=1 c=1", false},
		{"a name is another", "a=2 b=1 d=1", false},
		{"somebody left", "a=2 b=1 c=0", false},
	}
	for _, tt := range tests {
		if got := table(tt.members) == first; got != tt.reused {
			t.Errorf("%s: reused %v, want %v", tt.name, got, tt.reused)
		}
		first = table("a=2 b=1 c=1")
	}
}

// The whole table, for ever: see TestHashedForEver.
func TestMaglevForEver(t *testing.T) {
	members := fleet(100)
	for i := range members {
		members[i].Weight = 1 + i%3
	}
	m := build(t, "mh", members, nil).(*hashed)
	bytes := make([]byte, 0, 2*maglevSize)
	for _, rank := range m.table {
		bytes = binary.BigEndian.AppendUint16(bytes, rank)
	}
	if got, want := xxhash.Sum64(bytes), uint64(0x9b7c2cf709e5485b); got != want {
		t.Errorf("the table's hash is %#x, want %#x", got, want)
	}
}

func BenchmarkMaglevBuild(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			members := fleet(n)
			for b.Loop() {
				build(b, "mh", members, nil)
			}
		})
	}
}

func BenchmarkMaglevRebuild(b *testing.B) {
	members, state := fleet(100), new(State)
	for b.Loop() {
		build(b, "mh mh-fallback", members, state)
	}
}
