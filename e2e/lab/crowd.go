package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Crowd is a population of long-lived TCP connections to an echo service. Each
// sends a numbered message, waits for it to come back and compares it, again
// and again: a connection that is merely open proves nothing.
type Crowd struct {
	interval time.Duration
	stop     chan struct{}
	members  sync.WaitGroup
	echoed   atomic.Uint64

	mu     sync.Mutex
	conns  []net.Conn
	broken []Break
	gap    time.Duration
}

// Break is the end of one connection of a Crowd.
type Break struct {
	Local string // the client's end
	After time.Duration
	Err   error
}

func (b Break) String() string { return fmt.Sprintf("%s after %v: %v", b.Local, b.After, b.Err) }

// patience is how long a member of a crowd waits for one echo. It is longer
// than TCP takes to recover from an outage of several seconds.
const patience = 20 * time.Second

// Crowd opens n connections from the host and keeps them talking, one message
// every interval each, until Stop. An error means that not all could be opened.
func (h *Host) Crowd(ctx context.Context, address string, n int, interval time.Duration) (*Crowd, error) {
	c := &Crowd{interval: interval, stop: make(chan struct{})}
	var err error
	if c.conns, err = h.dialMany(ctx, address, n); err != nil {
		return nil, err
	}
	c.members.Add(n)
	for i, conn := range c.conns {
		// Spread over the interval, so that the crowd does not speak in chorus.
		go c.converse(conn, uint64(i), interval*time.Duration(i)/time.Duration(n))
	}
	if !h.lab.OnClose(c.hangUp) {
		c.Stop()
		return nil, fmt.Errorf("%s: the lab is closed", h.Name)
	}
	return c, nil
}

// dialers is how many connections are opened at a time.
const dialers = 16

// dialMany opens n connections, or none.
func (h *Host) dialMany(ctx context.Context, address string, n int) ([]net.Conn, error) {
	conns := make([]net.Conn, n)
	var next atomic.Int64
	var all errgroup.Group
	for range min(dialers, n) {
		all.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				dial, cancel := context.WithTimeout(ctx, 10*time.Second)
				conn, err := h.Dial(dial, "tcp", address)
				cancel()
				if err != nil {
					next.Store(int64(n))
					return fmt.Errorf("connection %d of %d: %w", i+1, n, err)
				}
				conns[i] = conn
			}
		})
	}
	if err := all.Wait(); err != nil {
		for _, conn := range conns {
			if conn != nil {
				conn.Close()
			}
		}
		return nil, err
	}
	return conns, nil
}

func (c *Crowd) converse(conn net.Conn, id uint64, wait time.Duration) {
	defer c.members.Done()
	defer conn.Close()
	started := time.Now()
	message, answer := make([]byte, 256), make([]byte, 256)
	for number := uint64(0); ; number++ {
		select {
		case <-c.stop:
			return
		case <-time.After(wait):
		}
		wait = c.interval
		binary.BigEndian.PutUint64(message, id)
		binary.BigEndian.PutUint64(message[8:], number)
		for i := 16; i < len(message); i++ {
			message[i] = byte(id) + byte(number)*31 + byte(i)
		}
		asked := time.Now()
		conn.SetDeadline(asked.Add(patience))
		_, err := conn.Write(message)
		if err == nil {
			_, err = io.ReadFull(conn, answer)
		}
		if err == nil && !bytes.Equal(message, answer) {
			err = fmt.Errorf("message %d came back changed", number)
		}
		if err != nil {
			c.lost(Break{conn.LocalAddr().String(), time.Since(started), err})
			return
		}
		c.echoed.Add(1)
		c.waited(time.Since(asked))
	}
}

func (c *Crowd) lost(b Break) {
	select {
	case <-c.stop:
		return // we hung up
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = append(c.broken, b)
}

func (c *Crowd) waited(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gap = max(c.gap, d)
}

// Broken lists the connections that ended or came back with wrong data.
func (c *Crowd) Broken() []Break {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Break(nil), c.broken...)
}

// Size is how many connections there were at the beginning.
func (c *Crowd) Size() int { return len(c.conns) }

// Locals are the clients' ends.
func (c *Crowd) Locals() []string { return locals(c.conns) }

func locals(conns []net.Conn) (all []string) {
	for _, conn := range conns {
		all = append(all, conn.LocalAddr().String())
	}
	return all
}

// Echoed is how many messages came back whole.
func (c *Crowd) Echoed() uint64 { return c.echoed.Load() }

// Gap returns the longest that any message took there and back since the last
// call.
func (c *Crowd) Gap() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.gap
	c.gap = 0
	return g
}

// Proven waits until as many messages have come back as there are living
// connections, twice over: after that, each has most probably spoken since.
func (c *Crowd) Proven(timeout time.Duration) error {
	c.mu.Lock()
	living := uint64(len(c.conns) - len(c.broken))
	c.mu.Unlock()
	want := c.Echoed() + 2*living
	return Await(timeout, "every connection to speak again", func() error {
		if got := c.Echoed(); got < want {
			return fmt.Errorf("%d of %d messages came back", 2*living-(want-got), 2*living)
		}
		return nil
	})
}

// Stop ends the conversations and returns those that broke before.
func (c *Crowd) Stop() []Break {
	c.hangUp()
	c.members.Wait()
	return c.Broken()
}

func (c *Crowd) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.stop:
		return
	default:
	}
	close(c.stop)
	for _, conn := range c.conns {
		conn.SetDeadline(time.Unix(1, 0))
	}
}
