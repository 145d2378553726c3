package node

import (
	"context"
	"io"
	"iter"
	"net/netip"
	"time"

	"fleetlb/bgp"
	"fleetlb/bgp/bfd"
	"fleetlb/fullnat"
	"fleetlb/fullnat/link"
	"fleetlb/fullnat/nexthop"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/persist"
	"fleetlb/gossip"
	"fleetlb/gossip/replica"
	"fleetlb/node/health"
	"fleetlb/node/vrrp"
	"fleetlb/session"
)

// The edges are what the control plane sees the world through and acts on it
// with. Each has one implementation, and is an interface so that tests can put
// another there.

// A dataplane is [fullnat.Plane].
type dataplane interface {
	replica.Sessions
	Run(context.Context)
	Publish(*fullnat.Snapshot) error
	Heartbeat() time.Duration
	Counters(context.Context) (*fullnat.Counters, error)
	Sessions(context.Context) iter.Seq2[fullnat.SessionInfo, error]
	Established(context.Context) (int, error)
	Persistence() iter.Seq[fullnat.TemplateInfo]
	Pools(context.Context) ([]fullnat.PoolInfo, error)
	Explain(context.Context, packet.Tuple) (*fullnat.Explanation, error)
	Templates() *persist.Store
	Now() session.Tick
}

// A fleet is [gossip.Fleet].
type fleet interface {
	Members() []gossip.Member
	Changes() <-chan struct{}
	Conflicts() []gossip.Conflict
	Announce(gossip.Info) error
	Address() netip.AddrPort
	Handle(kind string, h gossip.Handler)
	Call(ctx context.Context, to session.NodeID, kind string, request []byte) (io.ReadCloser, error)
	Keyring(context.Context) []gossip.KeyHolder
	AddKey(ctx context.Context, key []byte) (id string, answers []gossip.KeyHolder)
	UseKey(ctx context.Context, id string) []gossip.KeyHolder
	RemoveKey(ctx context.Context, id string) []gossip.KeyHolder
	SetKeys(keys [][]byte) error
	Refusals() []gossip.Refusal
	Share(key string, value []byte) error
	Shared(key string) map[session.NodeID][]byte
	SharedChanges() <-chan struct{}
	Leave(context.Context) error
}

// A replicator is [replica.Engine].
type replicator interface {
	SetSelf(session.Owner)
	SetMembers([]replica.Member)
	Keeps() [session.Slots]bool
	Partly() [session.Slots]bool
	KeepsOf(session.NodeID) [session.Slots]bool
	Sync(ctx context.Context, progress func(replica.Progress)) error
	Stats() replica.Stats
	Refusals() []replica.Refusal
}

// ports is [link.Ports], as far as the operator is told of it.
type ports interface {
	Interfaces() []link.Interface
	Steering() string
	Unguarded() error
	Driver() string
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

// An elector is [vrrp.Speaker].
type elector interface {
	Set([]vrrp.Group) error
	Groups() []vrrp.Status
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
