package fullnat

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"fleetlb/fullnat/link"
)

// BenchmarkStall is how long a worker that carries packets is held up by the rest
// of its program: by how much the longest of its turns, of a batch each, exceed the
// median. It has a core, and the rest has another, on which a control plane works:
// routes, verdicts of health, what members of the fleet say, and a listing of the
// sessions without end, read from the worker itself. Once nothing else runs, once
// the garbage of all that stays where it is, and once it is collected, as often as
// it comes about.
//
// Some of it is the machine: what "alone" shows nothing of this program can better.
func BenchmarkStall(b *testing.B) {
	for _, n := range mostly([]int{1_000_000, 10_000_000}) {
		var w *bench
		meet := sync.OnceFunc(func() {
			var q *treadmill
			var in, out [][]byte
			w, q, in, out = crowd(b, n, 0)
			q.load(append(in, out...))
			w.mu.Lock()
			w.running = true // who asks waits for the worker
			w.mu.Unlock()
		})
		for _, bb := range []struct {
			name    string
			control bool
			percent int // of GOGC
		}{{"alone", false, 100}, {"uncollected", true, -1}, {"collected", true, 100}} {
			b.Run(fmt.Sprintf("%s/sessions=%d", bb.name, n), func(b *testing.B) {
				meet()
				runtime.GC()
				defer debug.SetGCPercent(debug.SetGCPercent(bb.percent))
				stall(b, w, bb.control)
			})
		}
	}
}

// stall measures a worker's turns until they have carried b.N packets.
func stall(b *testing.B, w *bench, control bool) {
	ctx, stop := context.WithCancel(b.Context())
	var others sync.WaitGroup
	if control {
		others.Go(func() { govern(ctx, w) })
	}
	defer others.Wait()
	defer stop()

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	turns := make([]uint32, 0, b.N/batchSize+1)
	done := make(chan struct{})
	b.ResetTimer()
	go func() { // as Worker.run
		defer close(done)
		runtime.LockOSThread()
		link.Precede()
		last := time.Now()
		for carried := 0; carried < b.N; {
			carried += w.workers[0].turn(w.now)
			now := time.Now()
			turns = append(turns[:min(len(turns), cap(turns)-1)], uint32(now.Sub(last)))
			last = now
		}
	}()
	<-done
	b.StopTimer()
	runtime.ReadMemStats(&after)

	slices.Sort(turns)
	at := func(share float64) float64 {
		return float64(turns[int(share*float64(len(turns)-1))]-turns[len(turns)/2]) / 1e3
	}
	b.ReportMetric(float64(turns[len(turns)/2])/1e3, "µs/batch")
	b.ReportMetric(at(0.99), "p99-µs")
	b.ReportMetric(at(0.999), "p99.9-µs")
	b.ReportMetric(at(1), "max-µs")
	b.ReportMetric(float64(after.NumGC-before.NumGC)/b.Elapsed().Seconds(), "GC/s")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/b.Elapsed().Seconds()/1e6, "MB/s")
}

// govern is a control plane's work, until ctx ends.
func govern(ctx context.Context, w *bench) {
	type route struct {
		Prefix      netip.Prefix
		Path        []uint32
		Communities []string
	}
	kept := map[netip.Prefix]*route{} // what it holds for long: some 30 MB
	addr := netip.MustParseAddr("10.0.0.0")
	for range 100_000 {
		kept[netip.PrefixFrom(addr, 32)] = &route{netip.PrefixFrom(addr, 32), []uint32{65000, 65001}, []string{"65000:1"}}
		addr = addr.Next()
	}
	var listing sync.WaitGroup
	listing.Go(func() {
		for ctx.Err() == nil {
			out := json.NewEncoder(io.Discard)
			for s, err := range w.Sessions(ctx) {
				if err != nil {
					return
				}
				_ = out.Encode(s)
			}
		}
	})
	defer listing.Wait()
	for ctx.Err() == nil {
		wanted := map[netip.Prefix]*route{} // a plan, and what is new in it
		for p, r := range kept {
			if wanted[p] = r; len(wanted) == 256 {
				break
			}
		}
		var members []map[string]any // what members say of themselves
		for i := range 64 {
			told, _ := json.Marshal(map[string]any{"name": fmt.Sprint("lb", i), "up": map[string]bool{"web": true, "dns": i%2 == 0}, "sessions": i})
			var heard map[string]any
			_ = json.Unmarshal(told, &heard)
			members = append(members, heard)
		}
		var checks []string // of health
		for i := range 512 {
			checks = append(checks, fmt.Sprintf("10.0.%d.%d:8080: GET /: status %d", i/256, i%256, 200))
		}
		runtime.KeepAlive([]any{wanted, members, checks})
		time.Sleep(time.Millisecond)
	}
	runtime.KeepAlive(kept)
}
