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
	dealt, n, fit := 0, 0, true
	for i, f := range frames {
		if f == nil || int(f.Port) != port {
			continue
		}
		q.index[n] = i
		fit = fit && f.suitsRing()
		if n++; n == burst {
			q.sendBurst(port, frames, n, fit)
			dealt, n, fit = dealt+n, 0, true
		}
	}
	if n > 0 {
		q.sendBurst(port, frames, n, fit)
	}
	return dealt + n
}

// suitsRing says whether a frame may leave by a ring, which takes no
// super-packets. A checksum that is owed can be paid: to add up 1,500 bytes costs
// a fraction of what the packet socket does.
func (f *Frame) suitsRing() bool {
	o := &f.Offload
	return !o.GSO() && (!o.NeedsChecksum() || o.covers(int(f.size)))
}

// sendBurst sends the first n frames of index, by the ring if all of them fit it,
// so that their order stays.
func (q *queue) sendBurst(port int, frames []*Frame, n int, fit bool) {
	t := &q.taps[port]
	if !fit || len(t.rings) == 0 || t.sulks || !q.sendRing(port, frames, n) {
		for i, at := range q.index[:n] {
			f := frames[at]
			f.Offload.put((*[vnetLen]byte)(f.slot[f.head-vnetLen:]), int(f.size))
			q.tx.set(i, f.slot[f.head-vnetLen:f.head+f.size])
		}
		q.sendPacket(port, frames, n)
	}
}

// sendRing sends a burst by the ring, or reports that it does not take all of it.
func (q *queue) sendRing(port int, frames []*Frame, n int) bool {
	t := &q.taps[port]
	x := t.rings[0]
	if x.room() < n {
		return false
	}
	for _, at := range q.index[:n] {
		if int(frames[at].size) > x.longest {
			return false
		}
	}
	for i, at := range q.index[:n] {
		x.put(i, frames[at])
		q.pool.give(frames[at])
		frames[at] = nil
	}
	t.txFrames.Add(uint64(n))
	if rest, errno := x.send(n); rest > 0 && down(errno) {
		t.sulks = true
		q.ail(port)
	}
	return true
}

// sendPacket sends the first n messages. An error is about the first message not
// sent: what is wrong with the frame costs that frame, what is wrong with the
// interface costs the rest of the burst.
func (q *queue) sendPacket(port int, frames []*Frame, n int) {
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
		t.sulks = t.sulks && sent == 0
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
