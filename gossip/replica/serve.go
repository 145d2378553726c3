package replica

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"fleetlb/session"
)

const (
	// maxServing is how many pulls are served at once: each goes through all
	// sessions.
	maxServing = 2
	// patienceOfStream is how long either side waits for the other.
	patienceOfStream = 20 * time.Second
)

// Accept serves a stream that another director opened and returns when it is
// over. The caller closes c.
func (e *Engine) Accept(from session.Owner, c net.Conn) {
	out := stream{conn: c, buf: appendStreamHeader(nil)}
	if err := e.accept(from, c, &out); err != nil {
		e.log.Debug("replica: "+from.ID.String()+": serve: "+err.Error(), "epoch", from.Epoch)
		out.sorry(err)
	}
}

func (e *Engine) accept(from session.Owner, c net.Conn, out *stream) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.SetDeadline(time.Now().Add(patienceOfStream))
	q, err := readRequest(bufio.NewReader(c))
	if err != nil {
		e.refuse(refuseShape)
		return fmt.Errorf("request: %w", err)
	}
	s := e.roster.Load().seats[from.ID]
	switch {
	case s == nil || from.Epoch > s.Epoch:
		e.refuse(refuseStranger)
		return errors.New("not a member here yet")
	case from.Epoch < s.Epoch:
		e.refuse(refuseStale)
		return errors.New("from an earlier life")
	}
	select {
	case e.serving <- struct{}{}:
		defer func() { <-e.serving }()
	case <-time.After(patienceOfStream / 2):
		return errors.New("busy with other directors")
	}
	return e.serve(ctx, out, q)
}

// A request is what a puller wants and has.
type request struct {
	clauses []clause
	have    digests
}

// maxClauses bounds a request.
const maxClauses = 64

func readRequest(r io.Reader) (*request, error) {
	r = io.LimitReader(r, maxRequest)
	if err := readStreamHeader(r); err != nil {
		return nil, err
	}
	q := &request{have: make(digests)}
	var buf []byte
	for {
		kind, body, err := readFrame(r, buf)
		if err != nil {
			return nil, err
		}
		buf = body
		ok := true
		switch kind {
		case frameGo:
			return q, nil
		case frameWant:
			var c clause
			ok = c.parse(body) && len(q.clauses) < maxClauses
			q.clauses = append(q.clauses, c)
		case frameHave:
			ok = q.have.parse(body)
		}
		if !ok {
			return nil, fmt.Errorf("frame of kind %d is malformed", kind)
		}
	}
}

// differing returns the slots in which we have something else than the puller:
// what to send. Of our own sessions, if we have all of them, also that there are
// none.
func (q *request) differing(self session.NodeID, whole bool, ours digests) pairs {
	p := make(pairs)
	none := new([session.Slots]session.Digest)
	compare := func(home session.NodeID, mine *[session.Slots]session.Digest) {
		theirs := q.have[home]
		if theirs == nil {
			theirs = none
		}
		for slot := range mine {
			if mine[slot] != theirs[slot] && within(q.clauses, home, uint8(slot)) && (mine[slot].Count > 0 || whole && home == self) {
				p.add(home, uint8(slot))
			}
		}
	}
	for home, mine := range ours {
		compare(home, mine)
	}
	if ours[self] == nil {
		compare(self, none)
	}
	return p
}

func (e *Engine) serve(ctx context.Context, out *stream, q *request) error {
	self := e.roster.Load().self
	ours, err := e.sessions.Digests(ctx)
	if err != nil {
		return fmt.Errorf("digests: %w", err)
	}
	whole := e.whole.Load() == self.Epoch
	differing := q.differing(self.ID, whole, ours)
	if whole {
		at := len(out.buf)
		out.buf = closeFrame(openFrame(out.buf, frameWhole), at)
	}
	for home, slots := range differing {
		out.buf = appendDiffers(out.buf, home, slots, ours[home])
	}
	if err := out.flush(); err != nil {
		return err
	}
	records := uint64(0)
	if len(differing) > 0 {
		if records, err = e.export(ctx, out, differing, self); err != nil {
			return err
		}
	}
	b := binary.BigEndian.AppendUint64(openFrame(out.buf, frameEnd), records)
	out.buf = closeFrame(b, len(out.buf))
	e.counts.served.Add(records)
	return out.flush()
}

// export sends the sessions of the given pairs.
func (e *Engine) export(ctx context.Context, out *stream, p pairs, self session.Owner) (records uint64, err error) {
	out.buf = openFrame(out.buf, frameRecords)
	for chunk, err := range e.sessions.Export(ctx, p.query()) {
		if err != nil {
			return records, fmt.Errorf("export: %w", err)
		}
		for i := range chunk {
			r := &chunk[i]
			if !p.has(r.Home.ID, r.ClientSlot()) {
				continue
			}
			out.buf = appendRecord(out.buf, r, self)
			records++
			if len(out.buf) >= frameFill {
				closeFrame(out.buf, 0)
				if err := out.flush(); err != nil {
					return records, err
				}
				out.buf = openFrame(out.buf, frameRecords)
			}
		}
	}
	closeFrame(out.buf, 0)
	return records, out.flush()
}

// A stream writes frames.
type stream struct {
	conn  net.Conn
	buf   []byte
	begun bool // the header has been sent
}

// sorry tells the reader why there is no more.
func (s *stream) sorry(why error) {
	s.buf = s.buf[:0]
	if !s.begun {
		s.buf = appendStreamHeader(s.buf)
	}
	at := len(s.buf)
	s.buf = closeFrame(append(openFrame(s.buf, frameSorry), why.Error()...), at)
	s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	s.conn.Write(s.buf)
}

// flush writes what there is. A reader who is slow slows the export down; one who
// takes nothing at all ends it.
func (s *stream) flush() error {
	s.conn.SetWriteDeadline(time.Now().Add(patienceOfStream))
	_, err := s.conn.Write(s.buf)
	s.buf, s.begun = s.buf[:0], true
	return err
}
