package session

import (
	"math/bits"

	"fleetlb/fullnat/packet"
)

// The index finds a session by either of its faces. It is an open hash table
// whose buckets are cache lines, so a lookup costs one miss here and one in the
// session itself. A face that finds its bucket full goes on to the next, and
// every bucket it passed counts it: a search ends at the first bucket that none
// has passed, and a removal takes its counts back. No tombstones, no growing, no
// pauses.
type index struct {
	key     hashKey
	buckets []bucket // not a power of two, so that no table is larger than it must be
}

// lanes is how many faces a bucket holds.
const lanes = 12

// loadPercent is how full the index is when the table is.
const loadPercent = 75

// A bucket is a cache line. A lane's tag is one byte of the face's hash, and 0
// if the lane is free; all tags of a bucket are compared at once.
type bucket struct {
	tags   uint64 // of lanes 0–7, lowest byte first
	more   uint32 // of lanes 8–11
	passed uint32 // how many faces found this bucket full and went on
	refs   [lanes]ref
}

// A ref is a session's number and, in its lowest bit, which of its faces.
type ref uint32

func refOf(number uint32, d Direction) ref { return ref(number<<1 | uint32(d)) }

func (r ref) number() uint32       { return uint32(r >> 1) }
func (r ref) direction() Direction { return Direction(r & 1) }

// newIndex makes an index for both faces of so many sessions.
func newIndex(t *Table, sessions int) index {
	const perHundred = lanes * loadPercent
	return index{newHashKey(), slab[bucket](t, (2*sessions*100+perHundred-1)/perHundred+1)}
}

// home returns where a hash belongs: the bucket from its high bits, the tag from
// its low ones.
func (x *index) home(h Hash) (at int, tag uint8) {
	hi, _ := bits.Mul64(uint64(h), uint64(len(x.buckets)))
	return int(hi), uint8(h&0xff*255>>8) + 1
}

func (x *index) after(at int) int {
	if at++; at < len(x.buckets) {
		return at
	}
	return 0
}

// insert adds a face. There is room: the table never holds more sessions than
// the index was made for.
func (x *index) insert(face *packet.Tuple, r ref) {
	at, tag := x.home(x.key.hash(face))
	for ; ; at = x.after(at) {
		b := &x.buckets[at]
		if m := b.match(0); m != 0 {
			b.set(m.lane(), tag, r)
			return
		}
		b.passed++
	}
}

// remove takes away a face that was inserted.
func (x *index) remove(face *packet.Tuple, r ref) {
	at, tag := x.home(x.key.hash(face))
	for ; ; at = x.after(at) {
		b := &x.buckets[at]
		for m := b.match(tag); m != 0; m = m.rest() {
			if b.refs[m.lane()] == r {
				b.set(m.lane(), 0, 0)
				return
			}
		}
		b.passed--
	}
}

// matches are the lanes of a bucket that have some tag, one bit each: bit 8i for
// lane i, and bit 8i+1 for lane 8+i.
type matches uint64

func (m matches) lane() int {
	i := bits.TrailingZeros64(uint64(m))
	return i>>3 | i&1<<3
}

func (m matches) rest() matches { return m & (m - 1) }

func (b *bucket) match(tag uint8) matches {
	const ones = 0x0101010101010101
	all := ones * uint64(tag)
	return matches(zeros(b.tags^all)>>7 | zeros((uint64(b.more)^all)|0xffffffff<<32)>>6)
}

// zeros marks the highest bit of every byte of w that is zero, and of no other.
func zeros(w uint64) uint64 {
	const low = 0x7f7f7f7f7f7f7f7f
	return ^((w&low + low) | w | low)
}

func (b *bucket) set(lane int, tag uint8, r ref) {
	b.refs[lane] = r
	if shift := lane % 8 * 8; lane < 8 {
		b.tags = b.tags&^(0xff<<shift) | uint64(tag)<<shift
	} else {
		b.more = b.more&^(0xff<<shift) | uint32(tag)<<shift
	}
}

// Find returns the session that a packet of this tuple belongs to and which way
// the packet goes, or nil.
func (t *Table) Find(tu *packet.Tuple) (*Session, Direction) {
	return t.FindHash(tu, t.Hash(tu))
}

// Hash returns the hash of a tuple in this table.
func (t *Table) Hash(tu *packet.Tuple) Hash { return t.index.key.hash(tu) }

// FindHash is Find for a tuple whose hash is known.
func (t *Table) FindHash(tu *packet.Tuple, h Hash) (*Session, Direction) {
	x := &t.index
	at, tag := x.home(h)
	for range x.buckets { // of a very small table, all may have been passed
		b := &x.buckets[at]
		for m := b.match(tag); m != 0; m = m.rest() {
			r := b.refs[m.lane()]
			if s := &t.sessions[r.number()]; t.wears(s, r.direction(), tu) && !s.Shadowed(r.direction()) {
				return s, r.direction()
			}
		}
		if b.passed == 0 {
			break
		}
		at = x.after(at)
	}
	return nil, Inbound
}

// wears says whether tu is the face of s for packets that go d, or would be if s
// were no shadow. It compares in place what Face would build.
func (t *Table) wears(s *Session, d Direction, tu *packet.Tuple) bool {
	p := t.paths[s.Path]
	if d == Inbound {
		return s.ClientPort == tu.SrcPort && s.Client == tu.Src &&
			s.VIPPort == tu.DstPort && p.VIP == tu.Dst && p.Protocol == tu.Protocol
	}
	if s.ServerPort(p) != tu.SrcPort || p.Server != tu.Src || p.Protocol != tu.Protocol {
		return false
	}
	if p.Mode == NAT {
		return s.ClientPort == tu.DstPort && s.Client == tu.Dst
	}
	return s.LocalPort == tu.DstPort && t.ports.locals[s.local].addr == tu.Dst
}
