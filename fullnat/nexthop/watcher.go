package nexthop

import (
	"context"
	"errors"

	"fleetlb/fullnat/packet"
)

// An Interface is one of the interfaces frames may leave by.
type Interface struct {
	Name  string
	Index int
	MAC   [6]byte
	MTU   int
}

// A Watcher follows the kernel's routes and neighbours.
type Watcher struct{}

// Watch starts to follow the kernel; its context ends it. A hop's Port is an
// index into interfaces.
func Watch(ctx context.Context, interfaces []Interface) (*Watcher, error) {
	return nil, errors.ErrUnsupported
}

// Changes receives after the Table has changed, once for any number of changes.
func (w *Watcher) Changes() <-chan struct{} { return nil }

// Table returns the present table.
func (w *Watcher) Table() *Table { return nil }

// Want asks the kernel to resolve the next hop towards dst: its gateway or,
// on-link, dst itself. It never blocks and may be called by any worker for any
// packet; under pressure requests are forgotten, so ask again.
func (w *Watcher) Want(dst packet.Addr) {}

// Keep names the whole set of destinations whose next hops are to be kept
// resolved whether frames go there or not.
func (w *Watcher) Keep(set []packet.Addr) {}
