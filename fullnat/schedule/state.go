package schedule

import "sync/atomic"

// State is what a service's schedulers hand on from one to the next. The zero
// State is a new service's.
type State struct {
	_      [64]byte
	cursor atomic.Uint64 // whose turn it is; every worker writes it, so it has a cache line of its own
	_      [56]byte

	maglev *maglev // the newest table; schedulers that use it hold it themselves
	places *places // nil until lblc or lblcr needs it
}
