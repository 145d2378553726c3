package schedule

import (
	"fmt"
	"math"
	"testing"
)

// directors simulates a fleet: each has loads of its own for the same servers,
// and tell lets all of them know of each other.
type directors struct {
	loads      [][]*Load // by director and server
	counts     [][]uint32
	schedulers []Scheduler
}

func newDirectors(t *testing.T, n int, scheduler, line string) *directors {
	d := new(directors)
	for range n {
		members := cast(t, line)
		var loads []*Load
		counts := make([]uint32, len(members))
		for i := range members {
			loads = append(loads, members[i].Load)
			counts[i] = uint32(members[i].Load.Active())
		}
		d.loads, d.counts = append(d.loads, loads), append(d.counts, counts)
		d.schedulers = append(d.schedulers, build(t, scheduler, members, nil))
	}
	return d
}

func (d *directors) tell() {
	for i, loads := range d.loads {
		for server, load := range loads {
			others := uint32(0)
			for k, counts := range d.counts {
				if k != i {
					others += counts[server]
				}
			}
			load.SetElsewhere(others, 0, len(d.loads)-1)
		}
	}
}

// open has a director place a client.
func (d *directors) open(i int) int {
	at := d.schedulers[i].Pick(client(i))
	d.counts[i][at]++
	d.loads[i][at].Cell(0).Set(d.counts[i][at], 0)
	return at
}

func (d *directors) total(server int) (n int) {
	for _, counts := range d.counts {
		n += int(counts[server])
	}
	return n
}

// Ten directors learn in the same moment that there is an empty server beside
// four that have something to do, and each has a client to place.
func TestTenDirectorsAndAnEmptyServer(t *testing.T) {
	const (
		n      = 10
		rounds = 400
	)
	for _, tt := range []struct {
		scheduler, line string
		fair            float64 // of the ten clients for the empty server: as one who chose for all would deal them
	}{
		{"lc", "a=1:5/0 b=1:5/0 c=1:5/0 d=1:5/0 e=1:0/0", 10}, // fifty elsewhere: it can take all ten
		{"lc", "a=1:0/0 b=1:0/0 c=1:0/0 d=1:0/0 e=1:0/0", 2},
		{"wlc", "a=1:0/0 b=1:0/0 c=1:0/0 d=1:0/0 e=4:0/0", 5},
		{"sed", "a=1:0/0 b=1:0/0 c=1:0/0 d=1:0/0 e=4:0/0", 6.5}, // four more of weight than of waiting
		{"nq", "a=1:0/0 b=1:0/0 c=1:0/0 d=1:0/0 e=1:0/0", 2},
		{"lc", "a=1:1/0 b=1:1/0 c=1:1/0 d=1:1/0 e=1:0/0", 10},
	} {
		got, herds := 0, 0
		for range rounds {
			d := newDirectors(t, n, tt.scheduler, tt.line)
			before := d.total(4)
			d.tell()
			for i := range n {
				d.open(i)
			}
			new := d.total(4) - before
			got += new
			if new == n {
				herds++
			}
		}
		mean := float64(got) / rounds
		if math.Abs(mean-tt.fair) > 0.6 {
			t.Errorf("%s %s: %.2f of ten clients went to the last server, want about %.1f", tt.scheduler, tt.line, mean, tt.fair)
		}
		if tt.fair < n && herds > rounds/10 {
			t.Errorf("%s %s: in %d of %d rounds all ten went there", tt.scheduler, tt.line, herds, rounds)
		}
	}
}

// However long nobody tells, the fleet as a whole stays nearly even: what each
// opens it takes the others to have opened as well.
func TestDirectorsThatHearNothing(t *testing.T) {
	const n, clients = 10, 100
	d := newDirectors(t, n, "lc", "a=1:10/0 b=1:10/0 c=1:10/0 d=1:10/0 e=1:0/0")
	d.tell()
	for range clients {
		for i := range n {
			d.open(i)
		}
	}
	want := (n*clients + 4*10*n) / 5
	for server := range 5 {
		if got := d.total(server); math.Abs(float64(got-want)) > 0.15*float64(want) {
			t.Errorf("server %d has %d sessions, want about %d", server, got, want)
		}
	}
}

// A director alone goes by its own counts, to the session.
func TestNobodyElsewhere(t *testing.T) {
	d := newDirectors(t, 1, "lc", "a=1:3/0 b=1:1/0 c=1:2/0")
	d.tell()
	got := ""
	for range 6 {
		got += fmt.Sprint(d.open(0))
	}
	if got[:3] != "112" && got[:3] != "121" {
		t.Errorf("picks %s", got)
	}
	for server, want := range []int{4, 4, 4} {
		if n := d.total(server); n != want {
			t.Errorf("server %d has %d sessions, want %d", server, n, want)
		}
	}
}

// With others a pick must not allocate either.
func TestShareAllocatesNothing(t *testing.T) {
	for _, name := range []string{"lc", "wlc", "sed", "nq", "lblc", "lblcr", "twos", "ovf"} {
		members := fleet(20)
		for i := range members {
			members[i].Upper = 1 << 30
			members[i].Load.SetElsewhere(uint32(i), 0, 9)
		}
		s, k := build(t, name, members, nil), client(0)
		if n := testing.AllocsPerRun(1000, func() { k.VIP[15]++; s.Pick(k) }); n != 0 {
			t.Errorf("%s: a pick allocates %v times, want 0", name, n)
		}
	}
}

func BenchmarkShare(b *testing.B) {
	for _, n := range []int{4, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			members := fleet(n)
			for i := range members {
				members[i].Load.Cell(0).Set(uint32(100+i%7), 0)
				members[i].Load.Cell(1).Set(uint32(100+i%5), 0)
				members[i].Load.SetElsewhere(1000, 0, 9)
			}
			s, k := build(b, "wlc", members, nil), client(0)
			for b.Loop() {
				s.Pick(k)
			}
		})
	}
}
