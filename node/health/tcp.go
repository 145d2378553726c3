package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// tryTCP connects, says Payload, and waits for Expect, as far as they are set.
func tryTCP(ctx context.Context, t *Target) (hangUp func(), err error) {
	conn, err := dial(ctx, "tcp", t)
	if err != nil {
		return nil, err
	}
	hangUp = func() { goodbye(ctx, conn) }
	if len(t.Check.Payload) > 0 {
		if _, err := conn.Write(t.Check.Payload); err != nil {
			return hangUp, failed("send", t, err)
		}
	}
	if t.Check.Expect == "" {
		return hangUp, nil
	}
	return hangUp, expect(conn, "answer", t)
}

// expect reads r until it has said what the check expects.
func expect(r io.Reader, what string, t *Target) error {
	want := []byte(t.Check.Expect)
	var got bytes.Buffer
	chunk := make([]byte, 4<<10)
	for got.Len() < maxBody {
		n, err := r.Read(chunk)
		before := max(0, got.Len()-len(want)+1) // it may straddle two reads
		got.Write(chunk[:n])
		if bytes.Contains(got.Bytes()[before:], want) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s lacks %q", what, t.Check.Expect)
		}
		if err != nil {
			return failed(what, t, err)
		}
	}
	return fmt.Errorf("%s lacks %q in its first %d KiB", what, t.Check.Expect, maxBody>>10)
}

// Bounds on taking leave of a server.
const (
	byeWait  = 100 * time.Millisecond
	byeBytes = 256 << 10
)

// goodbye closes a connection in order: our FIN, then whatever the server still
// has to say up to its FIN. Closing with unread data would answer it with a
// reset. A server that keeps talking, or never closes, is left after a moment.
func goodbye(ctx context.Context, conn *link) {
	defer conn.Close()
	if ctx.Err() != nil || conn.Conn.(*net.TCPConn).CloseWrite() != nil {
		return
	}
	conn.SetReadDeadline(time.Now().Add(byeWait))
	io.CopyN(io.Discard, conn, byeBytes)
}
