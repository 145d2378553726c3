package node

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"fleetlb/session"
)

// A party is directors on one LAN, as each sees the others.
type party struct {
	names    []string
	holding  map[string]map[netip.Addr]bool
	handBack bool
}

// round lets every living director decide once, one after the other, and returns
// who holds each VIP.
func (p *party) round(t *testing.T, services string, living ...string) map[netip.Addr]string {
	t.Helper()
	for range 3 { // what one decides the next hears
		for _, self := range living {
			in := sound(several(t, services), "11 up, 12 up")
			in.self, in.handBack, in.holding = session.NodeIDOf(self), p.handBack, p.holding[self]
			in.locals = []netip.Prefix{blockOf(self)}
			in.offers = map[session.NodeID]map[netip.Addr]bool{}
			for _, other := range p.names {
				if other == self {
					continue
				}
				m := member(other, blockOf(other).String())
				m.Alive = slices.Contains(living, other)
				in.others = append(in.others, m)
				if offers := p.holding[other]; offers != nil {
					in.offers[m.ID] = offersIn(encode(offers))
				}
			}
			p.holding[self] = newPlan(in).held
		}
	}
	holders := map[netip.Addr]string{}
	for _, self := range living {
		for vip, held := range p.holding[self] {
			if !held {
				continue
			}
			if other := holders[vip]; other != "" {
				t.Errorf("%s is held by %s and by %s", vip, other, self)
			}
			holders[vip] = self
		}
	}
	return holders
}

func encode(offers map[netip.Addr]bool) (b []byte) {
	for vip, held := range offers {
		b = appendOffer(b, vip, held)
	}
	return b
}

func blockOf(name string) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, name[len(name)-1] - '0', 0}), 28)
}

// TestHold: each VIP is held by one director, whoever comes and goes; those of a
// director that dies go to others, those of the others stay.
func TestHold(t *testing.T) {
	services := ""
	for i := range 24 {
		services += fmt.Sprintf("s%d 203.0.113.%d:80 > 11 12\n", i, i+1)
	}
	for _, handBack := range []bool{true, false} {
		p := &party{names: []string{"lb1", "lb2", "lb3"}, holding: map[string]map[netip.Addr]bool{}, handBack: handBack}
		all := p.round(t, services, "lb1", "lb2", "lb3")
		count := map[string]int{}
		for _, self := range all {
			count[self]++
		}
		if len(all) != 24 {
			t.Fatalf("%d of 24 VIPs are held", len(all))
		}
		if handBack && (len(count) != 3 || count["lb1"] > 16 || count["lb2"] > 16 || count["lb3"] > 16) {
			t.Errorf("they are not spread: %v", count)
		}
		without := p.round(t, services, "lb1", "lb3")
		for vip, self := range all {
			if without[vip] == "" || self != "lb2" && without[vip] != self {
				t.Errorf("%s was held by %s and, without lb2, is by %q", vip, self, without[vip])
			}
		}
		delete(p.holding, "lb2") // it has forgotten
		again := p.round(t, services, "lb1", "lb2", "lb3")
		for vip := range all {
			want := without[vip]
			if handBack {
				want = all[vip]
			}
			if again[vip] != want {
				t.Errorf("hand back %v: with lb2 again %s is held by %q, want %q", handBack, vip, again[vip], want)
			}
		}
	}
}

// TestInherit: the block of a director that is gone has one heir.
func TestInherit(t *testing.T) {
	heirs := 0
	for _, self := range []string{"lb1", "lb2"} {
		in := sound(several(t, web), "11 up")
		in.self, in.locals = session.NodeIDOf(self), []netip.Prefix{blockOf(self)}
		for _, other := range []string{"lb1", "lb2", "lb3!"} {
			if other != self {
				in.others = append(in.others, member(other, blockOf(other[:3]).String()))
			}
		}
		if l := newPlan(in).lan; slices.Equal(l.Inherited, []netip.Prefix{blockOf("lb3")}) {
			heirs++
		} else if l.Inherited != nil {
			t.Errorf("%s inherits %v", self, l.Inherited)
		}
		in.held = true
		if l := newPlan(in).lan; l.Inherited != nil || len(l.Elsewhere) != 1 {
			t.Errorf("%s, which may not serve yet, answers for %v and not for %v", self, l.Inherited, l.Elsewhere)
		}
	}
	if heirs != 1 {
		t.Errorf("%d heirs", heirs)
	}
	if l := newPlan(sound(several(t, web), "11 up")).lan; l != nil {
		t.Errorf("alone: %+v", l)
	}
}

// What another director says may be anything.
func FuzzOffers(f *testing.F) {
	f.Add(encode(map[netip.Addr]bool{netip.MustParseAddr("203.0.113.10"): true, netip.MustParseAddr("2001:db8::10"): false}))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		offers := offersIn(b)
		again := offersIn(encode(offers))
		if len(offers) > len(b)/offerSize || len(again) != len(offers) {
			t.Errorf("%d offers in %d bytes, %d of them understood again", len(offers), len(b), len(again))
		}
	})
}
