package schedule

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The tables hold who they should, and dead ones keep their place.
func TestBuckets(t *testing.T) {
	tests := []struct {
		name, scheduler, members string
		want                     []int // buckets, by position
	}{
		{"dh goes round", "dh", "a=1 b=1 c=1", []int{86, 85, 85}},
		{"whatever the weight", "dh", "a=9 b=1 c=0", []int{128, 128, 0}},
		{"sh deals by weight", "sh", "a=3 b=2 c=1", []int{128, 86, 42}},
		{"however large", "sh", "a=300 b=200 c=100", []int{128, 86, 42}},
		{"who may not keeps its buckets", "sh", "a=3 !b=2 c=1", []int{128, 86, 42}},
		{"none for weight 0", "sh", "a=3 b=0 c=1", []int{192, 0, 64}},
		{"nobody", "sh", "", nil},
	}
	for _, tt := range tests {
		members := cast(t, tt.members)
		s := build(t, tt.scheduler, members, nil).(*hashed)
		var got []int
		for range members {
			got = append(got, 0)
		}
		for _, rank := range s.table {
			got[s.members[rank]]++
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// What each of them hashes: a connection that differs in nothing else goes to
// the same member.
func TestHashedBy(t *testing.T) {
	tests := []struct {
		scheduler          string
		vip, address, port bool
	}{
		{"dh", true, false, false},
		{"sh", false, true, false},
		{"sh sh-port", false, true, true},
		{"mh", false, true, false},
		{"mh mh-port", false, true, true},
	}
	for _, tt := range tests {
		members := cast(t, "a=1 b=1 c=1 d=1")
		s := build(t, tt.scheduler, members, nil)
		moves := func(change func(k *Key, n int)) bool {
			at := s.Pick(client(0))
			for n := range 64 {
				k := client(0)
				change(k, n)
				if s.Pick(k) != at {
					return true
				}
			}
			return false
		}
		if got := moves(func(k *Key, n int) { k.VIP[15] = byte(n) }); got != tt.vip {
			t.Errorf("%s: the vip matters: %v, want %v", tt.scheduler, got, tt.vip)
		}
		if got := moves(func(k *Key, n int) { k.Client[15] = byte(n) }); got != tt.address {
			t.Errorf("%s: the client's address matters: %v, want %v", tt.scheduler, got, tt.address)
		}
		if got := moves(func(k *Key, n int) { k.ClientPort = uint16(n) }); got != tt.port {
			t.Errorf("%s: the client's port matters: %v, want %v", tt.scheduler, got, tt.port)
		}
		if moves(func(k *Key, n int) { k.Protocol, k.VIPPort = uint8(n), uint16(n) }) {
			t.Errorf("%s: the service matters", tt.scheduler)
		}
	}
}

// Many clients come to lie by weight. With 60000 of them three standard
// deviations are 370.
func TestHashedShares(t *testing.T) {
	for _, scheduler := range []string{"sh", "sh sh-port", "mh", "mh mh-port"} {
		members := cast(t, "a=3 b=2 c=1")
		got := shares(build(t, scheduler, members, nil), members, 60000)
		for name, want := range map[string]int{"a": 30000, "b": 20000, "c": 10000} {
			if d := got[name] - want; d > 600 || d < -600 {
				t.Errorf("%s: %v, want 3:2:1", scheduler, got)
			}
		}
	}
}

// A member that may not have them: its clients are refused, or fall to all the
// others by weight, always to the same one; nobody else's notice.
func TestFallback(t *testing.T) {
	for _, scheduler := range []string{"sh", "mh"} {
		before := cast(t, "a=1 b=1 c=1 d=1")
		after := cast(t, "a=1 b=1 !c=1 d=1")
		old := build(t, scheduler, before, nil)
		strict := build(t, scheduler, after, nil)
		falling := build(t, scheduler+" "+scheduler+"-fallback", after, nil)
		fell := make(map[string]int)
		for n := range 8000 {
			k := client(n)
			want := nameOf(before, old.Pick(k))
			gotStrict, gotFalling := nameOf(after, strict.Pick(k)), nameOf(after, falling.Pick(k))
			if want != "c" {
				if gotStrict != want || gotFalling != want {
					t.Fatalf("%s: a client of %s moved to %s, %s", scheduler, want, gotStrict, gotFalling)
				}
				continue
			}
			if gotStrict != "-" {
				t.Fatalf("%s: a client of c was not refused but sent to %s", scheduler, gotStrict)
			}
			if again := nameOf(after, falling.Pick(k)); again != gotFalling {
				t.Fatalf("%s: a client fell to %s, then to %s", scheduler, gotFalling, again)
			}
			fell[gotFalling]++
		}
		for _, name := range []string{"a", "b", "d"} {
			if n := fell[name]; n < 500 || n > 850 {
				t.Errorf("%s: 2000 fell %v, want a third each", scheduler, fell)
			}
		}
	}
}

// One left of a hundred gets everybody, and when none is, nobody is served.
func TestFallbackToTheLast(t *testing.T) {
	for _, scheduler := range []string{"sh sh-fallback", "mh mh-fallback"} {
		members := cast(t, strings.Repeat("!x=1 ", 100))
		for i := range members {
			members[i].Name += string(rune('0' + i))
		}
		if got := shares(build(t, scheduler, members, nil), members, 1000); got["-"] != 1000 {
			t.Errorf("%s: nobody is left: %v", scheduler, got)
		}
		members[42].Eligible = true
		if got := shares(build(t, scheduler, members, nil), members, 1000); got[members[42].Name] != 1000 {
			t.Errorf("%s: one is left: %v", scheduler, got)
		}
	}
}

// Directors list members in any order and still agree.
func TestHashedWhateverTheOrder(t *testing.T) {
	for _, scheduler := range []string{"dh", "sh", "sh sh-fallback", "mh", "mh mh-fallback"} {
		members := cast(t, "10.0.0.11:80=3 10.0.0.12:80=2 !10.0.0.13:80=7 [2001:db8::1]:80=1")
		here := build(t, scheduler, members, nil)
		rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		there := build(t, scheduler, members, nil)
		original := cast(t, "10.0.0.11:80=3 10.0.0.12:80=2 !10.0.0.13:80=7 [2001:db8::1]:80=1")
		for n := range 1000 {
			if h, th := nameOf(original, here.Pick(client(n))), nameOf(members, there.Pick(client(n))); h != th {
				t.Fatalf("%s: client %d: %s here, %s there", scheduler, n, h, th)
			}
		}
	}
}

// These are what every director of every version must answer; if this test
// fails, a fleet with both versions in it sends a client to two servers.
func TestHashedForEver(t *testing.T) {
	tests := []struct{ scheduler, want string }{
		{"dh", "e e e e e e e e e e e e e e e e"},
		{"sh", "a b a b a a - a b a - a b - - b"},
		{"sh sh-port", "a e a a e a e b - - a a c - b e"},
		{"sh sh-fallback", "a b a b a a b a b a c a b a e b"},
		{"mh", "e c e - c a e b b - b - e c - c"},
		{"mh mh-port", "e e b e e b b a e - a a a - e a"},
		{"mh mh-fallback", "e c e a c a e b b c b e e c c c"},
	}
	for _, tt := range tests {
		members := cast(t, "a=3 b=2 c=1 !d=2 e=2")
		if got := picked(build(t, tt.scheduler, members, nil), members, 16); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.scheduler, got, tt.want)
		}
	}
}
