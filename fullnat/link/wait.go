package link

import (
	"encoding/binary"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// starved is how long a worker waits before it looks again that holds all its
// frames, when the sockets are readable but there is nothing to receive into, or
// that has more to send than the kernel takes at once.
const starved = time.Millisecond

// Wait sleeps in one ppoll over the sockets, the rings and the eventfd.
//
// A Wake costs a system call only while the worker sleeps. Whoever wakes sets
// woken before it reads sleeping, and the worker sets sleeping before it reads
// woken, so one of them sees the other.
func (q *queue) Wait(timeout time.Duration) error {
	q.poll = append(q.poll[:0], unix.PollFd{Fd: int32(q.event), Events: unix.POLLIN})
	soon := q.arm() == 0
	if !soon {
		soon = q.listen()
	}
	if soon && (timeout < 0 || timeout > starved) {
		timeout = starved
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
		_, err = unix.Ppoll(q.poll, until, nil)
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

// listen adds what frames come from to poll, and reports whether there are any
// that the kernel has not sent yet.
func (q *queue) listen() (unsent bool) {
	for i := range q.taps {
		t := &q.taps[i]
		t.adopt()
		t.dry = 0
		q.poll = append(q.poll, unix.PollFd{Fd: int32(t.fd), Events: unix.POLLIN}) // poll ignores -1
		for _, x := range t.rings {
			q.poll = append(q.poll, unix.PollFd{Fd: int32(x.fd), Events: unix.POLLIN})
			unsent = unsent || x.tx.pending() > 0
		}
	}
	return unsent
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
