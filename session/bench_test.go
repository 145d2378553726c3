package session

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"

	"fleetlb/fullnat/packet"
)

// sizes are the numbers of sessions to measure with: in the first cache, around
// the last, and in memory.
var sizes = []int{1_000, 100_000, 1_000_000}

// fill opens n sessions of random clients over 64 servers and returns their
// faces, in random order.
func fill(b *testing.B, n int) (*Table, [][2]packet.Tuple) {
	t := newTestTable(n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	paths := make([]PathID, 64)
	for i := range paths {
		paths[i] = t.Bind(pathTo(addr(fmt.Sprintf("10.0.0.%d", i+1))))
		t.Path(paths[i]).Live = true
	}
	faces := make([][2]packet.Tuple, 0, n)
	for len(faces) < n {
		s, outcome := t.Open(randomClient(r), uint16(r.Uint32()), paths[len(faces)%len(paths)], 1)
		if outcome != Opened {
			b.Fatalf("session %d: %v", len(faces), outcome)
		}
		faces = append(faces, [2]packet.Tuple{t.Face(s, Inbound), t.Face(s, Outbound)})
	}
	r.Shuffle(len(faces), func(i, j int) { faces[i], faces[j] = faces[j], faces[i] })
	return t, faces
}

// BenchmarkFind looks up random faces, each once before any comes again, as
// batches of packets arrive: the next tuple does not depend on the last session.
func BenchmarkFind(b *testing.B) {
	for _, n := range sizes {
		t, faces := fill(b, n)
		for d, name := range []string{"inbound", "outbound"} {
			tuples := make([]packet.Tuple, n)
			for i := range faces {
				tuples[i] = faces[i][d]
			}
			b.Run(fmt.Sprintf("%s/sessions=%d", name, n), func(b *testing.B) {
				i := 0
				for b.Loop() {
					if s, _ := t.Find(&tuples[i]); s == nil {
						b.Fatal("lost")
					}
					if i++; i == n {
						i = 0
					}
				}
			})
		}
		b.Run(fmt.Sprintf("batch/sessions=%d", n), func(b *testing.B) {
			tuples := make([]*packet.Tuple, n)
			for i := range faces {
				tuples[i] = &faces[i][i&1]
			}
			var hashes [64]Hash
			i := 0
			for b.Loop() {
				if i&63 == 0 {
					t.Prefetch(tuples[i:min(i+64, n)], hashes[:])
				}
				if s, _ := t.FindHash(tuples[i], hashes[i&63]); s == nil {
					b.Fatal("lost")
				}
				if i++; i == n {
					i = 0
				}
			}
		})
		b.Run(fmt.Sprintf("stranger/sessions=%d", n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(2, 2))
			tuples := make([]packet.Tuple, 1<<16)
			for i := range tuples {
				tuples[i] = faces[i%n][Inbound]
				tuples[i].Src = randomClient(r)
			}
			i := 0
			for b.Loop() {
				t.Find(&tuples[i])
				i = (i + 1) % len(tuples)
			}
		})
	}
}

// BenchmarkFindTrack is the session's whole share of a packet's cost.
func BenchmarkFindTrack(b *testing.B) {
	for _, n := range sizes {
		t, faces := fill(b, n)
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			p := tcpPacket(packet.FlagACK, 1, 1, 100)
			i := 0
			for b.Loop() {
				s, d := t.Find(&faces[i>>1][i&1])
				t.Track(s, d, p, 1)
				if i++; i == 2*n {
					i = 0
				}
			}
		})
	}
}

// BenchmarkOpenClose opens a session in a table that holds n and closes another
// at random.
func BenchmarkOpenClose(b *testing.B) {
	for _, n := range sizes {
		t, faces := fill(b, n)
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			i := 0
			for b.Loop() {
				f := &faces[i][Inbound]
				s, _ := t.Find(f)
				path := s.Path
				t.Close(s)
				f.SrcPort++
				if s, _ = t.Find(f); s != nil {
					f.SrcPort++
				}
				t.Open(f.Src, f.SrcPort, path, 1)
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}

// BenchmarkFootprint fills a table of a million sessions, and tells what each of
// them takes, both faces in the index included, as the table and as the kernel
// counts it.
func BenchmarkFootprint(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		runtime.GC()
		before := resident(b)
		t, _ := fill(b, n)
		runtime.GC()
		b.ReportMetric(float64(t.Footprint())/n, "B/session")
		b.ReportMetric(float64(resident(b)-before)/n, "resident-B/session")
		runtime.KeepAlive(t)
	}
}

// resident is how much memory the process has, beside the heap.
func resident(b *testing.B) int {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip(err)
	}
	var size, pages int
	fmt.Sscan(string(statm), &size, &pages)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return pages*os.Getpagesize() - int(m.HeapSys-m.HeapReleased)
}

// BenchmarkExpire lets a whole table expire in one tick.
func BenchmarkExpire(b *testing.B) {
	const n = 1_000_000
	var into [64]*Session
	for b.Loop() {
		b.StopTimer()
		t, _ := fill(b, n)
		now := Tick(1) + t.timeouts[0][None]
		for t.wheel.clock != now {
			t.expire(now, into[:1])
		}
		b.StartTimer()
		for t.Behind(now) {
			for _, s := range into[:t.expire(now, into[:])] {
				t.Close(s)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/session")
}

func BenchmarkSlot(b *testing.B) {
	a := addr("198.51.100.7")
	i := uint16(0)
	for b.Loop() {
		sink += uint64(Slot(packet.TCP, a, i))
		i++
	}
}

func BenchmarkHash(b *testing.B) {
	k := newHashKey()
	tu := packet.Tuple{Src: addr("198.51.100.7"), Dst: addr("203.0.113.80"), SrcPort: 4711, DstPort: 443, Protocol: packet.TCP}
	for b.Loop() {
		tu.SrcPort++
		sink += uint64(k.hash(&tu))
	}
}

var sink uint64

// BenchmarkInstall installs what is new, and then what is known, in a table of n
// replicas.
func BenchmarkInstall(b *testing.B) {
	const n = 100_000
	from := fleetTable(n, "lb1")
	setLocals(from, 1024, 65535, "10.9.7.1", "10.9.7.2", "10.9.7.3")
	path := from.Bind(pathTo(addr("10.0.0.11")))
	r := rand.New(rand.NewPCG(1, n))
	records := make([]Record, n)
	for i := range records {
		s, _ := from.Open(randomClient(r), uint16(r.Uint32()), path, 1)
		from.enter(s, Established, 1)
		from.Tell(s, 1, &records[i])
	}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			to := fleetTable(n, "lb2")
			b.StartTimer()
			for i := range records {
				to.Install(&records[i], 1)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/session")
	})
	b.Run("known", func(b *testing.B) {
		to := fleetTable(n, "lb2")
		for i := range records {
			to.Install(&records[i], 1)
		}
		i := 0
		for b.Loop() {
			to.Install(&records[i], 2)
			i = (i + 1) % n
		}
	})
}

// BenchmarkRecord is the wire form of an established session.
func BenchmarkRecord(b *testing.B) {
	r := webRecord(false)
	buf := make([]byte, 0, MaxRecord)
	b.Run("AppendTo", func(b *testing.B) {
		for b.Loop() {
			buf = r.AppendTo(buf[:0], sender)
		}
	})
	b.Run("Parse", func(b *testing.B) {
		var got Record
		for b.Loop() {
			got.Parse(buf, sender)
			if got.Valid() != nil {
				b.Fatal("not valid")
			}
		}
	})
}
