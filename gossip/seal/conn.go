package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// maxFrame is how much one frame of a stream holds, unsealed.
const maxFrame = 16 << 10

// A Conn is a sealed stream. What is written goes out in frames of a two-byte
// length and at most maxFrame bytes, sealed; an empty frame is the end of one
// direction, so that a stream cut short is not taken for one that ended. One
// goroutine may read while another writes; deadlines and addresses are those of
// the stream below.
type Conn struct {
	net.Conn
	peer Life

	writing sync.Mutex
	send    half
	ended   bool

	reading sync.Mutex
	receive half
	rest    []byte // of the latest frame, not read yet
	err     error  // what reading ended with
}

// half is one direction.
type half struct {
	aead  cipher.AEAD
	nonce [12]byte // counts frames
	frame []byte
}

func newConn(c net.Conn, peer Life, send, receive cipher.AEAD, sent, received uint64) *Conn {
	s := &Conn{Conn: c, peer: peer, send: half{aead: send}, receive: half{aead: receive}}
	binary.BigEndian.PutUint64(s.send.nonce[4:], sent)
	binary.BigEndian.PutUint64(s.receive.nonce[4:], received)
	return s
}

func (h *half) next() {
	binary.BigEndian.PutUint64(h.nonce[4:], binary.BigEndian.Uint64(h.nonce[4:])+1)
}

// Peer is the life at the other end, proven.
func (c *Conn) Peer() Life { return c.peer }

func (c *Conn) Write(b []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for n < len(b) {
		part := b[n:min(len(b), n+maxFrame)]
		if err := c.writeFrame(part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// CloseWrite ends what is written; the other end reads to io.EOF, and may go on
// writing.
func (c *Conn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.ended {
		return nil
	}
	err := c.writeFrame(nil)
	c.ended = true
	return err
}

func (c *Conn) writeFrame(plain []byte) error {
	if c.ended {
		return net.ErrClosed
	}
	h := &c.send
	h.frame = binary.BigEndian.AppendUint16(h.frame[:0], uint16(len(plain)+tagSize))
	h.frame = h.aead.Seal(h.frame, h.nonce[:], plain, h.frame)
	h.next()
	if _, err := c.Conn.Write(h.frame); err != nil {
		c.ended = true // the other end may have half a frame
		return err
	}
	return nil
}

func (c *Conn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	if len(c.rest) == 0 && c.err == nil {
		c.rest, c.err = c.readFrame()
	}
	if len(c.rest) == 0 {
		return 0, c.err
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// readFrame reads one whole frame. Its error stays: nothing after it would make
// sense.
func (c *Conn) readFrame() ([]byte, error) {
	h := &c.receive
	h.frame = append(h.frame[:0], 0, 0)
	if _, err := io.ReadFull(c.Conn, h.frame); err != nil {
		return nil, cut(err)
	}
	n := int(binary.BigEndian.Uint16(h.frame))
	switch {
	case n < tagSize:
		return nil, Truncated
	case n > maxFrame+tagSize:
		return nil, Huge
	}
	if cap(h.frame) < 2+n {
		h.frame = append(make([]byte, 0, 2+n), h.frame...)
	}
	length, sealed := h.frame[:2], h.frame[2:2+n]
	if _, err := io.ReadFull(c.Conn, sealed); err != nil {
		return nil, cut(err)
	}
	plain, err := h.aead.Open(sealed[:0], h.nonce[:], sealed, length)
	if err != nil {
		return nil, Forged
	}
	h.next()
	if len(plain) == 0 {
		return nil, io.EOF
	}
	return plain, nil
}

// cut is the error of a stream that ends without saying so.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
