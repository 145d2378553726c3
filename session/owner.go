package session

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// NodeID names a director in what directors tell each other: the xxhash64 of its
// name, which is unique in the fleet. Zero is nobody.
type NodeID uint64

// NodeIDOf returns the id of the director of this name.
func NodeIDOf(name string) NodeID { return NodeID(xxhash.Sum64String(name)) }

func (id NodeID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// Owner is a director in one of its lives. Epoch is when that life began, in
// nanoseconds of Unix time; it only grows, so of two owners of one ID the one
// with the greater Epoch is the later. The zero Owner is nobody.
type Owner struct {
	ID    NodeID
	Epoch uint64
}

// Born is when a session began, as its home saw it: tenths of a second since
// 1970 in the upper 32 bits of 48, a number in the lower. No table gives it twice.
// A session that begins anew, because what looked like its end was none or a SYN
// reopened it, is born again: whatever was said of the older one no longer counts.
type Born uint64

const bornBits = 48

// before reports whether b is earlier than c, in 48 bits that wrap around.
func (b Born) before(c Born) bool { return int64((b-c)<<(64-bornBits)) < 0 }

func (b Born) next() Born { return (b + 1) & (1<<bornBits - 1) }

// stamp returns the birth of a session that begins now.
func (t *Table) stamp(now Tick) Born {
	b := Born(t.era+now) << (bornBits - 32)
	if !t.newest.before(b) {
		b = t.newest.next()
	}
	t.newest = b
	return b
}

// stampAfter returns the birth of a session that takes the place of another, by
// whatever clock that one was born.
func (t *Table) stampAfter(old Born, now Tick) Born {
	if b := t.stamp(now); old.before(b) {
		return b
	}
	return old.next()
}

// SetSelf says who the table's director is from now on, and since when: its epoch
// is the time now. The zero Owner is a director alone, which shares nothing. What
// it opened before stays its own and is shared with its next change, or by Share.
func (t *Table) SetSelf(self Owner, now Tick) {
	t.self = self
	t.era = Tick(self.Epoch/100e6) - now
	if t.count == 0 { // what comes to be ours from now on, and is older, was recovered
		t.firstBorn = t.stamp(now)
	}
}

// lives are the other directors whose sessions are here. A session names one by
// its place in a list, for there are few; place 0 is the table's own director.
type lives struct {
	all    []life
	places map[Owner]uint16
	vacant []uint16
	homes  map[NodeID]*home
}

type life struct {
	Owner
	sessions int
	home     *home
}

// A home is what is known of all sessions of one director.
type home struct {
	lives   int
	digests [Slots]Digest
}

func newLives() lives {
	return lives{all: make([]life, 1), places: make(map[Owner]uint16), homes: make(map[NodeID]*home)}
}

// join counts one more session of an owner and returns its place, or reports
// that there are more owners than a session can name.
func (l *lives) join(o Owner) (place uint16, ok bool) {
	place, known := l.places[o]
	if !known {
		if n := len(l.vacant); n > 0 {
			place, l.vacant = l.vacant[n-1], l.vacant[:n-1]
		} else if len(l.all) <= int(^uint16(0)) {
			place = uint16(len(l.all))
			l.all = append(l.all, life{})
		} else {
			return 0, false
		}
		h := l.homes[o.ID]
		if h == nil {
			h = new(home)
			l.homes[o.ID] = h
		}
		h.lives++
		l.all[place] = life{Owner: o, home: h}
		l.places[o] = place
	}
	l.all[place].sessions++
	return place, true
}

// leave counts one less.
func (l *lives) leave(place uint16) {
	it := &l.all[place]
	if it.sessions--; it.sessions > 0 {
		return
	}
	if it.home.lives--; it.home.lives == 0 {
		delete(l.homes, it.ID)
	}
	delete(l.places, it.Owner)
	*it = life{}
	l.vacant = append(l.vacant, place)
}

// HomeOf returns whose session s is: the zero Owner if nobody's but ours alone.
func (t *Table) HomeOf(s *Session) Owner {
	if s.Role() == Home {
		return t.self
	}
	return t.lives.all[t.cold[t.number(s)].home].Owner
}
