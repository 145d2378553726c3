package offload

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/packet/packettest"
)

//go:generate go tool bpf2go -target bpfel -no-global-types bench bench.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu

// BenchmarkProgram is what the program does with one packet, without the driver
// around it, as the kernel measures it: the packets of so many sessions, both
// ways, at random. "bare" sends a packet back, no more. Both begin with a copy of
// the packet into the frame.
func BenchmarkProgram(b *testing.B) {
	for _, sessions := range []int{100, 100_000, 1_000_000} {
		table, _ := newTestTable(b, sessions)
		for n := 1; n <= sessions; n++ {
			table.Lift(uint32(n), flowNumber4(table, uint32(n)))
		}
		lifted, bare := loadPrograms(b, table, sessions)
		for _, bb := range []struct {
			name    string
			program *ebpf.Program
		}{{"bare", bare}, {"lifted", lifted}} {
			b.Run(fmt.Sprintf("%s/sessions=%d", bb.name, sessions), func(b *testing.B) {
				table.Renew(7, time.Hour)
				verdict, took, err := bb.program.Benchmark(make([]byte, 64), max(b.N, 1000), nil)
				if err != nil || Verdict(verdict) != Back {
					b.Fatalf("verdict %d: %v", verdict, err)
				}
				b.ReportMetric(float64(took.Nanoseconds()), "program-ns/packet")
			})
		}
	}
}

// flowNumber4 is a flow of IPv4.
func flowNumber4(table *Table, n uint32) *Flow { return flowNumber(table, 3*n+1) }

// loadPrograms loads the programs of bench.c and gives them the packets of a
// table's flows.
func loadPrograms(b *testing.B, table *Table, sessions int) (lifted, bare *ebpf.Program) {
	spec, err := loadBench()
	if err != nil {
		b.Fatal(err)
	}
	n := 1
	for n < 2*sessions {
		n *= 2
	}
	for name, value := range map[string]any{
		benchVarSeed: table.seed, benchVarMask: uint32(len(table.buckets) - 1), benchVarPacketMask: uint32(n - 1),
		benchVarOwnMacHi: uint32(0x00000002), benchVarOwnMacLo: uint32(0x0100),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			b.Fatal(err)
		}
	}
	for name, m := range table.maps {
		spec.Maps[name].MaxEntries = m.MaxEntries()
	}
	spec.Maps[benchMapPackets].MaxEntries = uint32(n)
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: table.maps})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(collection.Close)
	memory, err := unix.Mmap(collection.Maps[benchMapPackets].FD(), 0, 64*max(n, 64), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Munmap(memory)
	whole := packettest.Frame(b, "udp 192.0.2.1:1 > 192.0.2.2:2 ttl 64 len 22")
	copy(whole, ourMAC[:])
	packets := unsafe.Slice((*[64]byte)(unsafe.Pointer(unsafe.SliceData(memory))), n)
	for i := range packets {
		f := flowNumber4(table, uint32(i/2%sessions)+1)
		tuple := f.Client
		if i%2 == 1 {
			tuple = f.Server
		}
		packets[i] = [64]byte(whole)
		var p packet.Packet
		packet.Parse(packets[i][:], false, &p)
		p.Rewrite(tuple.Src, tuple.Dst, tuple.SrcPort, tuple.DstPort)
	}
	return collection.Programs[benchProgLifted], collection.Programs[benchProgBare]
}
