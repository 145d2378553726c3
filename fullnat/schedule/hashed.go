package schedule

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// hashed picks by looking a hash of the connection up in a table of members.
//
// The table holds ineligible members too. One that is hit, or one that is full,
// refuses the connection or, with fallback, passes it to another that its hash
// leads to: the same one each time and on every director, and a different one for
// each client, so that no neighbour inherits the whole load.
type hashed struct {
	table    []uint16 // ranks
	members  []uint16 // by rank: position among all members
	eligible []bool   // by rank
	limits   []limit  // by rank; nil: none has any
	hash     func(k *Key) uint64
	fallback bool
}

// takes says whether a member takes new connections: one that is full does not,
// like one that is not eligible.
func (s *hashed) takes(rank uint16) bool {
	return s.eligible[rank] && (s.limits == nil || !s.limits[rank].full())
}

func (s *hashed) Pick(k *Key) int {
	if len(s.table) == 0 {
		return -1
	}
	h := s.hash(k)
	rank := s.table[h%uint64(len(s.table))]
	if !s.takes(rank) {
		if !s.fallback {
			return -1
		}
		return s.other(h)
	}
	return int(s.members[rank])
}

// hops is how many times other hashes again before it walks the table: with
// half of the members gone one walk in 2⁶⁴ remains.
const hops = 64

// other returns an eligible member for a connection whose own is not.
func (s *hashed) other(h uint64) int {
	size := uint64(len(s.table))
	for range hops {
		h = again(h)
		if rank := s.table[h%size]; s.takes(rank) {
			return int(s.members[rank])
		}
	}
	for i := range size {
		if rank := s.table[(h+i)%size]; s.takes(rank) {
			return int(s.members[rank])
		}
	}
	return -1
}

// again turns one hash into the next: the finaliser of splitmix64.
func again(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// byDestination, byClient and byClientPort are what a connection is hashed by.
// None of them is what slots are hashed by (protocol, address and port), so a
// worker, which sees the clients of its slots only, sees all of the table.

func byDestination(k *Key) uint64 { return xxhash.Sum64(k.VIP[:]) }

func byClient(k *Key) uint64 { return xxhash.Sum64(k.Client[:]) }

func byClientPort(k *Key) uint64 {
	var b [18]byte
	copy(b[:], k.Client[:])
	binary.BigEndian.PutUint16(b[16:], k.ClientPort)
	return xxhash.Sum64(b[:])
}

// ranked lists the members of weight above zero in the order of their names,
// which is the order they have on every director.
func ranked(members []Member) (order []uint16) {
	for i := range members {
		if members[i].Weight > 0 {
			order = append(order, uint16(i))
		}
	}
	slices.SortFunc(order, func(a, b uint16) int {
		return strings.Compare(members[a].Name, members[b].Name)
	})
	return order
}

// newHashed looks up in table, which holds ranks.
func newHashed(members []Member, order, table []uint16) *hashed {
	s := &hashed{table: table, members: order, eligible: make([]bool, len(order))}
	for rank, i := range order {
		s.eligible[rank] = members[i].eligible()
	}
	if limits(members) != nil {
		for _, i := range order {
			s.limits = append(s.limits, members[i].limit())
		}
	}
	return s
}

// buckets is the size of the tables of dh and sh, as in IPVS.
const buckets = 256
