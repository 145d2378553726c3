package offload

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"fleetlb/fullnat/packet"
)

//go:generate go tool bpf2go -target bpfel -no-global-types bench bench.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu

// BenchmarkProgram is what the program does with one packet, without the driver
// around it, as the kernel measures it: a burst of requests of sessions at random,
// then their answers. "bare" sends a packet back, no more. Both begin with making
// the packet.
func BenchmarkProgram(b *testing.B) {
	for _, sessions := range []int{100, 10_000, 100_000, 1_000_000} {
		table, _ := newTestTable(b, sessions)
		refused := 0
		for n := 1; n <= sessions; n++ {
			if !table.Lift(uint32(n), flowOfBench(table, uint32(n))) {
				refused++
			}
		}
		lifted, bare := loadPrograms(b, table, sessions)
		for _, bb := range []struct {
			name    string
			program *ebpf.Program
		}{{"bare", bare}, {"lifted", lifted}} {
			b.Run(fmt.Sprintf("%s/sessions=%d", bb.name, sessions), func(b *testing.B) {
				table.Renew(7, time.Hour)
				verdict, took, err := bb.program.Benchmark(make([]byte, 64), max(b.N, 1000), nil)
				if err != nil || Verdict(verdict) != Back && refused == 0 {
					b.Fatalf("verdict %d: %v", verdict, err)
				}
				b.ReportMetric(float64(took.Nanoseconds()), "program-ns/packet")
			})
		}
	}
}

// BenchmarkLift lifts a session and drops it again, among so many others.
func BenchmarkLift(b *testing.B) {
	for _, sessions := range []int{100, 1_000_000} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			table, _ := newTestTable(b, sessions)
			flows := make([]*Flow, min(sessions, 100_000))
			for n := range flows {
				flows[n] = flowOfBench(table, uint32(n+1))
			}
			for n := len(flows) + 1; n <= sessions; n++ {
				table.Lift(uint32(n), flowOfBench(table, uint32(n)))
			}
			b.ResetTimer()
			for i := range b.N {
				n := i % len(flows)
				if table.Lift(uint32(n+1), flows[n]) {
					table.Drop(uint32(n + 1))
				}
			}
		})
	}
}

// flowOfBench is a flow that fill of bench.c makes packets of.
func flowOfBench(table *Table, n uint32) *Flow {
	address := func(v4 uint32) (a packet.Addr) {
		a = packet.Addr{10: 0xff, 11: 0xff}
		binary.BigEndian.PutUint32(a[12:], v4)
		return a
	}
	client := n * 0x9e3779b1
	return &Flow{
		Client: packet.Tuple{
			Src: address(10<<24 | client>>8), Dst: address(0xcb007150),
			SrcPort: uint16(client&0xff) + 1024, DstPort: 443, Protocol: packet.UDP,
		},
		Server: packet.Tuple{
			Src: address(0xac100000 | n&15), Dst: address(0xc0a80000 | n>>16),
			SrcPort: 8443, DstPort: uint16(n), Protocol: packet.UDP,
		},
		Hops: [2]HopRef{table.Ref(1), table.Ref(1)},
	}
}

// loadPrograms loads the programs of bench.c.
func loadPrograms(b *testing.B, table *Table, sessions int) (lifted, bare *ebpf.Program) {
	spec, err := loadBench()
	if err != nil {
		b.Fatal(err)
	}
	for name, value := range map[string]any{
		benchVarSeed: table.seed, benchVarRoom: uint32(len(table.buckets)), benchVarNumberMask: table.numberMask(),
		benchVarSessions: uint32(sessions),
		benchVarOwnMacHi: uint32(0x00000002), benchVarOwnMacLo: uint32(0x0100),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			b.Fatal(err)
		}
	}
	for name, m := range table.maps {
		spec.Maps[name].MaxEntries = m.MaxEntries()
	}
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: table.maps})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(collection.Close)
	return collection.Programs[benchProgLifted], collection.Programs[benchProgBare]
}
