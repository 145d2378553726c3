package link

import (
	"errors"
	"net/netip"
)

// Ports is a set of interfaces opened for a number of workers.
type Ports struct {
	queues []Queue
}

// Open opens the interfaces of these names for so many workers.
func Open(interfaces []string, workers int) (*Ports, error) {
	return nil, errors.ErrUnsupported
}

// Queues returns one queue for each worker.
func (p *Ports) Queues() []Queue { return p.queues }

// Interfaces returns the interfaces in the order they were given to Open: a
// frame's Port is an index into it.
func (p *Ports) Interfaces() []Interface { return nil }

// Steer says which destination addresses are ours: the whole set, each time.
func (p *Ports) Steer(vips, locals []netip.Prefix) error { return nil }

// Steering says how frames are given to the workers, in an operator's words.
func (p *Ports) Steering() string { return "" }

// Stats returns the counts of every interface and worker.
func (p *Ports) Stats() []Stat { return nil }

// Close closes all queues and unmaps their frames. The workers must have ended.
func (p *Ports) Close() error { return nil }
