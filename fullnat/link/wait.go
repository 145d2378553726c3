package link

import (
	"encoding/binary"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// starved is how long a worker that holds all its frames waits before it looks
// again: the sockets are readable, but there is nothing to receive into.
const starved = time.Millisecond

// Wait sleeps in one ppoll over the sockets and the eventfd.
//
// A Wake costs a system call only while the worker sleeps. Whoever wakes sets
// woken before it reads sleeping, and the worker sets sleeping before it reads
// woken, so one of them sees the other.
func (q *queue) Wait(timeout time.Duration) error {
	fds := q.poll[:1+len(q.taps)]
	if q.arm() == 0 {
		fds = q.poll[:1]
		if timeout < 0 || timeout > starved {
			timeout = starved
		}
	}
	q.poll[0] = unix.PollFd{Fd: int32(q.event), Events: unix.POLLIN}
	for i := range q.taps {
		q.taps[i].adopt()
		q.poll[1+i] = unix.PollFd{Fd: int32(q.taps[i].fd), Events: unix.POLLIN} // poll ignores -1
	}
	if q.event < 0 {
		return net.ErrClosed
	}
	var until *unix.Timespec
	if timeout >= 0 {
		q.until = unix.NsecToTimespec(int64(timeout))
		until = &q.until
	}

	var err error
	q.sleeping.Store(true)
	if !q.woken.Load() {
		_, err = unix.Ppoll(fds, until, nil)
	}
	q.sleeping.Store(false)
	q.woken.Store(false)
	if q.poll[0].Revents != 0 {
		var count [8]byte
		unix.Read(q.event, count[:])
	}
	if err == unix.EINTR {
		return nil
	}
	return err
}

// Wake ends the present Wait, or else the next.
func (q *queue) Wake() {
	if q.woken.Swap(true) || !q.sleeping.Load() {
		return
	}
	q.wake.Lock()
	defer q.wake.Unlock()
	if q.event >= 0 {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		unix.Write(q.event, one[:])
	}
}
