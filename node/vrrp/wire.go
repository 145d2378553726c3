package vrrp

import (
	"net/netip"
	"time"
)

// A wire carries advertisements. All but wake is called from one goroutine; it is
// an interface so that tests can put a clock under it.
type wire interface {
	// open readies both directions of a place, from an address or, if that is
	// zero, the interface's own.
	open(at Place, from netip.Addr) (line, error)
	// wait returns when something has come, at the time (unless it is zero), or
	// when woken.
	wait(until time.Time)
	wake()
	close()
}

// A line is a wire's way to the other routers of one place.
type line interface {
	local() netip.Addr
	send([]byte) error
	// receive hands over what has come. The bytes are the callee's until it
	// returns.
	receive(func(*arrival))
	close()
}

// An arrival is a message, and what its IP header said.
type arrival struct {
	bytes    []byte
	from, to netip.Addr
	hops     uint8 // that were left
}
