package session

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// slab makes n zero values of a type without pointers, on huge pages where the
// kernel has them. A random session is a cache miss anyhow; on pages of 4 KiB it
// would be two more, for the translation of its address and of its bucket's.
// Memory is taken as it is first touched, so a large table costs nothing empty.
func slab[T any](n int) []T {
	s := make([]T, n)
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), n*int(unsafe.Sizeof(s[0])))
	page := os.Getpagesize()
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(bytes)))) & (page - 1)
	if len(bytes) < hugePage+skip {
		return s
	}
	whole := (len(bytes) - skip) &^ (page - 1)
	_ = unix.Madvise(bytes[skip:skip+whole], unix.MADV_HUGEPAGE) // a wish: kernels without them refuse
	return s
}

const hugePage = 2 << 20
