package fullnat

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
	"fleetlb/session"
)

// A treadmill is a queue that hands out the same frames again and again, round
// and round, and takes any that come back.
type treadmill struct {
	pool   *link.Pool
	frames []byte // one after the other, each so long:
	size   int
	next   int
}

func newTreadmill(t testing.TB) *treadmill {
	pool, err := link.NewPool(512)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return &treadmill{pool: pool}
}

// load puts frames of one length on the treadmill.
func (q *treadmill) load(frames [][]byte) {
	q.frames, q.size, q.next = nil, len(frames[0]), 0
	for _, f := range frames {
		q.frames = append(q.frames, f...)
	}
}

func (q *treadmill) Recv(into []*link.Frame) int {
	n := q.pool.Take(into)
	for _, f := range into[:n] {
		f.Resize(q.size)
		copy(f.Bytes(), q.frames[q.next:])
		if q.next += q.size; q.next == len(q.frames) {
			q.next = 0
		}
	}
	return n
}

func (q *treadmill) Send(frames []*link.Frame) int    { q.pool.Give(frames); return len(frames) }
func (q *treadmill) Free(frames []*link.Frame)        { q.pool.Give(frames) }
func (q *treadmill) Alloc(into []*link.Frame) int     { return q.pool.Take(into) }
func (q *treadmill) Wait(timeout time.Duration) error { return nil }
func (q *treadmill) Wake()                            {}
func (q *treadmill) Close() error                     { return nil }

// silent is a treadmill on which nothing comes.
type silent struct{ *treadmill }

func (silent) Recv([]*link.Frame) int { return 0 }

// round carries all frames on the treadmill once.
func (b *bench) round(q *treadmill) {
	for left := len(q.frames) / q.size; left > 0; {
		left -= b.workers[0].turn(b.now)
	}
}

// crowd opens and establishes sessions of n random clients to 64 servers and
// returns their packets: from the client, and from the server. Of more than a
// million sessions it returns those of a million.
func crowd(t testing.TB, n, room int) (w *bench, q *treadmill, in, out [][]byte) {
	t.Helper()
	return crowdIn(t, n, room, nil)
}

const crowdPackets = 1_000_000

// crowdIn does so at a director of a fleet.
func crowdIn(t testing.TB, n, room int, fleet *Fleet) (w *bench, q *treadmill, in, out [][]byte) {
	t.Helper()
	var servers strings.Builder
	w = newBench(t, 1, n+room)
	for i := range 64 {
		server := netip.AddrFrom4([4]byte{10, 0, 0, byte(11 + i)})
		w.network.Neighbors[1][server] = [6]byte{2, 0, 0, 0, 1, byte(11 + i)}
		w.network.Wanted = append(w.network.Wanted, server)
		fmt.Fprintf(&servers, "%v:8443 ", server)
	}
	w.snapshot.Ports = [2]uint16{1024, 65535}
	w.snapshot.Fleet = fleet
	w.services("vip 203.0.113.80:443 → " + servers.String() + "via 10.9.0.0/28")
	w.settle()
	q = newTreadmill(t)
	w.workers[0].queue = q

	worker := w.workers[0]
	for opened, seed := 0, uint64(1); opened < n; seed++ {
		q.load(clients(t, min(n-opened, crowdPackets), seed))
		w.round(q)
		opened = worker.sessions.Count()
	}
	answer := packettest.Frame(t, "tcp 10.0.0.11:8443 > 10.9.0.1:5235 SA ttl 64 seq 5000 ack 1001")
	ack := packettest.Frame(t, "tcp 198.51.100.7:4711 > 203.0.113.80:443 A ttl 64 seq 1001 ack 5001")
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for from, done := session.Cursor(0), false; !done; {
		ins, outs := make([][]byte, 0, crowdPackets), make([][]byte, 0, crowdPackets)
		from = worker.sessions.Each(from, crowdPackets, func(s *session.Session) {
			ins = append(ins, readdressed(ack, worker.sessions.Face(s, session.Inbound)))
			outs = append(outs, readdressed(answer, worker.sessions.Face(s, session.Outbound)))
		})
		for _, frames := range [][][]byte{outs, ins} {
			q.load(frames)
			w.round(q)
		}
		for i := range ins {
			if n <= crowdPackets || r.IntN(n) < crowdPackets {
				in, out = append(in, ins[i]), append(out, outs[i])
			}
		}
		done = from == 0
	}
	for _, path := range worker.sessions.Paths() {
		if path.Inactive != 0 {
			t.Fatalf("%d sessions of a path are not established", path.Inactive)
		}
	}
	for _, frames := range [][][]byte{in, out} {
		r.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
	}
	return w, q, in, out
}

// clients returns the SYNs of n random clients.
func clients(t testing.TB, n int, seed uint64) (syns [][]byte) {
	syn := packettest.Frame(t, "tcp 198.51.100.7:4711 > 203.0.113.80:443 S ttl 64 seq 1000")
	r := rand.New(rand.NewPCG(seed, seed))
	seen := map[packet.Tuple]bool{}
	for len(syns) < n {
		tu := packet.Tuple{
			Src: packet.AddrFrom(netip.AddrFrom4([4]byte{198, byte(r.UintN(100)), byte(r.Uint32()), byte(r.Uint32())})), SrcPort: uint16(1 + r.UintN(65535)),
			Dst: addr("203.0.113.80"), DstPort: 443, Protocol: packet.TCP,
		}
		if !seen[tu] {
			seen[tu] = true
			syns = append(syns, readdressed(syn, tu))
		}
	}
	return syns
}

// readdressed is a copy of a frame with other ends.
func readdressed(frame []byte, t packet.Tuple) []byte {
	frame = append([]byte(nil), frame...)
	var p packet.Packet
	packet.Parse(frame, false, &p)
	p.Rewrite(t.Src, t.Dst, t.SrcPort, t.DstPort)
	return frame
}

// measure runs do until it has done b.N. Beside the time on the wall it reports
// the processor's, which is the same on a machine with nothing else to do.
func measure(b *testing.B, do func() int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	b.ResetTimer()
	start := threadTime()
	for i := 0; i < b.N; {
		i += do()
	}
	b.ReportMetric(float64(threadTime()-start)/float64(b.N), "cpu-ns/op")
}

// crowds are the numbers of sessions to measure with: in the first cache, in the
// second, around the last, and in memory.
var crowds = []int{1_000, 10_000, 100_000, 1_000_000, 10_000_000}

// mostly leaves out the crowd that takes a gigabyte, where -short asks for it.
func mostly(crowds []int) []int {
	if testing.Short() {
		return crowds[:len(crowds)-1]
	}
	return crowds
}

// BenchmarkForward is a packet's whole way through a worker, from the receive
// queue to the transmit queue, for random established sessions. The treadmill's
// own share is measured with it, as "nothing".
func BenchmarkForward(b *testing.B) {
	for _, n := range mostly(crowds) {
		var w *bench
		var q *treadmill
		var in, out, both [][]byte
		meet := sync.OnceFunc(func() { // not for those that nobody asks for
			w, q, in, out = crowd(b, n, 0)
			for i := range in {
				both = append(both, in[i], out[i])
			}
			w.verdictsSince()
		})
		for _, bb := range []struct {
			name   string
			frames *[][]byte
		}{{"inbound", &in}, {"outbound", &out}, {"both", &both}} {
			b.Run(fmt.Sprintf("%s/sessions=%d", bb.name, n), func(b *testing.B) {
				meet()
				q.load(*bb.frames)
				measure(b, func() int { return w.workers[0].turn(w.now) })
				if got := w.verdictsSince(); !strings.HasPrefix(got, "forwarded×") || strings.Contains(got, " ") {
					b.Errorf("verdicts %s", got)
				}
			})
		}
		b.Run(fmt.Sprintf("nothing/sessions=%d", n), func(b *testing.B) {
			meet()
			var frames [batchSize]*link.Frame
			measure(b, func() int {
				n := q.Recv(frames[:])
				return q.Send(frames[:n])
			})
		})
	}
}

// BenchmarkOpen opens a session from a SYN, among others that are established,
// and closes it again.
func BenchmarkOpen(b *testing.B) {
	for _, n := range mostly(crowds) {
		var w *bench
		var q *treadmill
		var tuples []packet.Tuple
		meet := sync.OnceFunc(func() {
			w, q, _, _ = crowd(b, n, batchSize)
			syns := clients(b, 1<<17, 1<<32)
			q.load(syns)
			for _, f := range syns {
				var p packet.Packet
				packet.Parse(f, false, &p)
				tuples = append(tuples, p.Tuple)
			}
		})
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			meet()
			worker := w.workers[0]
			measure(b, func() int {
				at := q.next / q.size
				n := worker.turn(w.now)
				for j := range n {
					if s, _ := worker.sessions.Find(&tuples[(at+j)%len(tuples)]); s != nil {
						worker.close(s)
					}
				}
				return n
			})
			if worker.displaced > 0 {
				b.Errorf("%d sessions displaced", worker.displaced)
			}
		})
	}
}

// BenchmarkFlood is a SYN that displaces another from a full table.
func BenchmarkFlood(b *testing.B) {
	w, q, _, _ := crowd(b, 100_000, 100_000)
	q.load(clients(b, 1<<20, 2))
	w.round(q)
	w.verdictsSince()
	b.Run("sessions=100000", func(b *testing.B) {
		measure(b, func() int { return w.workers[0].turn(w.now) })
	})
	if got := w.verdictsSince(); strings.Contains(got, " ") {
		b.Errorf("verdicts %s", got)
	}
}
