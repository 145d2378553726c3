package link

import "golang.org/x/sys/unix"

// Send gives each interface its frames, in their order. Frames that went back
// to the pool are nil in the slice until those refused are put last.
func (q *queue) Send(frames []*Frame) int {
	left := len(frames)
	for port := range q.taps {
		if left > 0 {
			left -= q.sendPort(port, frames)
		}
	}
	return len(frames) - putLast(frames)
}

// putLast moves the frames that are not nil to the end and returns their number.
func putLast(frames []*Frame) int {
	first := len(frames)
	for i := len(frames) - 1; i >= 0; i-- {
		if frames[i] != nil {
			first--
			frames[first], frames[i] = frames[i], frames[first]
		}
	}
	return len(frames) - first
}

// sendPort sends the frames for one interface, a burst at a time, and returns
// how many it has dealt with, one way or the other.
func (q *queue) sendPort(port int, frames []*Frame) int {
	t := &q.taps[port]
	t.adopt()
	dealt, n := 0, 0
	for i, f := range frames {
		if f == nil || int(f.Port) != port {
			continue
		}
		f.Offload.put((*[vnetLen]byte)(f.slot[f.head-vnetLen:]), int(f.size))
		q.tx.set(n, f.slot[f.head-vnetLen:f.head+f.size])
		q.index[n] = i
		if n++; n == burst {
			q.sendBurst(port, frames, n)
			dealt, n = dealt+n, 0
		}
	}
	if n > 0 {
		q.sendBurst(port, frames, n)
	}
	return dealt + n
}

// sendBurst sends the first n messages. An error is about the first message not
// sent: what is wrong with the frame costs that frame, what is wrong with the
// interface costs the rest of the burst.
func (q *queue) sendBurst(port int, frames []*Frame, n int) {
	t := &q.taps[port]
	if t.fd < 0 {
		t.txDown.Add(uint64(n))
		return
	}
	for done := 0; done < n; {
		sent, errno := q.tx.send(t.fd, done, n)
		for _, i := range q.index[done : done+sent] {
			q.pool.give(frames[i])
			frames[i] = nil
		}
		t.txFrames.Add(uint64(sent))
		done += sent
		switch {
		case errno == 0 || errno == unix.EINTR:
		case errno == unix.EAGAIN || errno == unix.ENOBUFS:
			t.txFull.Add(uint64(n - done))
			return
		case down(errno):
			t.txDown.Add(uint64(n - done))
			q.ail(port)
			return
		case errno == unix.EMSGSIZE:
			t.txTooBig.Add(1)
			done++
		default:
			t.txRefused.Add(1)
			done++
		}
	}
}
