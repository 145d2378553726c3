package gossip

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"

	"fleetlb/gossip/seal"
)

// transport is the wire as memberlist sees it.
type transport struct {
	*wire
	// met hears of each stream memberlist has dialed, or could not.
	met func(address netip.AddrPort, peer seal.Life, err error)
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.advertise.Addr().AsSlice(), int(t.advertise.Port()), nil
}

// WriteToAddress sends a packet of memberlist's. One to an earlier life of our
// own, which is remembered as a member for a while, goes nowhere.
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	to, err := lifeOf(a.Name, a.Addr)
	if err != nil {
		return time.Time{}, err
	}
	if to.Node != t.endpoint.Boot().Node {
		err = t.send(to, netip.MustParseAddrPort(a.Addr), forMemberlist, b)
	}
	return time.Now(), err
}

// DialAddressTimeout opens a stream for memberlist, to whoever is at the address
// when it has no name.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	to, err := netip.ParseAddrPort(a.Addr)
	if err != nil {
		return nil, err
	}
	var wanted uint64
	if a.Name != "" {
		life, err := lifeOf(a.Name, a.Addr)
		if err != nil {
			return nil, err
		}
		wanted = life.Node
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c, err := t.dial(ctx, to, wanted, t.endpoint.Ring().IDs(), toMemberlist)
	if err != nil {
		t.met(plain(to), seal.Life{}, err)
		return nil, err
	}
	t.met(plain(to), c.Peer(), nil)
	return &listStream{c, t.wire}, nil
}

func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.toList }
func (t *transport) StreamCh() <-chan net.Conn           { return t.streams }

// Shutdown ends what memberlist sends and hears. The wire is the fleet's, and
// closed by it.
func (t *transport) Shutdown() error { return nil }

// WriteTo and DialTimeout are for transports that know no names; memberlist
// calls the two above instead.
func (t *transport) WriteTo(b []byte, address string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: address})
}

func (t *transport) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: address}, timeout)
}
