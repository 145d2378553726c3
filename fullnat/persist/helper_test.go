package persist

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"fleetlb/fullnat/packet"
)

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

func server(s string) Server {
	a := netip.MustParseAddrPort(s)
	return Server{packet.AddrFrom(a.Addr()), a.Port()}
}

var (
	one   = server("10.0.0.11:80")
	two   = server("10.0.0.12:80")
	three = server("10.0.0.13:80")
)

func prepared(templates int) *Store {
	s := New(templates)
	s.Prepare()
	return s
}

// key is the key of a client by itself.
func key(client string) *Key {
	k := KeyOf(1, addr(client), 0)
	return &k
}

const minute = 60 * second

// give is Give of an assured client that lets go at once.
func give(s *Store, k *Key, to Server, now Tick) Server {
	got, ref := s.Give(k, to, true, minute, now)
	if ref != 0 {
		s.Release(ref, now)
	}
	return got
}

// listed writes the templates as "198.51.100.7/32 10.0.0.11:80".
func listed(s *Store, now Tick) string {
	var lines []string
	for t := range s.All(now) {
		lines = append(lines, fmt.Sprintf("%v %v:%d", t.Prefix(), t.Server.Addr, t.Server.Port))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

// changed takes what is to be told.
func changed(s *Store, now Tick) (all []Record) {
	var some [3]Record
	for {
		n := s.Changed(now, some[:])
		all = append(all, some[:n]...)
		if n < len(some) {
			return all
		}
	}
}

// sound checks what must hold between two calls.
func (s *Store) sound(t testing.TB) {
	t.Helper()
	for i := range s.shards {
		h := &s.shards[i]
		chained, free, told := 0, 0, 0
		for _, n := range h.buckets {
			for ; n != 0; n = h.entries[n].next {
				chained++
				if e := &h.entries[n]; h.find(&e.Key, hash(h.seed, &e.Key)/shards) != n {
					t.Fatalf("shard %d: %v is not where it belongs", i, e.Key)
				}
			}
		}
		for n := h.freed; n != 0; n = h.entries[n].next {
			free++
		}
		for n, before := h.first, uint32(0); n != 0; before, n = n, h.entries[n].later {
			told++
			if e := &h.entries[n]; e.earlier != before || e.flags&(news|assured|taken) != news|assured|taken {
				t.Fatalf("shard %d: the list of news is broken at %+v", i, e)
			}
		}
		if chained != h.count || h.count > h.room || h.entries != nil && chained+free != int(h.fresh)-1 || told > h.count {
			t.Fatalf("shard %d: %d of %d, %d in chains, %d free, %d used ever, %d to be told", i, h.count, h.room, chained, free, h.fresh-1, told)
		}
	}
}
