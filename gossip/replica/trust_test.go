package replica

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// refused is what an engine refused, by reason.
func (e *Engine) refusedSoFar() map[string]uint64 {
	all := map[string]uint64{}
	for _, r := range e.Refusals() {
		if r.Count > 0 {
			all[r.Reason] = r.Count
		}
	}
	return all
}

// batchOf is a datagram with records as the first batch of a stream.
func batchOf(from session.Owner, life uint64, stream uint32, records ...session.Record) []byte {
	var body []byte
	for i := range records {
		body = appendRecord(body, &records[i], from)
	}
	o := outgoing{stream: stream, oldest: 1}
	return o.appendBatch(appendHeader(nil, life), &batch{body: body, number: 1})
}

// A member may be wrong or worse; the sessions of others are safe from it.
func TestTrust(t *testing.T) {
	victim, liar, me := session.Owner{ID: 1, Epoch: 7}, session.Owner{ID: 2, Epoch: 7}, session.Owner{ID: 3, Epoch: 7}
	change := func(r session.Record, f func(*session.Record)) session.Record {
		f(&r)
		return r
	}
	gone := func(r *session.Record) { r.Kind = session.Gone }
	for _, tt := range []struct {
		name    string
		from    session.Owner
		life    uint64 // of mine; 7
		record  session.Record
		refused string
		left    int // sessions of the victim, who has two
		liars   int // sessions of the liar's
	}{
		{name: "its own session", record: record(liar, 5), left: 2, liars: 1},
		{name: "its own, ended", record: change(record(liar, 5), gone), left: 2},
		{name: "an update of another's", record: record(victim, 1), left: 2},
		{name: "another's, which nobody has", record: record(victim, 5), left: 2},
		{name: "another's, ended", record: change(record(victim, 1), gone), refused: "not_its_owner", left: 2},
		{name: "another's slot, marked", record: session.Record{Kind: session.Mark, Home: victim}, refused: "not_its_owner", left: 2},
		{name: "mine, which I have not", record: record(me, 5), left: 2},
		{name: "its own, with another's address", refused: "not_its_block", left: 2,
			record: change(record(liar, 5), func(r *session.Record) { r.Local = record(victim, 5).Local })},
		{name: "another's, with its own address", refused: "not_its_block", left: 2,
			record: change(record(victim, 1), func(r *session.Record) { r.Local = record(liar, 1).Local })},
		{name: "of a life it has not had yet", refused: "stale_epoch", left: 2,
			record: change(record(liar, 5), func(r *session.Record) { r.Home.Epoch = 8 })},
		{name: "of a former life", left: 2, liars: 1,
			record: change(record(liar, 5), func(r *session.Record) { r.Home.Epoch = 6 })},
		{name: "a port of another slot", refused: "record", left: 2,
			record: change(record(liar, 5), func(r *session.Record) { r.LocalPort++ })},
		{name: "no such state", refused: "record", left: 2,
			record: change(record(liar, 5), func(r *session.Record) { r.State = session.TwoWay })},
		{name: "from a stranger", from: session.Owner{ID: 9, Epoch: 7}, record: record(session.Owner{ID: 9, Epoch: 7}, 5), refused: "stranger", left: 2},
		{name: "from its former life", from: session.Owner{ID: 2, Epoch: 6}, record: record(liar, 5), refused: "stale_epoch", left: 2},
		{name: "from a life that is not known yet", from: session.Owner{ID: 2, Epoch: 8}, record: record(liar, 5), refused: "stranger", left: 2},
		{name: "to my former life", life: 6, record: record(liar, 5), refused: "stale_epoch", left: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fleet{network: newNetwork(1), t: t}
				d := f.start(me)
				d.SetMembers([]Member{member(victim), member(liar)})
				d.Receive(victim, batchOf(victim, 7, 1, record(victim, 1), record(victim, 2)))
				from, life := liar, uint64(7)
				if tt.from.ID != 0 {
					from = tt.from
				}
				if tt.life != 0 {
					life = tt.life
				}
				d.Receive(from, batchOf(from, life, 1, tt.record))
				want := map[string]uint64{}
				if tt.refused != "" {
					want[tt.refused] = 1
				}
				if diff := cmp.Diff(want, d.refusedSoFar()); diff != "" {
					t.Errorf("refused: %s", diff)
				}
				if n := d.count(victim.ID); n != tt.left {
					t.Errorf("%d sessions of the victim, want %d", n, tt.left)
				}
				if n := d.count(liar.ID); n != tt.liars {
					t.Errorf("%d sessions of the liar, want %d", n, tt.liars)
				}
				if n := d.count(me.ID); n != 0 {
					t.Errorf("%d sessions of mine, want none", n)
				}
			})
		})
	}
}

// An answer counts if the question was put to who gives it, and if it fits.
func TestTrustAnswers(t *testing.T) {
	home, liar, me := session.Owner{ID: 1, Epoch: 7}, session.Owner{ID: 2, Epoch: 7}, session.Owner{ID: 3, Epoch: 7}
	asked := record(home, 5)
	question := asked.Face(session.Inbound)
	answer := func(id uint32, place byte, r session.Record) []byte {
		d := appendHeader(nil, me.Epoch)
		at := len(d)
		d = binary.BigEndian.AppendUint32(openBlock(d, blockAnswer), id)
		d = binary.BigEndian.AppendUint64(d, 1)
		return closeBlock(appendRecord(append(d, place), &r, liar), at)
	}
	foreign := asked
	foreign.Local = record(liar, 5).Local
	for _, tt := range []struct {
		name    string
		payload []byte
		refused string
		found   bool
	}{
		{"what was asked for", answer(1, 0, asked), "", true},
		{"to no question", answer(2, 0, asked), "unasked", false},
		{"to another question", answer(1, 1, asked), "unasked", false},
		{"of another session", answer(1, 0, record(home, 6)), "unasked", false},
		{"with an address of another's", answer(1, 0, foreign), "not_its_block", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fleet{network: newNetwork(1), t: t}
				d := f.start(me)
				d.SetMembers([]Member{member(home), member(liar)})
				d.Ask(0, []packet.Tuple{question})
				synctest.Wait() // it has been sent
				d.Receive(liar, tt.payload)
				want := map[string]uint64{}
				if tt.refused != "" {
					want[tt.refused] = 1
				}
				if diff := cmp.Diff(want, d.refusedSoFar()); diff != "" {
					t.Errorf("refused: %s", diff)
				}
				time.Sleep(time.Second)
				d.memory.mu.Lock()
				defer d.memory.mu.Unlock()
				if r := d.found[question]; (r != nil) != tt.found {
					t.Errorf("found %v, want %v", r, tt.found)
				}
			})
		})
	}
}

// A newer version that says older ones can read it is read, what is unknown in
// it skipped.
func TestNewerVersion(t *testing.T) {
	them, me := session.Owner{ID: 1, Epoch: 7}, session.Owner{ID: 2, Epoch: 7}
	newer := func(needs byte) []byte {
		block := func(d []byte, kind byte, body ...byte) []byte {
			at := len(d)
			return closeBlock(append(openBlock(d, kind), body...), at)
		}
		r := record(them, 5)
		d := appendHeader(nil, me.Epoch)
		d[2], d[3] = 9, needs
		d = block(d, 200, 1, 2, 3)
		at := len(d)
		d = openBlock(d, blockBatch)
		d = binary.BigEndian.AppendUint32(d, 1)
		d = binary.BigEndian.AppendUint32(d, 1)
		d = append(d, 0, 0, 0, 4, 77, 2, 0xaa, 0xbb) // an extension of another kind
		d = append(d, 3, 0x03, 0xff, 0xff)           // a record of another kind
		d = appendRecord(d, &r, them)
		with := r.AppendTo(nil, them) // one with something more behind what is known
		d = append(append(d, byte(len(with)+2)), with...)
		d = append(d, 0xcc, 0xdd)
		d = closeBlock(d, at)
		a := ackState{stream: 1}
		at = len(d)
		d = closeBlock(append(a.appendTo(d), 1, 2, 3), at)
		return block(d, 201)
	}
	for _, tt := range []struct {
		needs   byte
		applied int
		refused string
	}{{1, 2, "record"}, {2, 0, "version"}} {
		synctest.Test(t, func(t *testing.T) {
			f := &fleet{network: newNetwork(1), t: t}
			d := f.start(me)
			d.SetMembers([]Member{member(them)})
			d.Receive(them, newer(tt.needs))
			if d.applied != tt.applied {
				t.Errorf("%d records applied, want %d", d.applied, tt.applied)
			}
			if diff := cmp.Diff(map[string]uint64{tt.refused: 1}, d.refusedSoFar()); diff != "" {
				t.Errorf("refused: %s", diff)
			}
		})
	}
}

// Streams of a newer version are read as well.
func TestNewerStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := settled(t, 2)
		a, b := f.directors[0], f.directors[1]
		a.open(0, 1000)
		time.Sleep(time.Second)
		c, err := wire{f.network, b.memory.self.ID}.Open(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		frame := func(kind byte, body ...byte) []byte { return closeFrame(append(openFrame(nil, kind), body...), 0) }
		request := []byte{magic >> 8, magic & 0xff, 9, 1}
		request = append(request, frame(99, 1, 2, 3)...)
		everything := clause{except: true, slots: everySlot()}
		want := everything.appendTo(nil)
		want = closeFrame(append(want, 5, 6, 7), 0)
		request = append(append(request, want...), frame(frameGo, 8)...)
		go c.Write(request)
		if err := readStreamHeader(c); err != nil {
			t.Fatal(err)
		}
		records := 0
		for {
			kind, body, err := readFrame(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			for kind == frameRecords && len(body) > 0 {
				_, body, _ = nextRecord(body)
				records++
			}
			if kind == frameEnd {
				break
			}
			if kind == frameSorry {
				t.Fatalf("%s", body)
			}
		}
		c.Close()
		if records != 1000 {
			t.Errorf("%d records, want 1000", records)
		}
	})
}
