package schedule

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

// cast reads members from "a=3 b=2 !c=1": name=weight, ! for not eligible. A
// count of sessions may follow: "a=3:5/2" has 5 active ones and 2 inactive.
func cast(t testing.TB, line string) []Member {
	t.Helper()
	words := strings.Fields(line)
	members := make([]Member, len(words))
	for i, load := range NewLoads(len(words)) {
		word, down := strings.CutPrefix(words[i], "!")
		name, weight, _ := strings.Cut(word, "=")
		weight, counts, _ := strings.Cut(weight, ":")
		n, err := strconv.Atoi(weight)
		if err != nil {
			t.Fatalf("member %q: %v", words[i], err)
		}
		if counts != "" {
			var active, inactive uint32
			if _, err := fmt.Sscanf(counts, "%d/%d", &active, &inactive); err != nil {
				t.Fatalf("member %q: %v", words[i], err)
			}
			load.Cell(0).Set(active, inactive)
		}
		members[i] = Member{Name: name, Weight: n, Eligible: !down, Load: load}
	}
	return members
}

// build is New for those who know what they want.
func build(t testing.TB, scheduler string, members []Member, state *State) Scheduler {
	t.Helper()
	words := strings.Fields(scheduler)
	s, err := New(words[0], words[1:], members, state)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// client makes the key of the nth of many clients, one address each.
func client(n int) *Key {
	k := &Key{ClientPort: 4711, VIP: address("203.0.113.10"), VIPPort: 80, Protocol: 6, Client: address("198.18.0.0")}
	binary.BigEndian.PutUint32(k.Client[12:], 198<<24+18<<16+uint32(n))
	return k
}

func address(s string) [16]byte { return netip.MustParseAddr(s).As16() }

// picked writes the names of n picks for clients 0 to n-1; "-" is a refusal.
func picked(s Scheduler, members []Member, n int) string {
	var names []string
	for i := range n {
		names = append(names, nameOf(members, s.Pick(client(i))))
	}
	return strings.Join(names, " ")
}

func nameOf(members []Member, i int) string {
	if i < 0 {
		return "-"
	}
	return members[i].Name
}

// held picks n times, and each connection stays; it returns who has how many.
func held(s Scheduler, members []Member, n int) []int {
	counts := make([]int, len(members))
	for i := range n {
		at := s.Pick(client(i))
		counts[at]++
		members[at].Load.Cell(0).Set(uint32(counts[at]), 0)
	}
	return counts
}

// shares counts the picks of n clients, one address each.
func shares(s Scheduler, members []Member, n int) map[string]int {
	counts := make(map[string]int)
	for i := range n {
		counts[nameOf(members, s.Pick(client(i)))]++
	}
	return counts
}

// withinOne says whether counts are each within one of their weight's share.
func withinOne(counts []int, weights ...int) bool {
	n, total := sum(counts), sum(weights)
	for i, w := range weights {
		if d := counts[i]*total - n*w; d > total || d < -total {
			return false
		}
	}
	return true
}
