package gossip_test

import (
	"net"
	"net/netip"
	"slices"
	"sync"

	"fleetlb/gossip"
	"fleetlb/gossip/gossiptest"
)

// A recorder keeps the datagrams that are sent through it.
type recorder struct {
	*gossiptest.Network
	mu  sync.Mutex
	all [][]byte
}

func (r *recorder) Listen(bind netip.AddrPort) (gossip.Packets, net.Listener, error) {
	p, l, err := r.Network.Listen(bind)
	return recording{p, r}, l, err
}

func (r *recorder) said() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

type recording struct {
	gossip.Packets
	r *recorder
}

func (p recording) WriteTo(b []byte, to netip.AddrPort) error {
	p.r.mu.Lock()
	p.r.all = append(p.r.all, slices.Clone(b))
	p.r.mu.Unlock()
	return p.Packets.WriteTo(b, to)
}
