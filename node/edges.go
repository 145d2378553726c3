package node

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"fleetlb/bgp"
	"fleetlb/bgp/bfd"
	"fleetlb/fullnat"
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/node/health"
)

// The edges are what the control plane sees the world through and acts on it
// with. Each has one implementation, and is an interface so that tests can put
// another there.

// A dataplane is [fullnat.Plane].
type dataplane interface {
	Run(context.Context)
	Publish(*fullnat.Snapshot) error
	Heartbeat() time.Duration
	Counters(context.Context) (*fullnat.Counters, error)
	Sessions(context.Context) iter.Seq2[fullnat.SessionInfo, error]
	Established(context.Context) (int, error)
	Pools(context.Context) ([]fullnat.PoolInfo, error)
	Explain(context.Context, packet.Tuple) (*fullnat.Explanation, error)
}

// ports is [link.Ports], as far as the operator is told of it.
type ports interface {
	Interfaces() []link.Interface
	Steering() string
	Stats() []link.Stat
}

// nextHops is [nexthop.Watcher].
type nextHops interface {
	Changes() <-chan struct{}
	Keep([]packet.Addr)
	Table() *nexthop.Table
	Resolved(netip.Addr) bool
}

// A monitor is [health.Monitor].
type monitor interface {
	Set([]health.Target)
	Changes() <-chan struct{}
	Verdicts() map[string]health.Verdict
}

// A speaker is [bgp.Speaker].
type speaker interface {
	Announce([]bgp.Route) error
	Configure(bgp.Config) error
	Flush(context.Context) error
	Close(context.Context) error
	Neighbors() []bgp.NeighborStatus
	Process() bgp.Process
	Reset(a netip.Addr, why string)
}

// A detector is [bfd.Speaker].
type detector interface {
	Set([]bfd.Peer) error
	Sessions() []bfd.Status
	Drops() map[string]uint64
	Changes() <-chan struct{}
	Close(context.Context) error
}

type watcher struct{ *nexthop.Watcher }

// Resolved says whether the next hop towards an address is known to be there.
func (w watcher) Resolved(a netip.Addr) bool {
	t := w.Table()
	hop := t.Hop(t.Lookup(packet.AddrFrom(a)))
	return hop != nil && hop.Resolved
}
