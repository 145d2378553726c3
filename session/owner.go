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
