package traffic

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Window is how many requests, or connections, are under way: fewer than a veth
// holds in the ring of one receive queue (256), so that none is lost between the
// ends and the device.
const Window = 240

const (
	patience  = 100 * time.Millisecond // then a request is lost, and another takes its place
	glance    = 20 * time.Millisecond  // between looks for such
	settling  = 300 * time.Millisecond // before anything is counted
	stillness = 30 * time.Millisecond  // nothing came for so long: nothing is under way
)

// A Count is what happened in some time.
type Count struct {
	Done   uint64 // round trips, or connections from SYN to the last ACK
	Lost   uint64 // requests, or connections, given up
	Late   uint64 // answers to such, and answers that came twice
	Wrong  uint64 // frames that no client should have got, or not like that
	Resets uint64
	Unsent uint64 // frames that could not be made
	Took   time.Duration
}

// PerSecond is how many were done in a second.
func (c Count) PerSecond() float64 { return float64(c.Done) / c.Took.Seconds() }

// Awake says whether the device has XDP programs at both its ends: it is then cheaper
// to send to it.
func (t *Crowd) Awake(yes bool) {
	var n uint32
	if yes {
		n = 1
	}
	atomic.StoreUint32(&t.control.awake, n)
}

// Warm opens sessions: each gets so many answers.
func (t *Crowd) Warm(ctx context.Context, sessions, answers int) error {
	if sessions > len(t.answers) {
		return fmt.Errorf("traffic: %d sessions: there is room for %d", sessions, len(t.answers))
	}
	if sessions <= t.warm {
		return nil
	}
	clear(t.answers[t.warm:])
	asked := control{mode: inTurn, sessions: uint32(sessions), size: 64, first: uint32(t.warm), turn: uint32(t.warm)}
	from := t.warm
	err := t.keep(ctx, asked, nil, func() bool {
		for ; from < sessions; from++ {
			if atomic.LoadUint64(&t.answers[from]) < uint64(answers) {
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("traffic: open %d sessions: %d have answered %d times: %w", sessions, from, answers, err)
	}
	t.warm = sessions
	return nil
}

// RoundTrips has the window full of requests of sessions at random, in frames of
// this size, for so long.
func (t *Crowd) RoundTrips(ctx context.Context, sessions, size int, d time.Duration) (Count, error) {
	return t.saturate(ctx, control{mode: atRandom, sessions: uint32(sessions), size: uint32(size)}, d)
}

// Connections opens and closes connections, as many at a time as the window has
// room for, for so long.
func (t *Crowd) Connections(ctx context.Context, d time.Duration) (Count, error) {
	return t.saturate(ctx, control{mode: connect}, d)
}

func (t *Crowd) saturate(ctx context.Context, asked control, d time.Duration) (Count, error) {
	var c Count
	begin := time.Now()
	var started time.Time
	var before tally
	err := t.keep(ctx, asked, &c.Lost, func() bool {
		switch now := time.Now(); {
		case started.IsZero():
			if now.Sub(begin) >= settling {
				started, before, c.Lost = now, t.now(), 0
				t.config.Mark()
			}
		case now.Sub(started) >= d:
			c.since(before, t.now())
			c.Took = now.Sub(started)
			t.config.Mark()
			return true
		}
		return false
	})
	if err != nil {
		return c, fmt.Errorf("traffic: %w", err)
	}
	return c, nil
}

func (c *Count) since(before, after tally) {
	c.Done = after.answered - before.answered
	c.Late = after.late - before.late
	c.Wrong = after.wrong - before.wrong
	c.Resets = after.resets - before.resets
	c.Unsent = after.refused - before.refused
}

// now is what the clients have counted.
func (t *Crowd) now() tally {
	c := &t.tallies[0]
	return tally{
		answered: atomic.LoadUint64(&c.answered), late: atomic.LoadUint64(&c.late), wrong: atomic.LoadUint64(&c.wrong),
		resets: atomic.LoadUint64(&c.resets), refused: atomic.LoadUint64(&c.refused),
	}
}

// keep fills the window, and replaces what is lost, until done says so, which is
// asked often.
func (t *Crowd) keep(ctx context.Context, asked control, lost *uint64, done func() bool) error {
	return t.generating(func() error {
		t.begin(asked)
		defer t.still()
		all := make([]uint64, Window)
		for i := range all {
			all[i] = uint64(i)
		}
		if err := t.start(all); err != nil {
			return err
		}
		var turns [Window]uint32
		var seen [Window]time.Time
		for now := time.Now(); ; now = time.Now() {
			if done() {
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			missing := all[:0:0]
			for i := range turns {
				if turn := atomic.LoadUint32(&t.slots[i].turn); turn != turns[i] || seen[i].IsZero() {
					turns[i], seen[i] = turn, now
				} else if now.Sub(seen[i]) >= patience {
					missing = append(missing, uint64(i))
					seen[i] = now
				}
			}
			if len(missing) > 0 {
				if lost != nil {
					*lost += uint64(len(missing))
				}
				if err := t.start(missing); err != nil {
					return err
				}
			}
			time.Sleep(glance)
		}
	})
}

// generating calls f on a thread that may generate: in the clients' namespace,
// on the core that is for it.
func (t *Crowd) generating(f func() error) error {
	return t.config.Clients(func() error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var before, own unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			return fmt.Errorf("affinity: %w", err)
		}
		own.Set(t.config.Core)
		if err := unix.SchedSetaffinity(0, &own); err != nil {
			return fmt.Errorf("core %d: %w", t.config.Core, err)
		}
		defer unix.SchedSetaffinity(0, &before)
		return f()
	})
}

// begin says what clients do from now on.
func (t *Crowd) begin(asked control) {
	c, mode := t.control, asked.mode
	asked.random, asked.awake, asked.mode = c.random, c.awake, stop
	*c = asked
	atomic.StoreUint32(&c.mode, mode)
}

// still ends what is under way and waits until nothing more comes.
func (t *Crowd) still() {
	atomic.StoreUint32(&t.control.mode, stop)
	for before := t.now(); ; {
		time.Sleep(stillness)
		now := t.now()
		if now == before {
			return
		}
		before = now
	}
}

// start generates the first frame of each of these slots.
func (t *Crowd) start(slots []uint64) error {
	copy(t.list, slots)
	atomic.StoreUint32(&t.control.next, 0)
	return t.generate(len(slots))
}

// testLiveFrames is BPF_F_TEST_XDP_LIVE_FRAMES: what the program redirects leaves.
const testLiveFrames = 1 << 1

// generate runs the generator so many times.
func (t *Crowd) generate(n int) error {
	if n == 0 {
		return nil
	}
	size := 64
	if t.control.mode != connect {
		size = int(t.control.size)
	}
	frame := make([]byte, size)
	binary.BigEndian.PutUint16(frame[12:], 0x0800)
	_, err := t.programs.Generate.Run(&ebpf.RunOptions{
		Data: frame, Repeat: uint32(n), Flags: testLiveFrames, BatchSize: uint32(min(n, 64)),
	})
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	return nil
}
