package traffic

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// share maps the programs' memory into this process.
func (t *Crowd) share() error {
	p := &t.programs
	controls, err := shared[control](t, p.Controls)
	if err != nil {
		return err
	}
	t.control = &controls[0]
	if t.slots, err = shared[slot](t, p.Slots); err != nil {
		return err
	}
	if t.list, err = shared[uint64](t, p.List); err != nil {
		return err
	}
	if t.tallies, err = shared[tally](t, p.Tallies); err != nil {
		return err
	}
	if t.answers, err = shared[uint64](t, p.Answers); err != nil {
		return err
	}
	t.times, err = shared[uint64](t, p.Times)
	return err
}

// shared is a map's values. The kernel keeps each in a multiple of eight bytes.
func shared[T any](t *Crowd, m *ebpf.Map) ([]T, error) {
	n := int(m.MaxEntries())
	size := (int(m.ValueSize()) + 7) / 8 * 8
	if n > 1 && size != int(unsafe.Sizeof(*new(T))) {
		return nil, fmt.Errorf("%v: values of %d bytes", m, size)
	}
	page := os.Getpagesize()
	memory, err := unix.Mmap(m.FD(), 0, (n*size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%v: map: %w", m, err)
	}
	t.memory = append(t.memory, memory)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(memory))), n), nil
}
