package replica

import "time"

// A trip is how long it takes from a batch to its acknowledgement (RFC 6298).
type trip struct {
	smooth, varies time.Duration
}

const (
	minTimeout = 10 * time.Millisecond
	maxTimeout = time.Second
)

func (t *trip) measure(d time.Duration) {
	if t.smooth == 0 {
		t.smooth, t.varies = max(d, 1), d/2
		return
	}
	t.varies += ((t.smooth - d).Abs() - t.varies) / 4
	t.smooth += (d - t.smooth) / 8
}

// timeout is after how long a batch is taken for lost.
func (t *trip) timeout() time.Duration {
	if t.smooth == 0 {
		return 2 * minTimeout
	}
	return min(max(t.smooth+4*t.varies, minTimeout), maxTimeout)
}

// earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
