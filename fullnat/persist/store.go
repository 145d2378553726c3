package persist

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
)

// A Store holds templates. It may be used from anywhere.
type Store struct {
	seed   maphash.Seed
	shards [shards]shard
}

const shards = 64

// New makes a store for so many templates. Its memory is taken by Prepare.
func New(templates int) *Store {
	s := &Store{seed: maphash.MakeSeed()}
	for i := range s.shards {
		h := &s.shards[i]
		h.self, h.room, h.seed = uint32(i), (templates+shards-1)/shards, s.seed
	}
	return s
}

// Prepare takes the memory, if nobody has. Until then there is no room.
func (s *Store) Prepare() {
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		h.prepare()
		h.mu.Unlock()
	}
}

// lock returns the shard of a key, locked.
func (s *Store) lock(k *Key) (*shard, uint64) {
	at := hash(s.seed, k)
	h := &s.shards[at%shards]
	h.mu.Lock()
	return h, at / shards
}

// holder returns what a Ref stands for, its shard locked.
func (s *Store) holder(r Ref) (*shard, uint32) {
	h := &s.shards[r%shards]
	h.mu.Lock()
	return h, uint32(r / shards)
}

// hash is seeded: who may choose addresses must not be able to choose a chain.
func hash(seed maphash.Seed, k *Key) uint64 {
	var b [25]byte
	binary.LittleEndian.PutUint64(b[:], k.Service)
	copy(b[8:], k.Network[:])
	b[24] = k.Bits
	return maphash.Bytes(seed, b[:])
}

// Counts is what a store has done and holds.
type Counts struct {
	Templates int    // there are now
	Evicted   uint64 // gave their place away before their time
	Refused   uint64 // found no place
}

// Counts adds up.
func (s *Store) Counts() (c Counts) {
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		c.Templates += h.count
		c.Evicted += h.evicted
		c.Refused += h.refused
		h.mu.Unlock()
	}
	return c
}

// A shard is a part of the templates behind a lock of its own: a hash table with
// chains, in memory without pointers.
type shard struct {
	mu      sync.Mutex
	self    uint32 // its number
	room    int    // how many it may hold
	seed    maphash.Seed
	entries []entry  // by number; number 0 stands for none. Nil until prepared
	buckets []uint32 // the first of each chain; a power of two of them
	fresh   uint32   // numbers from here on were never used
	freed   uint32   // the first of those that were
	count   int
	hand    uint32 // the number that was looked at last when there was no room,
	aged    uint32 // by Age

	first, last      uint32 // of the list of those that others are to be told of
	evicted, refused uint64
}

func (h *shard) ref(n uint32) Ref { return Ref(n*shards + h.self) }

// find returns the number of the entry of a key, 0 if there is none.
func (h *shard) find(k *Key, at uint64) uint32 {
	if h.entries == nil {
		return 0
	}
	n := h.buckets[at%uint64(len(h.buckets))]
	for n != 0 && h.entries[n].Key != *k {
		n = h.entries[n].next
	}
	return n
}

// add makes an entry for a key that has none, 0 if there is no room.
func (h *shard) add(k *Key, at uint64, now Tick) uint32 {
	if h.entries == nil || h.count == h.room && !h.evict(now) {
		h.refused++
		return 0
	}
	n := h.freed
	if n != 0 {
		h.freed = h.entries[n].next
	} else {
		n = h.fresh
		h.fresh++
	}
	bucket := &h.buckets[at%uint64(len(h.buckets))]
	h.entries[n] = entry{Key: *k, next: *bucket, flags: taken}
	*bucket = n
	h.count++
	return n
}

func (h *shard) prepare() {
	if h.entries != nil || h.room == 0 {
		return
	}
	h.entries = make([]entry, 1+h.room)
	buckets := 1
	for buckets < h.room {
		buckets *= 2
	}
	h.buckets = make([]uint32, buckets)
	h.fresh = 1
}

// looks is how many templates are looked at for one to give its place away.
const looks = 16

// evict frees the place of a template that nobody holds.
func (h *shard) evict(now Tick) bool {
	victim := uint32(0)
	for range min(looks, h.room) {
		if h.hand++; h.hand >= h.fresh {
			h.hand = 1
		}
		e := &h.entries[h.hand]
		if e.flags&taken != 0 && e.uses == 0 && (victim == 0 || e.left(now) < h.entries[victim].left(now)) {
			victim = h.hand
		}
	}
	if victim == 0 {
		return false
	}
	h.evicted++
	h.remove(victim)
	return true
}

// remove frees the place of an entry.
func (h *shard) remove(n uint32) {
	e := &h.entries[n]
	h.hush(n)
	at := &h.buckets[hash(h.seed, &e.Key)/shards%uint64(len(h.buckets))]
	for *at != n {
		at = &h.entries[*at].next
	}
	*at = e.next
	*e = entry{next: h.freed}
	h.freed = n
	h.count--
}
