package gossip

import (
	"fmt"
	"log"
	"time"

	"github.com/hashicorp/memberlist"
)

// Detection, as set below: a member is asked for a sign of life each half second
// in turn, has a quarter of one to answer, and then, asked through others, the
// rest. From then on it is suspected, and can object, for 2.5 s in a fleet of up
// to ten and 4.5 s in one of 64. So a death is known after some 3 to 4 s among
// three members and 5 to 7 s among 64. Nobody's traffic waits for that: routers
// move it by BGP and BFD.
const (
	probeInterval    = 500 * time.Millisecond
	probeTimeout     = 250 * time.Millisecond
	suspicion        = 5 // probe intervals, times the decimal logarithm of the fleet
	suspicionAtMost  = 2 // times that, while few confirm it
	gossipInterval   = 100 * time.Millisecond
	pushPullInterval = 15 * time.Second
)

// startList starts memberlist over our wire.
func (f *Fleet) startList() error {
	c := memberlist.DefaultLANConfig()
	c.Name = lifeName(f.name, f.wire.endpoint.Boot().Epoch)
	c.Transport = &transport{f.wire, f.met}
	c.AdvertisePort = int(f.wire.advertise.Port())
	c.BindPort = int(f.wire.bind.Port())
	c.TCPTimeout = dialTimeout
	c.ProbeInterval, c.ProbeTimeout = probeInterval, probeTimeout
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = suspicion, suspicionAtMost
	c.GossipInterval, c.PushPullInterval = gossipInterval, pushPullInterval
	c.EnableCompression = false // a little from the wire must stay little
	c.UDPBufferSize = MaxDatagram
	c.HandoffQueueDepth = 4096
	c.Delegate, c.Events, c.Alive = delegate{f}, events{f}, events{f}
	c.Logger = log.New(&journal{log: f.log}, "", 0)
	list, err := memberlist.Create(c)
	if err != nil {
		return err
	}
	f.list = list
	return nil
}

// delegate tells memberlist what to spread of us. It sends no messages of ours.
type delegate struct{ f *Fleet }

func (d delegate) NodeMeta(int) []byte           { return d.f.nodeMeta() }
func (delegate) NotifyMsg([]byte)                {}
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (delegate) LocalState(bool) []byte          { return nil }
func (delegate) MergeRemoteState([]byte, bool)   {}

// events hears from memberlist, which holds its lock meanwhile: nothing here may
// call it.
type events struct{ f *Fleet }

func (e events) NotifyJoin(n *memberlist.Node)   { e.f.seen(n, true) }
func (e events) NotifyUpdate(n *memberlist.Node) { e.f.seen(n, true) }
func (e events) NotifyLeave(n *memberlist.Node)  { e.f.seen(n, false) }

// NotifyAlive refuses what is no member of ours, and earlier lives of those that
// have begun a later one.
func (e events) NotifyAlive(n *memberlist.Node) error {
	life, err := lifeOf(n.Name, n.Address())
	if err != nil {
		return err
	}
	if _, err := parseMeta(n.Meta); err != nil {
		return fmt.Errorf("what it tells of itself: %w", err)
	}
	return e.f.current(life)
}
