package schedule

import (
	"runtime"
	"sync"
	"testing"
	"unsafe"
)

func TestLoadSumsCells(t *testing.T) {
	loads := NewLoads(2)
	loads[0].Cell(0).Set(3, 1)
	loads[0].Cell(5).Set(4, 2)
	loads[1].Cell(5).Set(100, 100)
	loads[0].Cell(5).Set(5, 0)
	if a, i := loads[0].Active(), loads[0].Inactive(); a != 8 || i != 1 {
		t.Errorf("active, inactive = %d, %d, want 8, 1", a, i)
	}
	cell := loads[0].Cell(5)
	loads[0].Cell(9).Set(1, 1)
	if loads[0].Cell(5) != cell {
		t.Error("a worker's cell moved when another worker came")
	}
}

// A worker must never store into a cache line another one stores into.
func TestCellsShareNoLine(t *testing.T) {
	const line = 64
	owner := make(map[uintptr]int)
	var kept [][]*Load // else the next loads may lie where the last ones did
	defer runtime.KeepAlive(&kept)
	for size := range 40 {
		loads := NewLoads(size + 1)
		for worker := range 8 {
			for _, l := range loads {
				at := uintptr(unsafe.Pointer(l.Cell(worker))) / line
				if o, ok := owner[at]; ok && o != worker {
					t.Fatalf("%d loads: workers %d and %d share a line", size+1, o, worker)
				}
				owner[at] = worker
			}
		}
		kept = append(kept, loads)
	}
}

// Workers appear and store while others sum.
func TestLoadIsSafe(t *testing.T) {
	loads := NewLoads(3)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				loads[i%3].Cell(worker).Set(uint32(i), 1)
				if loads[(i+1)%3].Active() < 0 {
					t.Error("negative")
				}
			}
		})
	}
	wg.Wait()
	want := [3]int{999 * 8, 997 * 8, 998 * 8}
	for i, l := range loads {
		if l.Active() != want[i] || l.Inactive() != 8 {
			t.Errorf("load %d = %d/%d, want %d/8", i, l.Active(), l.Inactive(), want[i])
		}
	}
}

func TestLoadAllocatesNothing(t *testing.T) {
	load := NewLoads(1)[0]
	load.Cell(3)
	if n := testing.AllocsPerRun(100, func() { load.Cell(3).Set(1, 2); load.Active() }); n != 0 {
		t.Errorf("storing and summing allocates %v times, want 0", n)
	}
}
