package link

import (
	"bytes"
	"testing"
	"unsafe"
)

func newTestPool(t testing.TB, n int) *Pool {
	t.Helper()
	p, err := NewPool(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func take(t testing.TB, p *Pool) *Frame {
	t.Helper()
	var f [1]*Frame
	if p.Take(f[:]) != 1 {
		t.Fatal("the pool is empty")
	}
	return f[0]
}

func TestFrame(t *testing.T) {
	f := take(t, newTestPool(t, 1))
	if len(f.Bytes()) != 0 {
		t.Errorf("a new frame has %d bytes", len(f.Bytes()))
	}
	f.Resize(60)
	copy(f.Bytes(), "ethernet")
	f.Offload = Offload{Flags: flagNeedsChecksum, GSOType: 1, HdrLen: 54, GSOSize: 1448, ChecksumStart: 34, ChecksumOffset: 16}

	b := f.Prepend(40)
	if len(b) != 100 || !bytes.HasPrefix(b[40:], []byte("ethernet")) {
		t.Errorf("Prepend(40): %d bytes, %q behind them", len(b), b[40:48])
	}
	if o := f.Offload; o.ChecksumStart != 74 || o.HdrLen != 94 || o.GSOSize != 1448 {
		t.Errorf("Prepend(40): offload %+v", o)
	}
	if f.Prepend(Headroom-40+1) != nil {
		t.Error("Prepend goes beyond the headroom")
	}
	if b := f.Prepend(Headroom - 40); len(b) != 60+Headroom {
		t.Errorf("Prepend uses less than the headroom: %d bytes", len(b))
	}
	if b := f.Trim(Headroom); !bytes.HasPrefix(b, []byte("ethernet")) || f.Offload.ChecksumStart != 34 {
		t.Errorf("Trim: %q, offload %+v", b[:8], f.Offload)
	}
	if f.Trim(61) != nil {
		t.Error("Trim goes beyond the frame")
	}
	f.Resize(60 + f.Tailroom())
	if f.Tailroom() != 0 || len(f.Bytes()) < maxFrame {
		t.Errorf("a frame holds %d bytes, want %d", len(f.Bytes()), maxFrame)
	}
	defer func() {
		if recover() == nil {
			t.Error("Resize goes beyond the slot")
		}
	}()
	f.Resize(len(f.Bytes()) + 1)
}

func TestPool(t *testing.T) {
	p := newTestPool(t, 3)
	var frames [4]*Frame
	if n := p.Take(frames[:]); n != 3 || p.Len() != 0 || p.Cap() != 3 {
		t.Fatalf("Take: %d of 3 frames, %d left of %d", n, p.Len(), p.Cap())
	}
	for i, f := range frames[:3] {
		f.Resize(maxFrame)
		for j := range f.Bytes() {
			f.Bytes()[j] = byte(i)
		}
	}
	for i, f := range frames[:3] {
		if n := bytes.Count(f.Bytes(), []byte{byte(i)}); n != maxFrame {
			t.Errorf("frame %d: %d bytes are another's", i, maxFrame-n)
		}
	}
	p.Give(frames[:3])
	if f := take(t, p); f != frames[2] || len(f.Bytes()) != 0 {
		t.Error("the frame given back last does not come first, or not empty")
	}
	defer func() {
		if recover() == nil {
			t.Error("a frame can be given back twice")
		}
	}()
	p.Give(frames[:1])
}

func TestFrameSize(t *testing.T) {
	if n := unsafe.Sizeof(Frame{}); n > 64 {
		t.Errorf("a Frame is %d bytes long, want a cache line", n)
	}
}

func TestOffload(t *testing.T) {
	in := [vnetLen]byte{flagNeedsChecksum, 1, 54, 0, 0xa8, 5, 34, 0, 16, 0}
	var o Offload
	o.parse(&in)
	if want := (Offload{1, 1, 54, 1448, 34, 16}); o != want {
		t.Errorf("parse: %+v, want %+v", o, want)
	}
	var out [vnetLen]byte
	if o.put(&out, 1000); out != in {
		t.Errorf("put: % x, want % x", out, in)
	}
	if o.put(&out, 40); out[2] != 40 {
		t.Errorf("put: linear part of %d bytes in a frame of 40", out[2])
	}
	valid := Offload{Flags: flagValid}
	if valid.put(&out, 100); out != ([vnetLen]byte{}) {
		t.Errorf("put: a verified checksum is promised on: % x", out)
	}
}

// TestArm receives into more frames than the pool has.
func TestArm(t *testing.T) {
	q, err := newQueue(1, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	defer q.pool.Close()
	defer q.Close()
	armed := func() map[*Frame]bool {
		set := map[*Frame]bool{}
		for i, f := range q.armed[:q.ready] {
			if q.rx.iov[i].Base != &f.slot[f.head-vnetLen] {
				t.Fatalf("message %d does not point into its frame", i)
			}
			set[f] = true
		}
		if len(set) != q.ready {
			t.Fatalf("%d frames are armed %d times", len(set), q.ready)
		}
		return set
	}
	var held []*Frame
	receive := func(n int) {
		held = append(held, q.armed[:n]...)
		q.spent = n
	}
	if n := q.arm(); n != burst {
		t.Fatalf("%d armed, want %d", n, burst)
	}
	for _, n := range []int{1, 64, 0, 63} {
		receive(n)
		q.arm()
		armed()
	}
	for enough := poolFrames - 14; len(held) < enough; {
		receive(min(burst, enough-len(held)))
		q.arm()
		armed()
	}
	for _, want := range []int{14, 13, 10, 0} { // what is left when the pool is empty
		receive(q.ready - want)
		if n := q.arm(); n != want {
			t.Fatalf("%d armed, want %d", n, want)
		}
		armed()
	}
	q.Free(held)
	if n := q.arm(); n != burst || q.pool.Len() != poolFrames-burst {
		t.Errorf("all free: %d armed and %d in the pool", n, q.pool.Len())
	}
	armed()
}
