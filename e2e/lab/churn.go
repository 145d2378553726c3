package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Churn is a stream of short connections to an echo service: connect, one
// message there and back, hang up.
type Churn struct {
	stop    context.CancelFunc
	workers sync.WaitGroup

	mu     sync.Mutex
	served int
	failed []Break
}

// churnPatience is how long one connection may take: longer than a client's
// first three retransmissions of a SYN.
const churnPatience = 8 * time.Second

// Churn opens perSecond connections a second from the host until Stop.
func (h *Host) Churn(address string, perSecond int) *Churn {
	ctx, stop := context.WithCancel(context.Background())
	c := &Churn{stop: stop}
	h.lab.OnClose(stop)
	c.workers.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				c.workers.Go(func() { c.visit(ctx, h, address) })
			}
		}
	})
	return c
}

func (c *Churn) visit(ctx context.Context, h *Host, address string) {
	started := time.Now()
	local, err := h.exchange(ctx, address)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.served++
	case ctx.Err() == nil:
		c.failed = append(c.failed, Break{local, time.Since(started), err})
	}
}

// exchange is one visit; local is the client's end, as far as there was one.
func (h *Host) exchange(ctx context.Context, address string) (local string, err error) {
	ctx, cancel := context.WithTimeout(ctx, churnPatience)
	defer cancel()
	conn, err := h.Dial(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	local = conn.LocalAddr().String()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	return local, echo(conn, []byte("good day from "+local))
}

// echo sends a message and compares what comes back.
func echo(conn net.Conn, message []byte) error {
	if _, err := conn.Write(message); err != nil {
		return err
	}
	answer := make([]byte, len(message))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if !bytes.Equal(answer, message) {
		return fmt.Errorf("%q came back as %q", message, answer)
	}
	return nil
}

// Failed lists the visits that went wrong so far.
func (c *Churn) Failed() []Break {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Break(nil), c.failed...)
}

// Stop ends the stream and returns how many visits went well and which did not.
// Those under way are neither.
func (c *Churn) Stop() (served int, failed []Break) {
	c.stop()
	c.workers.Wait()
	return c.served, c.Failed()
}

// Idlers are connections that say nothing until they are woken.
type Idlers struct{ conns []net.Conn }

// Idlers opens n connections to an echo service and lets them speak once.
func (h *Host) Idlers(ctx context.Context, address string, n int) (*Idlers, error) {
	conns, err := h.dialMany(ctx, address, n)
	if err != nil {
		return nil, err
	}
	i := &Idlers{conns}
	h.lab.OnClose(i.Close)
	if broken := i.Wake(); broken != nil {
		i.Close()
		return nil, fmt.Errorf("%d of %d did not answer, the first: %v", len(broken), n, broken[0])
	}
	return i, nil
}

// Wake has each speak once and lists those that cannot any more.
func (i *Idlers) Wake() (broken []Break) {
	var mu sync.Mutex
	var all sync.WaitGroup
	started := time.Now()
	for n, conn := range i.conns {
		all.Go(func() {
			conn.SetDeadline(time.Now().Add(patience))
			if err := echo(conn, fmt.Appendf(nil, "idler %d", n)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				broken = append(broken, Break{conn.LocalAddr().String(), time.Since(started), err})
			}
		})
	}
	all.Wait()
	return broken
}

// Locals are the clients' ends.
func (i *Idlers) Locals() []string { return locals(i.conns) }

// Close hangs up.
func (i *Idlers) Close() {
	for _, conn := range i.conns {
		conn.Close()
	}
}
