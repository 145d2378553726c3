package link

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// burst is how many frames one system call moves at most. At 64 its cost, some
// 200 ns, no longer shows beside what the kernel does for each frame.
const burst = 64

// messages is a burst of frames in the form recvmmsg(2) and sendmmsg(2) take:
// made once, so that a call prepares two words for each frame and allocates
// nothing. It points into itself and must not be copied.
type messages struct {
	hdr [burst]mmsghdr
	iov [burst]unix.Iovec
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32 // bytes received
}

func (m *messages) init() {
	for i := range m.hdr {
		m.hdr[i].hdr.Iov = &m.iov[i]
		m.hdr[i].hdr.SetIovlen(1)
	}
}

// set makes message i the bytes of b. They lie in a pool's memory, which stays
// where it is and which the garbage collector does not know.
func (m *messages) set(i int, b []byte) {
	m.iov[i].Base = &b[0]
	m.iov[i].SetLen(len(b))
}

// recv receives into the first n messages. It never blocks.
func (m *messages) recv(fd, n int) (int, syscall.Errno) {
	r, _, e := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.hdr)),
		uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// send sends messages from to n-1. It returns how many went; an error concerns
// the first of them, and none went.
func (m *messages) send(fd, from, n int) (int, syscall.Errno) {
	r, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.hdr[from])),
		uintptr(n-from), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}
