package session

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// slab makes n zero values of a type without pointers, which last as long as the
// table. Many lie on huge pages where the kernel has them: a random session is a
// cache miss anyhow; on pages of 4 KiB it would be two more, for the translation
// of its address and of its bucket's. Memory is taken as it is first touched, so a
// large table costs nothing empty.
//
// They are mapped beside the heap. The collector would not look into them there
// either, but what the heap hands out was often used before, and then lies on
// small pages for good.
func slab[T any](t *Table, n int) []T {
	var v T
	size := n * int(unsafe.Sizeof(v))
	if size < hugePage {
		return make([]T, n)
	}
	mapped, err := unix.Mmap(-1, 0, size+hugePage, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		panic(fmt.Sprintf("session: map %d bytes: %v", size, err)) // as make would
	}
	runtime.AddCleanup(t, func(m []byte) { _ = unix.Munmap(m) }, mapped)
	_ = unix.Madvise(mapped, unix.MADV_HUGEPAGE) // a wish: kernels without them refuse
	first := unsafe.Pointer(unsafe.SliceData(mapped))
	return unsafe.Slice((*T)(unsafe.Add(first, -uintptr(first)&(hugePage-1))), n)
}

const hugePage = 2 << 20
