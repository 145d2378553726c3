package fullnat

import (
	"fmt"
	"testing"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
	"fleetlb/session"
)

// fleetOfTwo is that of lb1 or lb2, who keep everything of each other's.
func fleetOfTwo(self int) *Fleet {
	r := &rig{dead: make([]bool, 2)}
	for i := range 2 {
		r.self = append(r.self, session.Owner{ID: session.NodeIDOf(fmt.Sprintf("lb%d", i+1)), Epoch: 1_763_000_000e9})
	}
	return r.fleet(self)
}

// adoptedCrowd has lb2 hold the established sessions of a crowd of lb1's, as
// their records tell of them. lb1's local addresses are 10.9.0.0/28 here.
func adoptedCrowd(t testing.TB, n int) (w *bench, q *treadmill, in, out [][]byte, records []session.Record) {
	t.Helper()
	home, _, in, out := crowdIn(t, n, 0, fleetOfTwo(0))
	w = newBenchOf(t, 1, Options{Sessions: 4096, Replicas: n}, "vip 203.0.113.80:443 → 10.0.0.11:8443")
	w.network, w.specs = home.network, home.specs
	w.snapshot.Fleet = fleetOfTwo(1)
	w.snapshot.Fleet.Members[0].Blocks = home.snapshot.Locals
	w.publish()
	w.settle()
	rec := session.Record{}
	home.workers[0].sessions.Each(0, 1<<30, func(s *session.Session) {
		home.workers[0].sessions.Record(s, home.now, &rec)
		records = append(records, rec)
	})
	w.applyAll(fleetOfTwo(0).Self, records)
	if got := w.workers[0].sessions.Count(); got != n {
		t.Fatalf("%d sessions, want %d", got, n)
	}
	q = newTreadmill(t)
	w.workers[0].queue = q
	return w, q, in, out, records
}

// applyAll has a bench believe records.
func (b *bench) applyAll(from session.Owner, records []session.Record) {
	for len(records) > 0 {
		n := min(len(records), MaxApply)
		for !b.Apply(from, true, records[:n]) {
			b.workers[0].turn(b.now)
		}
		records = records[n:]
	}
	for b.workers[0].busy(b.now) {
		b.workers[0].turn(b.now)
	}
}

// TestFleetAllocations: nor does what passes between directors, but for an
// answer.
func TestFleetAllocations(t *testing.T) {
	w, q, in, out, records := adoptedCrowd(t, 2000)
	worker, home := w.workers[0], fleetOfTwo(0).Self
	turn := func() { worker.turn(w.now) }
	gone := make([]session.Record, len(records))
	for i := range records {
		gone[i] = records[i]
		gone[i].Kind = session.Gone
	}
	strays := clients(t, 4000, 3)
	for i := range strays {
		ack := packettest.Frame(t, "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1 ack 1")
		var p packet.Packet
		packet.Parse(strays[i], false, &p)
		strays[i] = readdressed(ack, p.Tuple)
	}
	idle := [][]byte{packettest.Frame(t, "tcp 198.51.100.7:4711 > 203.0.113.80:444 S ttl 64")}
	i := 0
	for _, tt := range []struct {
		name   string
		frames [][]byte
		do     func()
		want   float64
	}{
		{"adopted, inbound", in, turn, 0},
		{"adopted, outbound", out, turn, 0},
		{"a tick", in, func() { w.now++; turn() }, 0},
		{"packets of nothing", strays, turn, 0},
		{"as time passes", strays, func() { w.now++; turn() }, 0},
		{"a record of what is here", idle, func() { w.Apply(home, false, records[:32]); turn() }, 0},
		{"an end, and a beginning", idle, func() {
			i = (i + 32) % 1900
			w.Apply(home, false, gone[i:i+32])
			turn()
			w.Apply(home, false, records[i:i+32])
			turn()
		}, 0},
		{"the answer to a question", strays, func() { w.Found(records[0].Face(session.Inbound), &records[0]); turn() }, 1},
	} {
		q.load(tt.frames)
		for range 100 {
			tt.do()
		}
		if n := testing.AllocsPerRun(200, tt.do); n != tt.want {
			t.Errorf("%s: allocates %v times a turn, want %v", tt.name, n, tt.want)
		}
	}
}

// BenchmarkForwardFleet is BenchmarkForward for sessions that a fleet knows of,
// beside those of a director alone, by turns.
func BenchmarkForwardFleet(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		alone, qa, in, out := crowd(b, n, 0)
		qa.load(append(append([][]byte{}, in...), out...))
		home, qh, in, out := crowdIn(b, n, 0, fleetOfTwo(0))
		qh.load(append(append([][]byte{}, in...), out...))
		keeper, qk, in, out, _ := adoptedCrowd(b, n)
		qk.load(append(append([][]byte{}, in...), out...))
		for _, bb := range []struct {
			name string
			w    *bench
		}{{"alone", alone}, {"home", home}, {"adopted", keeper}, {"alone again", alone}, {"home again", home}, {"adopted again", keeper}} {
			b.Run(fmt.Sprintf("%s/sessions=%d", bb.name, n), func(b *testing.B) {
				measure(b, func() int { return bb.w.workers[0].turn(bb.w.now) })
			})
		}
	}
}

// BenchmarkTell makes the record of a session and gives it to the replication
// engine.
func BenchmarkTell(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		w, _, _, _ := crowdIn(b, n, 0, fleetOfTwo(0))
		worker := w.workers[0]
		var all []*session.Session
		worker.sessions.Each(0, 1<<30, func(s *session.Session) { all = append(all, s) })
		i := 0
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			measure(b, func() int {
				worker.tell(all[i%len(all)], w.now)
				i += 7919
				return 1
			})
		})
	}
}

// BenchmarkApply believes a record: of a session that is here, or that is made
// and ended again.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		w, q, _, _, records := adoptedCrowd(b, n)
		q.load([][]byte{packettest.Frame(b, "tcp 198.51.100.7:4711 > 203.0.113.80:444 S ttl 64")})
		home := fleetOfTwo(0).Self
		gone := make([]session.Record, len(records))
		for i := range records {
			gone[i] = records[i]
			gone[i].Kind = session.Gone
		}
		w.workers[0].queue = silent{q}
		i := 0
		some := func(records []session.Record) []session.Record { return records[i : i+32] }
		next := func() { i = (i + 32*31) % (len(records) - 32) }
		b.Run(fmt.Sprintf("merged/sessions=%d", n), func(b *testing.B) {
			measure(b, func() int {
				w.Apply(home, false, some(records))
				w.workers[0].turn(w.now)
				next()
				return 32
			})
		})
		b.Run(fmt.Sprintf("ended and made/sessions=%d", n), func(b *testing.B) {
			measure(b, func() int {
				w.Apply(home, false, some(gone))
				w.workers[0].turn(w.now)
				w.Apply(home, false, some(records))
				w.workers[0].turn(w.now)
				next()
				return 64
			})
		})
	}
}
