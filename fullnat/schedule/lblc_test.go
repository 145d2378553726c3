package schedule

import (
	"encoding/binary"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// destination makes the key of a connection to the nth of many VIPs.
func destination(n int) *Key {
	k := client(0)
	binary.BigEndian.PutUint32(k.VIP[12:], 203<<24+113<<8+uint32(n))
	return k
}

// A stage is a conversation with a locality scheduler; each line does one thing.
//
//	3 a          destination 3 goes to a ("-": is refused)
//	load a=9/2   a has 9 active sessions and 2 inactive
//	wait 10m     time goes by
//	cast …       other members, on the same state
func stage(t *testing.T, scheduler, line, script string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		state := new(State)
		members := cast(t, line)
		s := build(t, scheduler, members, state)
		for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
			verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch verb {
			case "load":
				name, counts, _ := strings.Cut(rest, "=")
				loaded := cast(t, name+"=1:"+counts)[0].Load
				for _, m := range members {
					if m.Name == name {
						m.Load.Cell(0).Set(uint32(loaded.Active()), uint32(loaded.Inactive()))
					}
				}
			case "wait":
				d, err := time.ParseDuration(rest)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(d)
			case "cast":
				members = cast(t, rest)
				s = build(t, scheduler, members, state)
			default:
				n := int(verb[0] - '0')
				if got := nameOf(members, s.Pick(destination(n))); got != rest {
					t.Errorf("%s: %q: went to %s", scheduler, strings.TrimSpace(line), got)
				}
			}
		}
	})
}

func TestLBLC(t *testing.T) {
	tests := []struct{ name, members, script string }{
		{"a destination keeps its server", "a=5 b=5", `
			1 a
			2 b
			1 a
			2 b
			2 b`},
		{"busy is not overloaded while nobody is at half his weight", "a=5 b=5", `
			1 a
			load a=6/0
			load b=3/0
			1 a`},
		{"overloaded, and somebody has room: it moves for good", "a=5 b=5", `
			1 a
			load a=6/0
			load b=2/0
			1 b
			load b=5/0
			load a=0/0
			1 b`},
		{"a server that may not loses its destinations", "a=5 b=5", `
			1 a
			cast !a=5 b=5
			1 b
			cast a=5 b=5
			1 b`},
		{"a rebuild moves nobody, whatever the order", "a=5 b=5 c=5", `
			1 a
			2 b
			3 c
			cast c=5 b=5 a=5
			3 c
			2 b
			1 a`},
		{"who takes a place in the list takes none of its destinations", "a=5:9/0 b=5:0/0", `
			1 b
			cast a=5:0/0 x=5:4/0
			1 a`},
		{"seen once a day it stays", "a=5 b=5", `
			1 a
			load a=3/0
			wait 23h
			1 a
			wait 23h
			1 a`},
		{"unseen for a day it is forgotten", "a=5 b=5", `
			1 a
			load a=3/0
			wait 24h
			1 b`},
		{"nobody may", "!a=1 b=0", "1 -"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { stage(t, "lblc", tt.members, tt.script) })
	}
}

func TestLBLCR(t *testing.T) {
	tests := []struct{ name, members, script string }{
		{"a destination keeps its server", "a=5 b=5", `
			1 a
			2 b
			1 a`},
		{"overloaded: another joins, and the lighter of the set is taken", "a=5 b=5", `
			1 a
			load a=6/0
			load b=2/0
			1 b
			load b=7/0
			1 a
			load a=8/0
			1 b`},
		{"the set has four places; the most loaded makes room", "a=1 b=1 c=1 d=1 e=2", `
			1 a
			load a=9/0
			1 b
			load b=8/0
			1 c
			load c=7/0
			1 d
			load d=6/0
			1 e
			load e=20/0
			1 d
			load a=0/0
			1 a`},
		{"a set unchanged for a day loses its most loaded", "a=5 b=5", `
			1 a
			load a=6/0
			1 b
			load b=3/0
			wait 12h
			1 b
			wait 12h
			1 b
			load a=0/0
			1 b`},
		{"one that changed keeps it", "a=5 b=5", `
			1 a
			load a=6/0
			1 b
			load b=3/0
			wait 12h
			1 b
			load a=0/0
			1 a`},
		{"the others of the set take over from one that may not", "a=5 b=5 c=5", `
			1 a
			load a=6/0
			1 b
			load a=5/0
			load b=4/0
			cast a=5:5/0 !b=5 c=5:0/0
			1 a`},
		{"nobody may", "!a=1 b=0", "1 -"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { stage(t, "lblcr", tt.members, tt.script) })
	}
}

// The memory is bounded: a flood of destinations costs none, and the ones that
// are seen all the time stay.
func TestPlacesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		members := cast(t, "a=5 b=5 c=5")
		state := new(State)
		s := build(t, "lblc", members, state)
		popular := s.Pick(destination(0))
		for n := range 8 * placeSets * placeWays {
			s.Pick(destination(n + 1))
			if n%1000 == 0 {
				time.Sleep(time.Minute)
				if got := s.Pick(destination(0)); got != popular {
					t.Fatalf("after %d other destinations the popular one moved", n)
				}
			}
		}
		used := 0
		for i := range state.places.sets {
			for j := range state.places.sets[i] {
				if state.places.sets[i][j].tag.Load() != 0 {
					used++
				}
			}
		}
		if used != placeSets*placeWays {
			t.Errorf("%d places are used, want all %d", used, placeSets*placeWays)
		}
	})
}

// Clocks of workers differ by a minute for a moment; nothing is forgotten for it.
func TestSince(t *testing.T) {
	tests := []struct {
		then, now uint16
		want      int
	}{{5, 5, 0}, {5, 9, 4}, {6, 5, 0}, {65535, 2, 3}, {0, 65535, 0}}
	for _, tt := range tests {
		if got := since(tt.then, tt.now); got != tt.want {
			t.Errorf("since(%d, %d) = %d, want %d", tt.then, tt.now, got, tt.want)
		}
	}
}

// Ids are dense and stable, and used again.
func TestNumber(t *testing.T) {
	p := &places{ids: make(map[string]uint16)}
	tests := []struct {
		members string
		want    []uint16
	}{
		{"a=1 b=1 c=1", []uint16{0, 1, 2}},
		{"c=1 a=1", []uint16{2, 0}},
		{"d=1 c=1 a=1 e=1", []uint16{1, 2, 0, 3}},
		{"", []uint16{}},
		{"f=1", []uint16{0}},
	}
	for _, tt := range tests {
		got := p.number(cast(t, tt.members))
		for i, want := range tt.want {
			if got[i] != want {
				t.Errorf("%q is numbered %v, want %v", tt.members, got, tt.want)
			}
		}
	}
}
