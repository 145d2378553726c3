package bfd

import (
	"net/netip"
	"time"
)

// A wire carries packets. All but wake is called from one goroutine; it is an
// interface so that tests can put a clock under it.
type wire interface {
	// dial readies both directions between two ends.
	dial(ends) (line, error)
	// wait returns when something has come, at the time (unless it is zero), or
	// when woken.
	wait(until time.Time)
	// receive hands over what has come. The bytes are the callee's until it
	// returns.
	receive(func(*arrival))
	wake()
	close()
}

// A line is a wire's way to one peer.
type line interface {
	local() netip.Addr
	send([]byte) error
	close()
}

// An arrival is a datagram that came with the hop limit it must have.
type arrival struct {
	bytes    []byte
	from, to netip.Addr
	multihop bool
}
