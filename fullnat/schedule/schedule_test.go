package schedule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// every is each scheduler with no flags and with all of its flags.
func every() (names []string) {
	for _, name := range Names() {
		names = append(names, name)
		if flags := Flags(name); len(flags) > 0 {
			names = append(names, name+" "+strings.Join(flags, " "))
		}
	}
	return names
}

func TestNames(t *testing.T) {
	want := strings.Fields("dh fo lblc lblcr lc mh nq ovf rr sed sh twos wlc wrr")
	if got := Names(); !slices.Equal(got, want) {
		t.Errorf("Names() = %v, want %v", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	one := []Member{{Name: "a", Weight: 1}}
	tests := []struct {
		scheduler string
		members   []Member
		want      string
	}{
		{"wr", one, `scheduler "wr": unknown; there are dh fo lblc lblcr lc mh nq ovf rr sed sh twos wlc wrr`},
		{"", one, `scheduler "": unknown; there are dh fo lblc lblcr lc mh nq ovf rr sed sh twos wlc wrr`},
		{"rr sh-port", one, `scheduler rr: flag "sh-port": unknown; it takes none`},
		{"mh sh-port", one, `scheduler mh: flag "sh-port": unknown; it takes mh-fallback, mh-port`},
		{"rr", []Member{{Name: "a", Weight: -1}}, `scheduler rr: member a: weight -1 is not between 0 and 65535`},
		{"rr", []Member{{Name: "a", Weight: 65536}}, `scheduler rr: member a: weight 65536 is not between 0 and 65535`},
		{"rr", append(one, one...), `scheduler rr: member a: listed twice`},
		{"rr", make([]Member, 65536), `scheduler rr: 65536 members: at most 65535`},
	}
	for _, tt := range tests {
		name, flags, _ := strings.Cut(tt.scheduler, " ")
		_, err := New(name, strings.Fields(flags), tt.members, nil)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q: %v, want %s", tt.scheduler, err, tt.want)
		}
	}
}

// Whatever the members: who may not get a connection gets none, and only a
// hashing scheduler without fallback, or ovf, refuses while somebody may.
func TestPickIsEligible(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(rt, "n")
		members, some := make([]Member, n), false
		for i, load := range NewLoads(n) {
			members[i] = Member{
				Name:     fmt.Sprint("m", i),
				Weight:   rapid.IntRange(0, 4).Draw(rt, "weight"),
				Eligible: rapid.Bool().Draw(rt, "eligible"),
				Load:     load,
			}
			load.Cell(0).Set(rapid.Uint32Range(0, 9).Draw(rt, "active"), rapid.Uint32Range(0, 999).Draw(rt, "inactive"))
			some = some || members[i].eligible()
		}
		for _, name := range every() {
			if strings.HasPrefix(name, "mh") && n > 4 {
				continue // a table each would take all the time
			}
			s := build(t, name, members, nil)
			mayRefuse := slices.Contains([]string{"dh", "sh", "mh", "ovf"}, name)
			for c := range 8 {
				switch i := s.Pick(client(c)); {
				case i < -1 || i >= n:
					rt.Fatalf("%s: picked %d of %d", name, i, n)
				case i >= 0 && !members[i].eligible():
					rt.Fatalf("%s: picked %s, which may not", name, members[i].Name)
				case i < 0 && some && !mayRefuse:
					rt.Fatalf("%s: refused though somebody may", name)
				}
			}
		}
	})
}

func TestPickAllocatesNothing(t *testing.T) {
	members := fleet(20)
	members[3].Eligible = false
	for _, name := range every() {
		s, k := build(t, name, members, nil), client(0)
		next := func() {
			k.Client[15]++
			k.VIP[15]++
			s.Pick(k)
		}
		if n := testing.AllocsPerRun(1000, next); n != 0 {
			t.Errorf("%s: a pick allocates %v times, want 0", name, n)
		}
	}
}

// Workers pick and store loads while the control plane builds one scheduler
// after another on the same state: run with -race.
func TestPickWhileRebuilding(t *testing.T) {
	for _, name := range every() {
		t.Run(name, func(t *testing.T) {
			members, state := fleet(16), new(State)
			var current atomic.Pointer[Scheduler]
			publish := func() {
				s := build(t, name, members, state)
				current.Store(&s)
			}
			publish()
			var stop atomic.Bool
			var wg sync.WaitGroup
			for worker := range 4 {
				wg.Go(func() {
					counts := make([]uint32, 16)
					for n := 0; !stop.Load(); n++ {
						k := client(n % 64)
						k.VIP[15] = byte(n)
						if at := (*current.Load()).Pick(k); at >= 0 {
							counts[at]++
							members[at].Load.Cell(worker).Set(counts[at], 1)
						}
					}
				})
			}
			for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
				changed := slices.Clone(members)
				for i := range changed {
					changed[i].Weight, changed[i].Eligible = 1+rand.IntN(5), rand.IntN(4) > 0
				}
				s := build(t, name, changed, state)
				current.Store(&s)
			}
			publish()
			stop.Store(true)
			wg.Wait()
		})
	}
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 100} {
		members := fleet(n)
		for worker := range 8 { // as eight workers would leave the loads
			for i := range members {
				members[i].Weight = 1 + i%3
				members[i].Load.Cell(worker).Set(uint32(i*worker), uint32(i))
			}
		}
		for _, name := range every() {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(name, " ", "+"), n), func(b *testing.B) {
				s, k := build(b, name, members, nil), client(0)
				for i := 0; b.Loop(); i++ {
					k.Client[15], k.ClientPort = byte(i), uint16(i)
					s.Pick(k)
				}
			})
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{3, 100} {
		members := fleet(n)
		for i := range members {
			members[i].Weight = 97 + i
		}
		for _, name := range Names() {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					build(b, name, members, nil)
				}
			})
		}
	}
}
