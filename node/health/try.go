package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds on what a check reads of an answer. A server that says more than this
// before it says what is expected does not say it.
const (
	maxHeader = 64 << 10
	maxBody   = 256 << 10
)

// try runs one check of t. Its error is the reason in operator words, nil if
// the server is well. hangUp, when not nil, takes leave of the server and is to
// be called once, after the result is known.
func try(ctx context.Context, t *Target) (hangUp func(), err error) {
	switch t.Check.Type {
	case "tcp":
		return tryTCP(ctx, t)
	case "http", "https":
		return tryHTTP(ctx, t)
	case "udp":
		return nil, tryUDP(ctx, t)
	case "dns":
		return nil, tryDNS(ctx, t)
	case "ping":
		return nil, tryPing(ctx, t)
	case "exec":
		return tryExec(ctx, t)
	}
	return nil, fmt.Errorf("there is no check of type %q", t.Check.Type)
}

// A link is a connection to a server, for one check. I/O on it ends with the
// check's context.
type link struct {
	net.Conn
	stop func() bool // forgets the context
}

func (l *link) Close() error {
	l.stop()
	return l.Conn.Close()
}

func dial(ctx context.Context, network string, t *Target) (*link, error) {
	d := net.Dialer{KeepAlive: -1}
	if src := t.Check.Source; src.IsValid() {
		d.Control = bindLate
		switch network {
		case "udp":
			d.LocalAddr = &net.UDPAddr{IP: src.AsSlice(), Zone: src.Zone()}
		default:
			d.LocalAddr = &net.TCPAddr{IP: src.AsSlice(), Zone: src.Zone()}
		}
	}
	conn, err := d.DialContext(ctx, network, t.endpoint().String())
	if err != nil {
		return nil, failed("connect", t, err)
	}
	return &link{conn, until(ctx, conn)}, nil
}

// bindLate lets the port be chosen when connecting, so that one port serves many
// destinations although the source address is bound before.
func bindLate(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // no harm if it cannot
	})
}

// until makes I/O on c end with ctx, at its deadline or when it is cancelled,
// until stop is called.
func until(ctx context.Context, c interface{ SetDeadline(time.Time) error }) (stop func() bool) {
	deadline, _ := ctx.Deadline()
	c.SetDeadline(deadline)
	return context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
}

// failed gives err, which stopped operation, the words an operator uses.
func failed(operation string, t *Target, err error) error {
	var errno syscall.Errno
	switch {
	case timedOut(err):
		return fmt.Errorf("%s: no answer within %v", operation, t.Check.Timeout)
	case errors.As(err, &errno):
		return fmt.Errorf("%s: %w", operation, errno)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%s: the server closed the connection", operation)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: the server closed the connection in mid-answer", operation)
	}
	return fmt.Errorf("%s: %w", operation, err)
}

func timedOut(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}
