package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net"
	"slices"
)

// A stream opens with two messages in the clear and a proof from either side:
//
//	hello   version, key id, dialer's life, node wanted (0: any), 32 random bytes
//	answer  0, acceptor's life, 32 random bytes, tag
//	        or a Reason, unsealed: a hint for the operator, on which nothing hangs
//	frame   sealed: the stream's kind
//
// Each direction has a key, derived from the ring's and both messages. The tag
// proves the acceptor, the first frame the dialer; since either end's random
// bytes are in the keys, neither proof can be a recording.
const (
	nonceSize  = 32
	helloSize  = 1 + 4 + 16 + 8 + nonceSize
	answerSize = 1 + 16 + nonceSize + tagSize
)

// Dial opens a stream, with a key of the ring, to whoever accepts at the other
// end of c: to the node wanted, or to any if that is zero. It takes two journeys.
// Deadlines are those of c, which is left open on error. If the error is
// [UnknownKey], another key may do.
func (e *Endpoint) Dial(c net.Conn, id KeyID, wanted uint64, kind byte) (*Conn, error) {
	keys := *e.ring.keys.Load()
	i := find(keys, id)
	if i < 0 {
		return nil, UnknownKey
	}
	k := &keys[i]
	self := Life{e.boot.Node, e.epoch.Load()}
	hello := make([]byte, 0, helloSize)
	hello = append(hello, version)
	hello = binary.BigEndian.AppendUint32(hello, uint32(k.id))
	hello = self.append(hello)
	hello = binary.BigEndian.AppendUint64(hello, wanted)
	hello = appendRandom(hello)
	if _, err := c.Write(hello); err != nil {
		return nil, err
	}

	answer := make([]byte, answerSize)
	if _, err := io.ReadFull(c, answer[:1]); err != nil {
		return nil, err
	}
	if r := Reason(answer[0]); r != Fine {
		return nil, &RefusedError{min(r, NumReasons-1)}
	}
	if _, err := io.ReadFull(c, answer[1:]); err != nil {
		return nil, err
	}
	clear, tag := answer[:answerSize-tagSize], answer[answerSize-tagSize:]
	there := lifeFrom(clear[1:])
	send, receive := k.stream(hello, clear)
	if _, err := receive.Open(nil, make([]byte, 12), tag, clear); err != nil {
		return nil, e.refuse(Forged)
	}
	if wanted != 0 && there.Node != wanted {
		return nil, e.refuse(Misdirected)
	}
	if why := e.meet(there); why != Fine {
		return nil, e.refuse(why)
	}
	s := newConn(c, there, send, receive, 0, 1)
	if _, err := s.Write([]byte{kind}); err != nil {
		return nil, err
	}
	return s, nil
}

// A RefusedError is that the other end gave a reason and hung up. Nobody has
// proven to be there.
type RefusedError struct{ Reason Reason }

func (e *RefusedError) Error() string { return "refused: " + e.Reason.Text() }
func (e *RefusedError) Unwrap() error { return e.Reason }

// Accept takes a stream that somebody dialed. Deadlines are those of c, which
// is left open on error.
func (e *Endpoint) Accept(c net.Conn) (s *Conn, kind byte, err error) {
	hello := make([]byte, helloSize)
	if _, err := io.ReadFull(c, hello); err != nil {
		return nil, 0, e.refuse(Handshake)
	}
	k, why := e.hears(hello)
	if why != Fine {
		_, _ = c.Write([]byte{byte(why)}) // a hint, if it arrives
		return nil, 0, e.refuse(why)
	}
	from := lifeFrom(hello[5:])

	answer := make([]byte, 0, answerSize)
	answer = append(answer, byte(Fine))
	answer = Life{e.boot.Node, e.epoch.Load()}.append(answer)
	answer = appendRandom(answer)
	receive, send := k.stream(hello, answer)
	answer = send.Seal(answer, make([]byte, 12), nil, answer)
	if _, err := c.Write(answer); err != nil {
		return nil, 0, e.refuse(Handshake)
	}

	s = newConn(c, from, send, receive, 1, 0)
	first := make([]byte, 1)
	if _, err := io.ReadFull(s, first); err != nil {
		if err == error(Forged) {
			return nil, 0, e.refuse(Forged)
		}
		return nil, 0, e.refuse(Handshake)
	}
	if why := e.meet(from); why != Fine {
		return nil, 0, e.refuse(why)
	}
	return s, first[0], nil
}

// hears says whether a hello can be answered, and with which key.
func (e *Endpoint) hears(hello []byte) (*key, Reason) {
	keys := *e.ring.keys.Load()
	k := find(keys, KeyID(binary.BigEndian.Uint32(hello[1:])))
	from, wanted := lifeFrom(hello[5:]), binary.BigEndian.Uint64(hello[21:])
	e.hearing.Lock()
	defer e.hearing.Unlock()
	i := e.in[from.Node]
	switch {
	case hello[0] != version:
		return nil, Version
	case k < 0:
		return nil, UnknownKey
	case from.Node == e.boot.Node:
		return nil, Own
	case wanted != 0 && wanted != e.boot.Node:
		return nil, Misdirected
	case i != nil && from.Epoch < i.epoch:
		return nil, StaleEpoch
	}
	return &keys[k], Fine
}

// meet remembers a life that has proven itself on a stream.
func (e *Endpoint) meet(l Life) Reason {
	e.hearing.Lock()
	defer e.hearing.Unlock()
	if l.Node == e.boot.Node {
		return Own
	}
	_, why := e.heard(l)
	return why
}

// stream derives the keys of both directions: what the dialer sends first.
func (k *key) stream(hello, answer []byte) (dialer, acceptor cipher.AEAD) {
	transcript := sha256.Sum256(slices.Concat(hello, answer))
	return k.expand("stream dialer" + string(transcript[:])), k.expand("stream acceptor" + string(transcript[:]))
}

func lifeFrom(b []byte) Life {
	return Life{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func appendRandom(b []byte) []byte {
	b = append(b, make([]byte, nonceSize)...)
	_, _ = rand.Read(b[len(b)-nonceSize:]) // never fails
	return b
}
