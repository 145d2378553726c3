package replica

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleetlb/session"
)

// rosterOf is the fleet as one of its members sees it.
func rosterOf(self session.NodeID, replicas int, ids []session.NodeID, syncing ...session.NodeID) *roster {
	var seats []*seat
	for _, id := range ids {
		if id != self {
			o := session.Owner{ID: id, Epoch: 1}
			m := member(o)
			m.Serving = !slices.Contains(syncing, id)
			seats = append(seats, &seat{m, &peer{owner: o}})
		}
	}
	return newRoster(session.Owner{ID: self, Epoch: 1}, replicas, map[session.NodeID][]netip.Prefix{}, seats)
}

func names(n int) (ids []session.NodeID) {
	for i := range n {
		ids = append(ids, session.NodeIDOf(fmt.Sprintf("lb%d", i+1)))
	}
	return ids
}

// keepersOf lists who keeps what as one member sees it.
func keepersOf(r *roster, home session.NodeID) (all [session.Slots][]session.NodeID) {
	for slot := range all {
		for k := range r.keepers(uint8(slot), home) {
			all[slot] = append(all[slot], k.id)
		}
		slices.Sort(all[slot])
	}
	return all
}

func TestKeepers(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 16, 64} {
		ids := names(n)
		gone := session.NodeIDOf("gone")
		first := rosterOf(ids[0], 2, ids)
		for _, home := range append(slices.Clone(ids), gone) {
			copies := min(2, n-1)
			if home == gone {
				copies = min(3, n)
			}
			for slot, keepers := range keepersOf(first, home) {
				if len(keepers) != copies || slices.Contains(keepers, home) {
					t.Fatalf("of %d directors, %v keep slot %d of %v; want %d, and not itself", n, keepers, slot, home, copies)
				}
			}
		}
		for _, other := range ids {
			r := rosterOf(other, 2, ids)
			if !cmp.Equal(keepersOf(r, ids[0]), keepersOf(first, ids[0])) || !cmp.Equal(keepersOf(r, gone), keepersOf(first, gone)) {
				t.Fatalf("two of %d directors do not agree", n)
			}
			_, whole := r.holds()
			if n <= 3 && whole.len() != session.Slots {
				t.Errorf("of %d directors, one keeps %d slots whole; want all", n, whole.len())
			}
			for slot := range whole.all() {
				for _, home := range append(slices.Clone(ids), gone) {
					if home != other && !r.keeps(other, home, slot) {
						t.Fatalf("a director keeps slot %d whole, but not the sessions of %v", slot, home)
					}
				}
			}
		}
	}
}

// A member that comes or goes moves its own share and no more.
func TestMovement(t *testing.T) {
	for _, n := range []int{4, 8, 16, 32, 64} {
		var moved, ideal float64
		for trial := range 20 { // different names, for one fleet's share is a sample of 256 slots
			var ids []session.NodeID
			for i := range n + 1 {
				ids = append(ids, session.NodeIDOf(fmt.Sprintf("lb%d-%d", trial, i)))
			}
			home := session.NodeIDOf("gone") // so that all are equal
			before, after := keepersOf(rosterOf(ids[0], 1, ids[:n]), home), keepersOf(rosterOf(ids[0], 1, ids), home)
			for slot := range after {
				for _, k := range after[slot] {
					if !slices.Contains(before[slot], k) {
						moved++
						if k != ids[n] {
							t.Fatalf("slot %d moved to a director that was there before", slot)
						}
					}
				}
			}
			ideal += 2 * session.Slots / float64(n+1)
		}
		if d := math.Abs(moved/ideal - 1); d > 0.1 {
			t.Errorf("the director that joins %d others takes over %.0f slots, %.0f%% off the ideal %.0f", n, moved, 100*d, ideal)
		}
	}
}

// One that still fetches what it keeps takes nobody's place.
func TestKeepersSyncing(t *testing.T) {
	ids := names(5)
	home := ids[0]
	for slot := range session.Slots {
		all := keepersOf(rosterOf(home, 2, ids), home)[slot]
		some := keepersOf(rosterOf(home, 2, ids, ids[1]), home)[slot]
		if slices.Contains(all, ids[1]) {
			if len(some) != 3 || !slices.Contains(some, ids[1]) {
				t.Fatalf("slot %d: %v keep it while one of them syncs; want it and two others", slot, some)
			}
		} else if !slices.Equal(all, some) {
			t.Fatalf("slot %d: %v keep it, want %v", slot, some, all)
		}
	}
}

func TestRank(t *testing.T) {
	ids := names(7)
	key := BlockKey(netip.MustParsePrefix("10.2.1.0/28"))
	if key != BlockKey(netip.MustParsePrefix("10.2.1.3/28")) {
		t.Error("a block has two keys")
	}
	all := Rank(key, ids)
	for _, gone := range ids {
		without := slices.DeleteFunc(slices.Clone(ids), func(id session.NodeID) bool { return id == gone })
		want := slices.DeleteFunc(slices.Clone(all), func(id session.NodeID) bool { return id == gone })
		if got := Rank(key, without); !slices.Equal(got, want) {
			t.Errorf("without %v they rank %v, want %v", gone, got, want)
		}
	}
}
