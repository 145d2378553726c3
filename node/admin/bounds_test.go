package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"
)

// slow takes its time over everything asked here.
type slow struct {
	Backend
	take time.Duration
}

func (s slow) Drops(ctx context.Context) ([]Drop, error) {
	select {
	case <-time.After(s.take):
		return nil, nil
	case <-ctx.Done():
		return nil, errors.New("interrupted")
	}
}

func TestTimeouts(t *testing.T) {
	path := t.TempDir() + "/s"
	s, err := Listen(path, -1, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.http.ReadHeaderTimeout, s.http.ReadTimeout = 50*time.Millisecond, 50*time.Millisecond
	done := make(chan error, 1)
	go func() { done <- s.Serve(slow{take: 150 * time.Millisecond}) }()
	defer func() { s.Close(t.Context()); <-done }()

	for name, begun := range map[string]string{
		"a client that says nothing":            "",
		"that never ends its header":            "GET /v1/drops HTTP/1.1\r\nHost: x\r\n",
		"that never sends the body it promised": "POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, begun)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("%s is not sent away: %v", name, err)
		}
		c.Close()
	}
	// The deadline is the request's, not the answer's.
	if _, err := NewClient(path).Drops(t.Context()); err != nil {
		t.Errorf("an answer that takes longer than the request may: %v", err)
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	path := t.TempDir() + "/s"
	s, err := Listen(path, -1, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(slow{}) }()
	defer func() { s.Close(t.Context()); <-done }()
	var idle []net.Conn
	for range maxConnections {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := NewClient(path).Drops(ctx); err == nil || err.Error() != "director: no answer in time at "+path {
		t.Errorf("with all places taken: %v", err)
	}
	idle[0].Close()
	if _, err := NewClient(path).Drops(t.Context()); err != nil {
		t.Errorf("with one free: %v", err)
	}
}
