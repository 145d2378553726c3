package link

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Recv asks each interface in turn, another one first each time, so that a
// flooded interface cannot starve the others.
func (q *queue) Recv(into []*Frame) int {
	n := 0
	for i := range q.taps {
		port := (q.turn + i) % len(q.taps)
		n += q.receive(port, into[n:], false)
	}
	for port := 0; n == 0 && port < len(q.taps); port++ {
		n = q.receive(port, into, true) // what was passed by
	}
	q.turn = (q.turn + 1) % max(1, len(q.taps))
	return n
}

// passes is how often a packet socket is passed by, having been empty or beside
// rings that were not, while there is anything else to receive.
const passes = 7

// receive takes what waits at one interface, from its rings and then, unless it
// is passed by, from its packet socket. With late set, only from the latter, if
// it was passed by.
func (q *queue) receive(port int, into []*Frame, late bool) (n int) {
	t := &q.taps[port]
	if late {
		if t.dry == 0 {
			return 0
		}
		t.dry = 0
	} else {
		t.adopt()
		for _, x := range t.rings {
			n += q.unload(x, port, into[n:])
		}
		if t.dry > 0 {
			t.dry--
			return n
		}
	}
	got := q.receivePacket(port, into[n:])
	if got == 0 || n > 0 {
		t.dry = passes
	}
	return n + got
}

// unload takes up to a burst of frames from a ring.
func (q *queue) unload(x *xsk, port int, into []*Frame) int {
	n := min(len(into), burst, x.rx.waiting())
	if n == 0 {
		return 0
	}
	if q.pool.Len() < n {
		q.disarm()
	}
	into = into[:q.pool.Take(into[:n])]
	x.receive(into)
	t := &q.taps[port]
	for _, f := range into {
		f.Port = uint8(port)
		if t.near {
			f.Offload = owed(f.Bytes())
		}
	}
	t.rxFrames.Add(uint64(len(into)))
	return len(into)
}

// receivePacket takes up to a burst of frames from a packet socket.
func (q *queue) receivePacket(port int, into []*Frame) int {
	t := &q.taps[port]
	want := min(len(into), q.arm())
	if t.fd < 0 || want == 0 {
		return 0
	}
	got, errno := q.rx.recv(t.fd, want)
	if errno != 0 {
		q.receiveFailed(port, errno)
		return 0
	}
	n := 0
	for i, f := range q.armed[:got] {
		if !f.received(&q.rx.hdr[i]) {
			t.rxTooBig.Add(1)
			q.pool.give(f)
			continue
		}
		f.Port = uint8(port)
		into[n] = f
		n++
	}
	q.spent = got
	t.rxFrames.Add(uint64(n))
	return n
}

// received makes of a frame what the kernel wrote into it, and reports whether
// it fitted.
func (f *Frame) received(m *mmsghdr) bool {
	if m.hdr.Flags&unix.MSG_TRUNC != 0 || m.len < vnetLen {
		return false
	}
	f.size = m.len - vnetLen
	f.Offload.parse((*[vnetLen]byte)(f.slot[f.head-vnetLen:]))
	return true
}

// arm replaces the frames that were handed out by those that came back last,
// so that a call costs only what it receives, and returns how many are armed.
func (q *queue) arm() int {
	fresh := q.refill(0, q.spent)
	if gap := q.spent - fresh; gap > 0 { // the pool is empty: close up from the end
		for i := range min(gap, q.ready-q.spent) {
			q.armAt(fresh+i, q.armed[q.ready-1-i])
		}
		q.ready -= gap
	} else if q.ready < burst {
		q.ready += q.refill(q.ready, burst)
	}
	q.spent = 0
	return q.ready
}

// disarm gives back what is armed, for the last frames are better used at once.
func (q *queue) disarm() {
	q.pool.Give(q.armed[q.spent:q.ready])
	q.ready, q.spent = 0, 0
}

// refill arms positions from to to-1 from the pool and returns how many it could.
func (q *queue) refill(from, to int) int {
	n := q.pool.Take(q.armed[from:to])
	for i := from; i < from+n; i++ {
		q.armAt(i, q.armed[i])
	}
	return n
}

func (q *queue) armAt(i int, f *Frame) {
	q.armed[i] = f
	q.rx.set(i, f.slot[f.head-vnetLen:])
}

// receiveFailed tells a loss from an interface that needs attention.
func (q *queue) receiveFailed(port int, errno syscall.Errno) {
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case down(errno):
		q.ail(port)
	default: // EINVAL: a frame of a kind that has no offload header; it is lost
		q.taps[port].rxRefused.Add(1)
	}
}
