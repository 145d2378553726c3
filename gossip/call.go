package gossip

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"fleetlb/gossip/seal"
	"fleetlb/session"
)

// A call is a stream: the length of its kind in a byte, the kind, the length of
// the request in four, the request. The answer comes in chunks of a byte for
// what it is and four for its length, of which the last says how it went.
const (
	chunkData  = 0
	chunkDone  = 1
	chunkError = 2

	longestKind  = 64
	MaxRequest   = 4 << 20 // of a call, in bytes
	largestChunk = 64 << 10

	// idle is how long a stream may stand still.
	idle = 30 * time.Second
)

// A Handler answers a call. What it writes goes to the caller as it is written;
// its error, if any, is the caller's, too. The context ends when the fleet is
// closed.
type Handler func(ctx context.Context, from Member, request []byte, w io.Writer) error

// Handle answers calls of a kind.
func (f *Fleet) Handle(kind string, h Handler) { f.handlers.Store(kind, h) }

// Call asks a member. The answer is to be read to its end, where the member's
// own error comes, if it has one, and closed. The context is for all of it.
func (f *Fleet) Call(ctx context.Context, to session.NodeID, kind string, request []byte) (io.ReadCloser, error) {
	t, err := f.find(to)
	if err != nil {
		return nil, err
	}
	answer, err := f.call(ctx, t, kind, request)
	if err != nil {
		return nil, fmt.Errorf("gossip: member %s: call %s: %w", t.member.Name, kind, err)
	}
	return answer, nil
}

func (f *Fleet) call(ctx context.Context, t *target, kind string, request []byte) (io.ReadCloser, error) {
	if len(kind) > longestKind || len(request) > MaxRequest {
		return nil, fmt.Errorf("a request of %d bytes is longer than %d", len(request), MaxRequest)
	}
	c, err := f.open(ctx, t, toCall)
	if err != nil {
		return nil, err
	}
	b := append([]byte{byte(len(kind))}, kind...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(request)))
	stop := context.AfterFunc(ctx, func() { c.Close() })
	if _, err := c.Write(append(b, request...)); err != nil {
		stop()
		c.Close()
		return nil, err
	}
	return &answer{stream: c, r: bufio.NewReader(c), ctx: ctx, stop: stop}, nil
}

// answer reads what a handler writes.
type answer struct {
	*stream
	r    *bufio.Reader
	ctx  context.Context
	stop func() bool
	left int   // of the present chunk
	err  error // once it is over
}

func (a *answer) Read(b []byte) (int, error) {
	for a.left == 0 && a.err == nil {
		a.left, a.err = a.chunk()
	}
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.r.Read(b[:min(len(b), a.left)])
	a.left -= n
	if err != nil {
		a.err = a.cause(err)
	}
	return n, a.err
}

// chunk reads up to the next data, or to the end.
func (a *answer) chunk() (int, error) {
	var head [5]byte
	if _, err := io.ReadFull(a.r, head[:]); err != nil {
		return 0, a.cause(err)
	}
	n := binary.BigEndian.Uint32(head[1:])
	switch {
	case n > largestChunk:
		return 0, seal.Huge
	case head[0] == chunkData:
		return int(n), nil
	case head[0] == chunkDone:
		return 0, io.EOF
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(a.r, text); err != nil {
		return 0, a.cause(err)
	}
	return 0, errors.New(printable(text, largestChunk))
}

// cause prefers why the stream was closed to that it was.
func (a *answer) cause(err error) error {
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (a *answer) Close() error {
	a.stop()
	return a.stream.Close()
}

// answerCall serves one call.
func (f *Fleet) answerCall(c net.Conn, from Member) {
	w := bufio.NewWriterSize(c, 16<<10)
	err := f.serve(c, from, &chunks{w})
	text := ""
	head := byte(chunkDone)
	if err != nil {
		head, text = chunkError, err.Error()
		text = text[:min(len(text), largestChunk)]
	}
	_ = writeChunk(w, head, []byte(text))
	_ = w.Flush()
}

func (f *Fleet) serve(c net.Conn, from Member, w io.Writer) error {
	r := bufio.NewReader(c)
	n, err := r.ReadByte()
	if err != nil || n > longestKind {
		return errors.New("it is not a call")
	}
	kind := make([]byte, n)
	var size [4]byte
	if _, err := io.ReadFull(r, kind); err != nil {
		return err
	}
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	length := binary.BigEndian.Uint32(size[:])
	if length > MaxRequest {
		return seal.Huge
	}
	h, ok := f.handlers.Load(string(kind))
	if !ok {
		return fmt.Errorf("%s does not know calls of kind %q; is it of another version?", f.name, kind)
	}
	request, err := io.ReadAll(io.LimitReader(r, int64(length))) // grows with what comes, not with what is promised
	if err != nil || len(request) < int(length) {
		return cmp.Or(err, io.ErrUnexpectedEOF)
	}
	return h.(Handler)(f.ctx, from, request, w)
}

// chunks writes an answer's data.
type chunks struct{ w *bufio.Writer }

func (c *chunks) Write(b []byte) (n int, err error) {
	for n < len(b) {
		part := b[n:min(len(b), n+largestChunk)]
		if err := writeChunk(c.w, chunkData, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

func writeChunk(w *bufio.Writer, head byte, b []byte) error {
	if _, err := w.Write(binary.BigEndian.AppendUint32([]byte{head}, uint32(len(b)))); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// Open opens a sealed stream to a member's OnStream. It fails when nothing moves
// on it for half a minute, unless deadlines are set. To say that nothing more
// will be written it has CloseWrite; who closes it without is taken for cut off.
func (f *Fleet) Open(ctx context.Context, to session.NodeID) (net.Conn, error) {
	t, err := f.find(to)
	if err != nil {
		return nil, err
	}
	c, err := f.open(ctx, t, toEngine)
	if err != nil {
		return nil, fmt.Errorf("gossip: member %s: open a stream: %w", t.member.Name, err)
	}
	return c, nil
}

func (f *Fleet) open(ctx context.Context, t *target, kind byte) (*stream, error) {
	c, err := f.wire.dial(ctx, t.address, t.life.Node, t.keys, kind)
	if err != nil {
		return nil, err
	}
	return &stream{Conn: c, wire: f.wire}, nil
}

// stream is a sealed stream that does not stand still for ever.
type stream struct {
	*seal.Conn
	wire          *wire
	reads, writes atomic.Bool // their deadlines are the user's
}

func (s *stream) Read(b []byte) (int, error) {
	if !s.reads.Load() {
		_ = s.Conn.SetReadDeadline(time.Now().Add(idle))
	}
	return s.Conn.Read(b)
}

func (s *stream) Write(b []byte) (int, error) {
	if !s.writes.Load() {
		_ = s.Conn.SetWriteDeadline(time.Now().Add(idle))
	}
	return s.Conn.Write(b)
}

func (s *stream) SetReadDeadline(t time.Time) error {
	s.reads.Store(!t.IsZero())
	return s.Conn.SetReadDeadline(t)
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	s.writes.Store(!t.IsZero())
	return s.Conn.SetWriteDeadline(t)
}

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

func (s *stream) Close() error {
	s.wire.drop(s.Conn.Conn)
	return nil
}
