package replica

import (
	"encoding/binary"
	"fmt"
	"io"

	"fleetlb/session"
)

// A pull is a stream. Its puller sends a header and frames up to frameGo, the
// other side answers with a header and frames up to frameEnd, integers in network
// order:
//
//	magic 2 | version 1 | needs 1 | frames
//	frame:   kind 1 | length 3 | body
//
//	want:    except 1 | homes 2 | home 8 … | set of slots 32
//	have:    home 8 | (slot 1 | count 4 | sum 8) …
//	go:      that was all
//	whole:   the sender has all sessions of its own: those it does not send are gone
//	differs: home 8 | (slot 1 | count 4) …
//	records: as in a batch
//	end:     how many records there were 8
//	sorry:   text
//
// Frames of other kinds, and what is left of a body after what is known, are
// passed over.
const (
	frameWant = 1 + iota
	frameHave
	frameGo
	frameDiffers
	frameRecords
	frameEnd
	frameSorry
	frameWhole
)

const (
	streamHeaderSize = 4
	frameHeaderSize  = 4
	maxFrame         = 64 << 10
	// frameFill is where a frame of records is sent.
	frameFill = 32 << 10
	// maxRequest is how many bytes a request may have: digests of 300 homes.
	maxRequest = 1 << 20
	// maxHomes is how many homes either side may name.
	maxHomes = 1024
)

func appendStreamHeader(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, magic), version, needs)
}

func readStreamHeader(r io.Reader) error {
	var b [streamHeaderSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint16(b[:]) != magic {
		return fmt.Errorf("not a stream of this kind")
	}
	if b[3] > version {
		return fmt.Errorf("version %d needs a reader of version %d, this one is %d: upgrade this director", b[2], b[3], version)
	}
	return nil
}

func openFrame(b []byte, kind byte) []byte { return append(b, kind, 0, 0, 0) }

func closeFrame(b []byte, at int) []byte {
	n := len(b) - at - frameHeaderSize
	b[at+1], b[at+2], b[at+3] = byte(n>>16), byte(n>>8), byte(n)
	return b
}

// readFrame reads a frame into buf, which it returns grown if need be.
func readFrame(r io.Reader, buf []byte) (kind byte, body []byte, err error) {
	var h [frameHeaderSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, buf, err
	}
	n := int(h[1])<<16 | int(h[2])<<8 | int(h[3])
	if n > maxFrame {
		return 0, buf, fmt.Errorf("frame of %d bytes, more than %d", n, maxFrame)
	}
	if cap(buf) < n {
		buf = make([]byte, max(n, 4096))
	}
	_, err = io.ReadFull(r, buf[:n])
	return h[0], buf[:n], err
}

// A clause is a part of what a pull asks for: the sessions of some homes in some
// slots.
type clause struct {
	homes  []session.NodeID
	except bool // of all homes but these
	slots  slotSet
}

func (c *clause) matches(home session.NodeID, slot uint8) bool {
	return c.slots.has(slot) && c.of(home)
}

func (c *clause) of(home session.NodeID) bool {
	for _, h := range c.homes {
		if h == home {
			return !c.except
		}
	}
	return c.except
}

func (c *clause) appendTo(b []byte) []byte {
	at := len(b)
	b = openFrame(b, frameWant)
	if c.except {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.homes)))
	for _, h := range c.homes {
		b = binary.BigEndian.AppendUint64(b, uint64(h))
	}
	return closeFrame(c.slots.appendTo(b), at)
}

func (c *clause) parse(b []byte) bool {
	if len(b) < 3 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if len(b) < 3+8*n+slotSetSize {
		return false
	}
	c.except = b[0] != 0
	c.homes = make([]session.NodeID, n)
	for i := range c.homes {
		c.homes[i] = session.NodeID(binary.BigEndian.Uint64(b[3+8*i:]))
	}
	c.slots.parse(b[3+8*n:])
	return true
}

// digests are of the shared sessions of homes, by slot.
type digests map[session.NodeID]*[session.Slots]session.Digest

const digestSize = 13

// appendHave appends the digests of a home that are within clauses.
func appendHave(b []byte, home session.NodeID, d *[session.Slots]session.Digest, clauses []clause) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint64(openFrame(b, frameHave), uint64(home))
	before := len(b)
	for slot := range d {
		if d[slot] != (session.Digest{}) && within(clauses, home, uint8(slot)) {
			b = append(b, byte(slot))
			b = binary.BigEndian.AppendUint32(b, d[slot].Count)
			b = binary.BigEndian.AppendUint64(b, d[slot].Sum)
		}
	}
	if len(b) == before {
		return b[:at]
	}
	return closeFrame(b, at)
}

func (ds digests) parse(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	home := session.NodeID(binary.BigEndian.Uint64(b))
	d := ds[home]
	if d == nil {
		if len(ds) >= maxHomes {
			return false
		}
		d = new([session.Slots]session.Digest)
		ds[home] = d
	}
	for b = b[8:]; len(b) >= digestSize; b = b[digestSize:] {
		d[b[0]] = session.Digest{Count: binary.BigEndian.Uint32(b[1:]), Sum: binary.BigEndian.Uint64(b[5:])}
	}
	return true
}

func within(clauses []clause, home session.NodeID, slot uint8) bool {
	for i := range clauses {
		if clauses[i].matches(home, slot) {
			return true
		}
	}
	return false
}

// pairs are slots of homes.
type pairs map[session.NodeID]*slotSet

func (p pairs) add(home session.NodeID, slot uint8) {
	if p[home] == nil {
		p[home] = new(slotSet)
	}
	p[home].add(slot)
}

func (p pairs) has(home session.NodeID, slot uint8) bool {
	s := p[home]
	return s != nil && s.has(slot)
}

// query asks sessions for everything in p, and perhaps more.
func (p pairs) query() session.Query {
	var all slotSet
	for _, s := range p {
		all.unite(s)
	}
	return session.Query{Slots: all.array(), Home: func(h session.NodeID) bool { return p[h] != nil }}
}

// appendDiffers appends which slots of a home are going to be sent, and how many
// sessions that will be.
func appendDiffers(b []byte, home session.NodeID, slots *slotSet, d *[session.Slots]session.Digest) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint64(openFrame(b, frameDiffers), uint64(home))
	for slot := range slots.all() {
		b = append(b, slot)
		count := uint32(0)
		if d != nil {
			count = d[slot].Count
		}
		b = binary.BigEndian.AppendUint32(b, count)
	}
	return closeFrame(b, at)
}

// parseDiffers adds to p what is going to be sent, and returns how many sessions
// those are.
func (p pairs) parseDiffers(b []byte) (count uint64, ok bool) {
	if len(b) < 8 {
		return 0, false
	}
	home := session.NodeID(binary.BigEndian.Uint64(b))
	if len(p) >= maxHomes && p[home] == nil {
		return 0, false
	}
	for b = b[8:]; len(b) >= 5; b = b[5:] {
		p.add(home, b[0])
		count += uint64(binary.BigEndian.Uint32(b[1:]))
	}
	return count, true
}
