// Package linktest is a network interface card made of slices: a [link.Queue]
// for tests that need no kernel and are the same every time.
package linktest

import (
	"sync"
	"time"

	"fleetlb/fullnat/link"
)

// A Queue hands out the frames given to Inject, in that order, and keeps those
// that are sent. Recv, Send, Free and Alloc are the worker's; the rest is the
// test's, from any goroutine.
type Queue struct {
	pool *link.Pool // the worker's

	mu     sync.Mutex
	in     []Frame
	out    []Frame
	room   int // frames Send will still take; negative: any number
	closed bool
	wake   chan struct{}
}

// A Frame is a copy of a frame on its way in or out.
type Frame struct {
	Port    uint8
	Offload link.Offload
	Bytes   []byte
}

// New returns a queue with a pool of n frames.
func New(n int) *Queue {
	pool, err := link.NewPool(n)
	if err != nil {
		panic(err)
	}
	return &Queue{pool: pool, room: -1, wake: make(chan struct{}, 1)}
}

// Inject makes a plain frame arrive by a port.
func (q *Queue) Inject(port uint8, frame []byte) { q.InjectFrame(Frame{Port: port, Bytes: frame}) }

// InjectFrame makes a frame arrive, offload and all.
func (q *Queue) InjectFrame(f Frame) {
	f.Bytes = append([]byte(nil), f.Bytes...)
	q.mu.Lock()
	q.in = append(q.in, f)
	q.mu.Unlock()
	q.Wake()
}

// Sent returns the frames sent since it was last called, oldest first.
func (q *Queue) Sent() []Frame {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.out
	q.out = nil
	return out
}

// Room lets Send take n more frames and then refuse the rest, as a full
// transmit ring would; negative: any number.
func (q *Queue) Room(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.room = n
}

// Held returns how many frames the worker holds. Call it only while the worker
// is idle.
func (q *Queue) Held() int { return q.pool.Cap() - q.pool.Len() }

func (q *Queue) Recv(into []*link.Frame) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.pool.Take(into[:min(len(into), len(q.in))])
	for i, f := range into[:n] {
		from := q.in[i]
		f.Port, f.Offload = from.Port, from.Offload
		f.Resize(len(from.Bytes))
		copy(f.Bytes(), from.Bytes)
	}
	q.in = q.in[n:]
	return n
}

func (q *Queue) Send(frames []*link.Frame) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(frames)
	if q.room >= 0 {
		n = min(n, q.room)
		q.room -= n
	}
	for _, f := range frames[:n] {
		q.out = append(q.out, Frame{f.Port, f.Offload, append([]byte(nil), f.Bytes()...)})
	}
	q.pool.Give(frames[:n])
	return n
}

func (q *Queue) Free(frames []*link.Frame)    { q.pool.Give(frames) }
func (q *Queue) Alloc(into []*link.Frame) int { return q.pool.Take(into) }
func (q *Queue) Wait(timeout time.Duration) error {
	var over <-chan time.Time
	if timeout >= 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		over = t.C
	}
	if q.waiting() {
		return nil
	}
	select {
	case <-q.wake:
	case <-over:
	}
	return nil
}

// waiting says whether Recv would return something.
func (q *Queue) waiting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.in) > 0
}

func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Close unmaps the pool: the worker must have ended.
func (q *Queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	return q.pool.Close()
}
