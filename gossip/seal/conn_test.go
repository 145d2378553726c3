package seal

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// meeting lets a dial b over what carry makes of a pipe, and returns both ends.
func meeting(t testing.TB, a, b *Endpoint, wanted uint64, carry func(net.Conn) net.Conn) (dialed, accepted *Conn, dialErr, acceptErr error) {
	t.Helper()
	x, y := net.Pipe()
	t.Cleanup(func() { x.Close(); y.Close() })
	deadline := time.Now().Add(10 * time.Second)
	_, _ = x.SetDeadline(deadline), y.SetDeadline(deadline)
	if carry != nil {
		x = carry(x)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		if accepted, _, acceptErr = b.Accept(y); acceptErr != nil {
			y.Close()
		}
	})
	if dialed, dialErr = a.Dial(x, a.ring.IDs()[0], wanted, 3); dialErr != nil {
		x.Close()
	}
	wait.Wait()
	return dialed, accepted, dialErr, acceptErr
}

func TestStream(t *testing.T) {
	a, b := endpoint(t, alice, oldKey), endpoint(t, bob, newKey, oldKey)
	x, y, err1, err2 := meeting(t, a, b, bob.Node, nil)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if x.Peer() != bob || y.Peer() != alice {
		t.Fatalf("%v meets %v", x.Peer(), y.Peer())
	}
	long := bytes.Repeat([]byte("0123456789abcdef"), 5000) // several frames
	for _, way := range []struct{ from, to *Conn }{{x, y}, {y, x}} {
		go func() {
			_, _ = way.from.Write(long)
			_ = way.from.CloseWrite()
		}()
		got, err := io.ReadAll(way.to)
		if err != nil || !bytes.Equal(got, long) {
			t.Fatalf("%d bytes of %d: %v", len(got), len(long), err)
		}
	}
}

func TestStreamRefusals(t *testing.T) {
	later := Life{alice.Node, alice.Epoch + 1}
	tests := []struct {
		name   string
		a, b   func() *Endpoint
		wanted uint64
		want   Reason
	}{
		{"another key", func() *Endpoint { return endpoint(t, alice, newKey) }, nil, 0, UnknownKey},
		{"another label", func() *Endpoint { return NewEndpoint(ring(t, "other", oldKey), alice) }, nil, 0, UnknownKey},
		{"ourselves", func() *Endpoint { return endpoint(t, bob, oldKey) }, nil, 0, Own},
		{"somebody else is there", nil, nil, eve.Node, Misdirected},
		{"a life that ended", nil, func() *Endpoint {
			b := endpoint(t, bob, oldKey)
			b.Open(seal(t, endpoint(t, later, oldKey), bob, "reborn"))
			return b
		}, 0, StaleEpoch},
	}
	for _, tt := range tests {
		a, b := endpoint(t, alice, oldKey), endpoint(t, bob, oldKey)
		if tt.a != nil {
			a = tt.a()
		}
		if tt.b != nil {
			b = tt.b()
		}
		_, _, err1, err2 := meeting(t, a, b, tt.wanted, nil)
		if !errors.Is(err1, tt.want) || !errors.Is(err2, tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, err1, err2, tt.want)
		}
	}
}

// A dialer, too, does not speak with a life that ended.
func TestStaleAcceptor(t *testing.T) {
	a := endpoint(t, alice, oldKey)
	a.Open(seal(t, endpoint(t, Life{bob.Node, bob.Epoch + 1}, oldKey), alice, "reborn"))
	var refused *RefusedError
	if _, _, err, _ := meeting(t, a, endpoint(t, bob, oldKey), 0, nil); !errors.Is(err, StaleEpoch) || errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
}

// A tap keeps what its stream's dialer says.
type tap struct {
	net.Conn
	said bytes.Buffer
}

func (r *tap) Write(b []byte) (int, error) {
	r.said.Write(b)
	return r.Conn.Write(b)
}

// A stream played again to the very same director is not accepted.
func TestRecordedStream(t *testing.T) {
	a, b := endpoint(t, alice, oldKey), endpoint(t, bob, oldKey)
	var record *tap
	_, _, err1, err2 := meeting(t, a, b, 0, func(c net.Conn) net.Conn { record = &tap{Conn: c}; return record })
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	x, y := net.Pipe()
	defer x.Close()
	go func() {
		said := record.said.Bytes()
		_, _ = x.Write(said[:helloSize])
		_, _ = io.ReadFull(x, make([]byte, answerSize))
		_, _ = x.Write(said[helloSize:])
	}()
	if _, _, err := b.Accept(y); !errors.Is(err, Forged) {
		t.Errorf("a recording: %v", err)
	}
}

// A breaker changes one byte of what is written.
type breaker struct {
	net.Conn
	at int
}

func (f *breaker) Write(b []byte) (int, error) {
	if 0 <= f.at && f.at < len(b) {
		b = slices.Clone(b)
		b[f.at] ^= 0x40
	}
	f.at -= len(b)
	return f.Conn.Write(b)
}

// Whichever byte of a stream's opening or of its first frames is changed, no byte
// comes out that was not written.
func TestEveryByteOfAStreamCounts(t *testing.T) {
	synctest.Test(t, everyByteOfAStreamCounts) // some changes end in a timeout
}

func everyByteOfAStreamCounts(t *testing.T) {
	for at := range helloSize + (2 + 1 + tagSize) + (2 + 4 + tagSize) {
		a, b := endpoint(t, alice, oldKey), endpoint(t, bob, oldKey)
		x, y, err1, err2 := meeting(t, a, b, 0, func(c net.Conn) net.Conn { return &breaker{c, at} })
		if err1 != nil || err2 != nil {
			if at >= helloSize+2+1+tagSize {
				t.Errorf("byte %d: %v, %v", at, err1, err2)
			}
			continue
		}
		go func() { _, _ = x.Write([]byte("news")); x.Close() }()
		if got, err := io.ReadAll(y); len(got) != 0 || err == nil {
			t.Errorf("byte %d may be changed: %q, %v", at, got, err)
		}
	}
}

// A stream that is cut is not one that ended.
func TestCutStream(t *testing.T) {
	x, y, _, _ := meeting(t, endpoint(t, alice, oldKey), endpoint(t, bob, oldKey), 0, nil)
	go func() { _, _ = x.Write([]byte("news")); x.Close() }()
	got, err := io.ReadAll(y)
	if string(got) != "news" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q: %v", got, err)
	}
}

// FuzzAccept holds that no stream opens for who has no key, whatever he says, and
// that he is not remembered.
func FuzzAccept(f *testing.F) {
	a := endpoint(f, alice, oldKey)
	var record *tap
	meeting(f, a, endpoint(f, bob, oldKey), 0, func(c net.Conn) net.Conn { record = &tap{Conn: c}; return record })
	f.Add(record.said.Bytes())
	f.Add(record.said.Bytes()[:helloSize])
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 200))
	f.Fuzz(func(t *testing.T, said []byte) {
		b := endpoint(t, bob, oldKey)
		c := &script{in: bytes.NewReader(said)}
		s, _, err := b.Accept(c)
		if s != nil || err == nil || len(b.in) != 0 {
			t.Errorf("%x is let in: %v", said, err)
		}
		if c.out > answerSize {
			t.Errorf("%x is answered with %d bytes", said, c.out)
		}
	})
}

// A script is a stream on which everything was said in advance.
type script struct {
	net.Conn
	in  *bytes.Reader
	out int
}

func (s *script) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error) { s.out += len(b); return len(b), nil }
