package replica

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// FuzzDatagram gives an engine any datagram of a member's. Nothing it says may
// create a session that is not its own, and memory stays bounded.
func FuzzDatagram(f *testing.F) {
	them, other, me := session.Owner{ID: 1, Epoch: 7}, session.Owner{ID: 2, Epoch: 7}, session.Owner{ID: 3, Epoch: 7}
	f.Add(batchOf(them, 7, 1, record(them, 1), record(them, 2)))
	f.Add(batchOf(them, 7, 5, session.Record{Kind: session.Mark, Home: them, Slot: 3}))
	gone := record(them, 1)
	gone.Kind = session.Gone
	f.Add(batchOf(them, 7, 1, gone, record(other, 1)))
	a := ackState{stream: 1, applied: 1, bits: 2, held: [32]byte{1, 2}}
	f.Add(a.appendTo(appendHeader(nil, 7)))
	f.Add(appendRestart(appendHeader(nil, 7), 1))
	r := record(them, 1)
	ask := openBlock(appendHeader(nil, 7), blockAsk)
	ask = append(ask, 0, 0, 0, 1)
	ask = appendTuple(appendTuple(ask, r.Face(session.Inbound)), packet.Tuple{Src: addr("2001:db8::1"), Dst: addr("2001:db8::2"), Protocol: packet.UDP})
	f.Add(closeBlock(ask, headerSize))
	answer := append(openBlock(appendHeader(nil, 7), blockAnswer), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0)
	f.Add(closeBlock(appendRecord(answer, &r, them), headerSize))
	behind := batch{body: nil, number: 1, behind: everySlot()}
	f.Add((&outgoing{stream: 1, oldest: 1}).appendBatch(appendHeader(nil, 7), &behind))
	f.Fuzz(func(t *testing.T, payload []byte) {
		n := newNetwork(1)
		m := newMemory(me)
		m.engine = New(me, wire{n, me.ID}, m, Options{})
		m.engine.SetMembers([]Member{member(them), member(other)})
		m.engine.Tell(0, []session.Record{record(me, 1)})
		m.engine.step(t.Context(), time.Now())
		m.engine.Ask(0, []packet.Tuple{r.Face(session.Inbound)})
		m.engine.step(t.Context(), time.Now())
		before := bytes.Clone(payload)
		m.engine.Receive(them, payload)
		m.engine.Receive(them, payload) // a copy must do no harm
		m.engine.step(t.Context(), time.Now())
		if !bytes.Equal(before, payload) {
			t.Error("the payload was written to")
		}
		if n := m.count(other.ID) + m.count(me.ID); n != 0 {
			t.Errorf("%d sessions of others were created", n)
		}
		for _, r := range m.all {
			if r.Valid() != nil || !block(them.ID).Contains(r.Local.Netip()) && r.LocalPort != 0 {
				t.Errorf("session %+v", r)
			}
		}
		m.engine.pulls.Wait()
	})
}

// FuzzServe gives the server of pulls any request: it answers with what is asked
// for or says why not, and ends.
func FuzzServe(f *testing.F) {
	them, me := session.Owner{ID: 1, Epoch: 7}, session.Owner{ID: 3, Epoch: 7}
	own := clause{homes: []session.NodeID{me.ID}, slots: everySlot()}
	rest := clause{homes: []session.NodeID{me.ID, them.ID}, except: true, slots: everySlot()}
	end := closeFrame(openFrame(nil, frameGo), 0)
	f.Add(append(rest.appendTo(own.appendTo(appendStreamHeader(nil))), end...))
	have := appendHave(own.appendTo(appendStreamHeader(nil)), me.ID, &[session.Slots]session.Digest{3: {Count: 1, Sum: 2}}, []clause{own})
	f.Add(append(have, end...))
	f.Add(append(appendStreamHeader(nil), end...))
	f.Add([]byte{})
	m := newMemory(me)
	m.engine = New(me, nil, m, Options{})
	m.engine.SetMembers([]Member{member(them)})
	for n := range 100 {
		r := record(me, n)
		m.put(&r)
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		c := &recorder{Reader: bytes.NewReader(request)}
		m.engine.Accept(them, c)
		r := bytes.NewReader(c.written.Bytes())
		if err := readStreamHeader(r); err != nil {
			t.Fatal(err)
		}
		records := 0
		for {
			kind, body, err := readFrame(r, nil)
			if err != nil {
				t.Fatalf("%v after %d records", err, records)
			}
			for kind == frameRecords && len(body) > 0 {
				b, next, ok := nextRecord(body)
				var r session.Record
				if _, err := r.Parse(b, me); !ok || err != nil || r.Valid() != nil {
					t.Fatalf("a record that cannot be: %v", err)
				}
				body = next
				records++
			}
			if kind == frameEnd || kind == frameSorry {
				break
			}
		}
		if records > 100 {
			t.Errorf("%d records of 100 sessions", records)
		}
	})
}

// FuzzPull gives a puller any answer: it ends, and takes nothing that it did not
// ask for.
func FuzzPull(f *testing.F) {
	them, other, me := session.Owner{ID: 1, Epoch: 7}, session.Owner{ID: 2, Epoch: 7}, session.Owner{ID: 3, Epoch: 7}
	r, s := record(them, 1), record(other, 1)
	var one slotSet
	one.add(r.ClientSlot())
	var counts [session.Slots]session.Digest
	counts[r.ClientSlot()].Count = 1
	answer := appendDiffers(appendStreamHeader(nil), them.ID, &one, &counts)
	at := len(answer)
	answer = closeFrame(appendRecord(appendRecord(openFrame(answer, frameRecords), &r, them), &s, them), at)
	at = len(answer)
	answer = closeFrame(append(openFrame(answer, frameEnd), 0, 0, 0, 0, 0, 0, 0, 2), at)
	f.Add(answer)
	f.Add(answer[:len(answer)-1])
	at = streamHeaderSize
	f.Add(closeFrame(append(openFrame(appendStreamHeader(nil), frameSorry), "busy"...), at))
	f.Fuzz(func(t *testing.T, answer []byte) {
		m := newMemory(me)
		m.engine = New(me, dialer{answer}, m, Options{})
		m.engine.SetMembers([]Member{member(them), member(other)})
		old := record(them, 9)
		m.put(&old)
		p := pull{e: m.engine, seat: m.engine.roster.Load().seats[them.ID], clauses: []clause{{homes: []session.NodeID{them.ID}, slots: everySlot()}}}
		p.run(t.Context())
		if n := m.count(other.ID) + m.count(me.ID); n != 0 {
			t.Errorf("%d sessions of others were created", n)
		}
	})
}

// A recorder is a connection whose reader has everything already.
type recorder struct {
	io.Reader
	net.Conn
	written bytes.Buffer
}

func (c *recorder) Read(b []byte) (int, error)       { return c.Reader.Read(b) }
func (c *recorder) Write(b []byte) (int, error)      { return c.written.Write(b) }
func (c *recorder) Close() error                     { return nil }
func (c *recorder) SetDeadline(time.Time) error      { return nil }
func (c *recorder) SetReadDeadline(time.Time) error  { return nil }
func (c *recorder) SetWriteDeadline(time.Time) error { return nil }

// A dialer's streams all answer the same.
type dialer struct{ answer []byte }

func (d dialer) Send(session.NodeID, []byte) error { return nil }

func (d dialer) Open(context.Context, session.NodeID) (net.Conn, error) {
	return &recorder{Reader: bytes.NewReader(d.answer)}, nil
}
