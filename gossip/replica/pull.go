package replica

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A pull fetches sessions from one peer.
type pull struct {
	e       *Engine
	seat    *seat
	clauses []clause
	tell    func(differing pairs, expected, records, bytes uint64) // of each frame of records; may be nil

	differing pairs
	expected  uint64
	got       uint64
	bytes     uint64
	watch     *watch
	whole     bool     // the peer sends all that it has of its own
	erasing   slotSet  // slots in which the peer's own sessions may have to be removed
	listed    []uint64 // identities of the peer's own sessions there, as it sent them
	records   []session.Record
}

// maxListed bounds what is remembered of a pull: 64 MB.
const maxListed = 8 << 20

// applyChunk is how many records are applied at a time.
const applyChunk = 256

// run returns when everything asked for has been applied.
func (p *pull) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.e.lifeOf(p.seat.peer), cancel)()
	c, err := p.e.wire.Open(ctx, p.seat.ID)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()

	p.differing = make(pairs)
	p.watch = newWatch(p.seat.ID)
	p.seat.incoming.look(p.watch)
	defer p.seat.incoming.lookAway(p.watch)

	have, err := p.e.sessions.Digests(ctx)
	if err != nil {
		return fmt.Errorf("digests: %w", err)
	}
	c.SetDeadline(time.Now().Add(patienceOfStream))
	if _, err := c.Write(p.request(have)); err != nil {
		return err
	}
	r := bufio.NewReaderSize(c, maxFrame)
	if err := readStreamHeader(r); err != nil {
		return err
	}
	var buf []byte
	for {
		c.SetReadDeadline(time.Now().Add(patienceOfStream))
		kind, body, err := readFrame(r, buf)
		if err != nil {
			return err
		}
		buf = body
		p.bytes += uint64(frameHeaderSize + len(body))
		done, err := p.take(ctx, kind, body, have)
		if err != nil {
			return err
		}
		if p.tell != nil && (kind == frameRecords || done) {
			p.tell(p.differing, p.expected, p.got, p.bytes)
		}
		if done {
			p.e.counts.pulled.Add(p.got)
			p.e.counts.pulledBytes.Add(p.bytes)
			return p.erase(ctx)
		}
	}
}

func (p *pull) request(have digests) []byte {
	b := appendStreamHeader(nil)
	for i := range p.clauses {
		b = p.clauses[i].appendTo(b)
	}
	for home, d := range have {
		b = appendHave(b, home, d, p.clauses)
	}
	at := len(b)
	return closeFrame(openFrame(b, frameGo), at)
}

// take takes one frame and says whether it was the last.
func (p *pull) take(ctx context.Context, kind byte, body []byte, have digests) (done bool, err error) {
	switch kind {
	case frameWhole:
		p.whole = true
	case frameDiffers:
		n, ok := p.differing.parseDiffers(body)
		if !ok {
			return false, errors.New("malformed list of slots")
		}
		p.expected += n
		p.mayErase(have[p.seat.ID])
	case frameRecords:
		return false, p.apply(ctx, body)
	case frameEnd:
		if len(body) < 8 {
			return false, errors.New("malformed end")
		}
		if n := binary.BigEndian.Uint64(body); n != p.got {
			return false, fmt.Errorf("%d records came, %d were sent", p.got, n)
		}
		return true, nil
	case frameSorry:
		return false, fmt.Errorf("refused: %s", body)
	}
	return false, nil
}

// mayErase notes where we have sessions of the peer's that it may not list.
func (p *pull) mayErase(ours *[session.Slots]session.Digest) {
	if own := p.differing[p.seat.ID]; own != nil && ours != nil {
		for slot := range own.all() {
			if ours[slot].Count > 0 {
				p.erasing.add(slot)
			}
		}
	}
}

// apply applies a frame of records.
func (p *pull) apply(ctx context.Context, body []byte) error {
	r := p.e.roster.Load()
	from := p.seat.Owner()
	for rest := body; len(rest) > 0; {
		p.records = p.records[:0]
		for len(rest) > 0 && len(p.records) < applyChunk {
			bytes, next, ok := nextRecord(rest)
			if !ok {
				return errors.New("malformed records")
			}
			rest = next
			p.got++
			p.records = append(p.records, session.Record{})
			record := &p.records[len(p.records)-1]
			why := refuseRecord
			if _, err := record.Parse(bytes, from); err == nil {
				why = p.admit(r, record)
			}
			if why != fine {
				p.e.refuse(why)
				p.records = p.records[:len(p.records)-1]
			}
		}
		if err := p.give(ctx, true, p.records); err != nil {
			return err
		}
	}
	return nil
}

func (p *pull) admit(r *roster, record *session.Record) refusal {
	if why := r.admitAsked(p.seat, record); why != fine {
		return why
	}
	slot := record.ClientSlot()
	if !within(p.clauses, record.Home.ID, slot) || !p.differing.has(record.Home.ID, slot) {
		return refuseUnasked
	}
	if record.Home.ID == p.seat.ID && p.erasing.has(slot) {
		if len(p.listed) >= maxListed {
			p.whole = false // more than any director has: nothing is erased
			return fine
		}
		p.listed = append(p.listed, identify(record))
	}
	return fine
}

// give has the sessions apply records as soon as they have room. What the peer
// has ended meanwhile, in its stream, is not brought back.
func (p *pull) give(ctx context.Context, asked bool, records []session.Record) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		if len(records) == 0 || p.offer(asked, &records) {
			return nil
		}
		p.e.counts.waited.Add(1)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func (p *pull) offer(asked bool, records *[]session.Record) bool {
	in := &p.seat.incoming
	in.mu.Lock()
	defer in.mu.Unlock()
	if asked {
		*records = slices.DeleteFunc(*records, func(r session.Record) bool {
			return r.Home.ID == p.seat.ID && p.watch.ended(&r)
		})
	}
	return len(*records) == 0 || p.e.sessions.Apply(p.seat.Owner(), asked, *records)
}

// erase removes the peer's sessions that it did not list and did not tell of
// since: its word that they are gone was lost.
func (p *pull) erase(ctx context.Context) error {
	if !p.whole || p.erasing.empty() || p.watch.blind() {
		return nil
	}
	slices.Sort(p.listed)
	own := pairs{p.seat.ID: &p.erasing}
	for chunk, err := range p.e.sessions.Export(ctx, own.query()) {
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		p.records = p.records[:0]
		for i := range chunk {
			r := &chunk[i]
			if !own.has(r.Home.ID, r.ClientSlot()) {
				continue
			}
			if _, listed := slices.BinarySearch(p.listed, identify(r)); !listed && !p.told(r) {
				r.Kind = session.Gone
				p.records = append(p.records, *r)
			}
		}
		p.e.counts.erased.Add(uint64(len(p.records)))
		if err := p.give(ctx, false, p.records); err != nil {
			return err
		}
	}
	return nil
}

func (p *pull) told(r *session.Record) bool {
	p.seat.incoming.mu.Lock()
	defer p.seat.incoming.mu.Unlock()
	return p.watch.told(r)
}

// A watch remembers what a peer told of its own sessions while they are being
// pulled: that is newer than what the pull brings. Its incoming's mu guards it.
type watch struct {
	home session.NodeID
	seen map[uint64]bool // by identity: it is gone
	over bool
}

// maxWatched bounds a watch.
const maxWatched = 1 << 20

func newWatch(home session.NodeID) *watch { return &watch{home: home, seen: make(map[uint64]bool)} }

func (w *watch) see(records []session.Record) {
	for i := range records {
		r := &records[i]
		if r.Home.ID != w.home || r.Kind == session.Mark {
			continue
		}
		if len(w.seen) >= maxWatched {
			w.over = true
			return
		}
		w.seen[identify(r)] = r.Kind == session.Gone
	}
}

func (w *watch) ended(r *session.Record) bool { return w.seen[identify(r)] }

func (w *watch) told(r *session.Record) bool {
	_, told := w.seen[identify(r)]
	return told
}

func (in *incoming) look(w *watch) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.watches = append(in.watches, w)
}

func (in *incoming) lookAway(w *watch) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.watches = slices.DeleteFunc(in.watches, func(x *watch) bool { return x == w })
}

// blind says that the watch has not seen everything.
func (w *watch) blind() bool { return w.over }

var seed = maphash.MakeSeed()

// identify returns what tells one session from another, as a hash.
func identify(r *session.Record) uint64 {
	return maphash.Comparable(seed, identity{r.PathKey, r.Face(session.Inbound), r.Local, r.LocalPort})
}

type identity struct {
	path      session.PathKey
	face      packet.Tuple
	local     packet.Addr
	localPort uint16
}
