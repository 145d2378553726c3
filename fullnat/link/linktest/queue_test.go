package linktest

import (
	"testing"
	"time"

	"fleetlb/fullnat/link"
)

func TestQueue(t *testing.T) {
	q := New(4)
	defer q.Close()
	var _ link.Queue = q
	q.Inject(1, []byte("first"))
	q.InjectFrame(Frame{Port: 0, Offload: link.Offload{GSOType: 1}, Bytes: []byte("second")})
	q.Wait(-1)

	var frames [8]*link.Frame
	n := q.Recv(frames[:])
	if n != 2 || q.Held() != 2 {
		t.Fatalf("received %d frames and hold %d, want 2", n, q.Held())
	}
	if f := frames[0]; f.Port != 1 || string(f.Bytes()) != "first" {
		t.Errorf("first frame: port %d, %q", f.Port, f.Bytes())
	}
	if n += q.Alloc(frames[n:]); n != 4 {
		t.Errorf("hold %d frames of 4", n)
	}
	q.Room(1)
	if sent := q.Send(frames[:n]); sent != 1 {
		t.Errorf("sent %d frames, there was room for 1", sent)
	}
	q.Free(frames[1:n])
	if out := q.Sent(); len(out) != 1 || string(out[0].Bytes) != "first" || out[0].Port != 1 {
		t.Errorf("sent %+v", out)
	}
	if len(q.Sent()) != 0 || q.Held() != 0 {
		t.Errorf("something is left: %d frames held", q.Held())
	}
	q.Wait(-1) // Inject has woken it once more
	start := time.Now()
	q.Wait(time.Millisecond)
	if time.Since(start) < time.Millisecond {
		t.Error("Wait does not wait")
	}
}
