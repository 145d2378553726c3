package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"
)

// Bounds on what one client can ask of the director.
const (
	maxRequest     = 1 << 20
	maxHeader      = 16 << 10
	maxConnections = 64
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	idleTimeout    = 10 * time.Second
	// writeTimeout is for the whole answer, except that a stream of sessions
	// has it anew for each piece.
	writeTimeout = 30 * time.Second
)

// A Socket is where a director is asked.
type Socket struct {
	path string
	l    *net.UnixListener
	log  *slog.Logger
	http http.Server
}

// Listen binds the socket at path, with group gid unless that is negative.
// Clients wait until Serve. The error says what is wrong with the path.
func Listen(path string, gid int, log *slog.Logger) (*Socket, error) {
	l, err := listen(path, gid)
	if err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	return &Socket{path: path, l: l, log: log, http: http.Server{
		ConnContext:       rememberPeer,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}, nil
}

// Serve answers from b until Close.
func (s *Socket) Serve(b Backend) error {
	s.http.Handler = s.guard(routes(b))
	err := s.http.Serve(&limited{s.l, make(chan struct{}, maxConnections)})
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin socket %s: %w", s.path, err)
	}
	return nil
}

// Close stops accepting, lets requests under way finish until ctx is done, and
// removes the socket.
func (s *Socket) Close(ctx context.Context) error {
	defer s.l.Close() // had Serve not been called
	if s.http.Shutdown(ctx) != nil {
		return s.http.Close()
	}
	return nil
}

type peerKey struct{}

// rememberPeer asks the kernel once a connection who is at the other end.
func rememberPeer(ctx context.Context, c net.Conn) context.Context {
	p, err := peerOf(c.(*slot).UnixConn)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, &p)
}

// guard stands before every request: who asks, how much, and what if we break.
func (s *Socket) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.recovered(w, r)
		p, ok := r.Context().Value(peerKey{}).(*peer)
		if !ok {
			fail(w, &Error{Forbidden, "admin socket", "cannot tell who is asking"})
			return
		}
		if err := p.may(s.path); err != nil {
			fail(w, &Error{Forbidden, "admin socket", err.Error()})
			return
		}
		if e := takeBody(w, r); e != nil {
			fail(w, e)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// takeBody reads all of a request before any of it is acted on, and then lifts
// the deadline for reading it: net/http would take the deadline, when it passes
// while we work, for the client's going away.
func takeBody(w http.ResponseWriter, r *http.Request) *Error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if tooBig := (*http.MaxBytesError)(nil); errors.As(err, &tooBig) {
		return &Error{Invalid, "request", fmt.Sprintf("more than %d MiB", maxRequest>>20)}
	}
	if err != nil {
		return &Error{Invalid, "request", err.Error()}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	return nil
}

// recovered turns a panic into an answer: a bug in what the operator looks at
// must not stop packets.
func (s *Socket) recovered(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { // how a stream is broken off
		panic(v)
	}
	s.log.Error("admin request panicked", "request", r.Method+" "+r.URL.Path, "panic", v, "stack", string(debug.Stack()))
	fail(w, &Error{Internal, "director", fmt.Sprintf("panic: %v; see its log", v)})
}
