package schedule

import (
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// places remembers where destinations were sent, for lblc and lblcr: a hash
// table of 16384 entries in sets of four, which is as many as IPVS keeps before
// it throws some out. It never grows: a destination without a place takes that
// of the one in its set which was not seen for longest.
//
// It is lock-free and allowed to forget. An entry is two words, each read and
// written whole but not both together, and a destination is known by 32 bits
// of its hash; so in a race, or once in 2³² × 4096 destinations, one is taken
// for another, or is remembered twice. Then it goes to a server that is
// eligible all the same, only not to the one its data is cached on.
//
// Time is in minutes of the wall clock, 16 bits of it: a clock that is set
// costs some places and nothing else. It is read once per new connection.
type places struct {
	sets [placeSets][placeWays]place

	ids  map[string]uint16 // by member name; the builder's alone
	used []bool            // by id
}

const (
	placeSets = 4096
	placeWays = 4 // a set fills one cache line
)

// A place is one destination and the servers it has been sent to.
type place struct {
	tag     atomic.Uint64 // hash<<32 | last seen<<16 | servers last changed; 0: free
	servers atomic.Uint64 // four ids, each 16 bits and one too high, so that 0 is none
}

// minutes is the time as places keep it.
func minutes() uint16 { return uint16(time.Now().Unix() / 60) }

// since returns the minutes from then to now; none when another worker's now was
// a little later than ours.
func since(then, now uint16) int { return max(0, int(int16(now-then))) }

// maxUnseen is after how many minutes a place is forgotten, as in IPVS.
const maxUnseen = 24 * 60

// find returns the place of a destination; one that had none gets one without
// servers.
func (p *places) find(destination *[16]byte, now uint16) *place {
	h := xxhash.Sum64(destination[:])
	set := &p.sets[h%placeSets]
	print := h>>32 | 1
	oldest, age := &set[0], -1
	for i := range set {
		e := &set[i]
		tag := e.tag.Load()
		unseen := since(uint16(tag>>16), now)
		switch {
		case tag>>32 == print && unseen < maxUnseen:
			if unseen > 0 { // one store a minute, or the line would bounce between workers
				e.tag.Store(tag&^0xffff0000 | uint64(now)<<16)
			}
			return e
		case tag == 0:
			unseen = 1 << 16
		}
		if unseen > age {
			oldest, age = e, unseen
		}
	}
	oldest.servers.Store(0)
	oldest.tag.Store(print<<32 | uint64(now)<<16 | uint64(now))
	return oldest
}

// unchanged returns for how many minutes the servers have stayed the same.
func (e *place) unchanged(now uint16) int { return since(uint16(e.tag.Load()), now) }

// set replaces the servers.
func (e *place) set(ids replicas, now uint16) {
	e.servers.Store(ids.packed())
	e.tag.Store(e.tag.Load()&^0xffff | uint64(now))
}

func (e *place) replicas() replicas { return unpacked(e.servers.Load()) }

// replicas are the ids, each one too high, of the servers of one destination.
// 0 is none.
type replicas [placeWays]uint16

func (r replicas) count() (n int) {
	for _, id := range r {
		if id != 0 {
			n++
		}
	}
	return n
}

func (r replicas) packed() (v uint64) {
	for i, id := range r {
		v |= uint64(id) << (16 * i)
	}
	return v
}

func unpacked(v uint64) (r replicas) {
	for i := range r {
		r[i] = uint16(v >> (16 * i))
	}
	return r
}

// number gives each member an id that it keeps for as long as it is listed, and
// returns them by position. When an id passes to another member, what was
// remembered under it is forgotten.
func (p *places) number(members []Member) []uint16 {
	listed := make(map[string]bool, len(members))
	for i := range members {
		listed[members[i].Name] = true
	}
	for name, id := range p.ids {
		if !listed[name] {
			delete(p.ids, name)
			p.used[id] = false
			p.forget(id)
		}
	}
	ids := make([]uint16, len(members))
	free := 0
	for i := range members {
		id, ok := p.ids[members[i].Name]
		if !ok {
			for free < len(p.used) && p.used[free] {
				free++
			}
			if free == len(p.used) {
				p.used = append(p.used, false)
			}
			id = uint16(free)
			p.used[id], p.ids[members[i].Name] = true, id
		}
		ids[i] = id
	}
	return ids
}

// forget frees every place that names the server.
func (p *places) forget(id uint16) {
	for s := range p.sets {
		for w := range p.sets[s] {
			e := &p.sets[s][w]
			for _, r := range e.replicas() {
				if r == id+1 {
					e.servers.Store(0)
				}
			}
		}
	}
}
