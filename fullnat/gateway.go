package fullnat

import (
	"context"
	"maps"
	"slices"
	"time"

	"fleetlb/fullnat/link"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
	"fleetlb/session"
)

// Packets that are ours though they go to no address of ours: what a server of
// mode NAT answers to the client's own address, because the director is its
// gateway, and what routers say of packets that went to such servers or through
// a tunnel. Whatever else those servers send is no business of ours. The kernel
// has it too, and forwards it where it is told to.

// beyond is the servers that have such packets.
type beyond struct {
	gated     map[endpoint]struct{} // of NAT; port 0 is any, and with protocol 0 the server itself
	tunnelled map[packet.Addr]struct{}
}

// An endpoint is one end of a server's.
type endpoint struct {
	addr     packet.Addr
	port     uint16
	protocol uint8
}

func (b *beyond) gate(e endpoint) {
	b.gated[e] = struct{}{}
	b.gated[endpoint{addr: e.addr}] = struct{}{}
}

// beyondOf collects them from the servers of a table.
func beyondOf(t *service.Table) beyond {
	b := beyond{map[endpoint]struct{}{}, map[packet.Addr]struct{}{}}
	for _, s := range t.Servers {
		switch s.Mode {
		case service.NAT:
			b.gate(endpointOf(keyOf(s)))
		case service.TUN:
			b.tunnelled[s.Addr] = struct{}{}
		}
	}
	return b
}

func endpointOf(k session.PathKey) endpoint { return endpoint{k.Server, k.ServerPort, k.Protocol} }

// answers says whether a packet with these ends may be a NAT server's answer.
func (b *beyond) answers(t *packet.Tuple) bool {
	if len(b.gated) == 0 {
		return false
	}
	_, one := b.gated[endpoint{t.Src, t.SrcPort, t.Protocol}]
	_, any := b.gated[endpoint{addr: t.Src, protocol: t.Protocol}]
	return one || any
}

// fromServer says whether a is the address of a NAT server.
func (b *beyond) fromServer(a packet.Addr) bool {
	_, ok := b.gated[endpoint{addr: a}]
	return ok
}

// throughTunnel says whether packets to a go through a tunnel.
func (b *beyond) throughTunnel(a packet.Addr) bool {
	_, ok := b.tunnelled[a]
	return ok
}

// ours is what the kernel shall let through.
func (s *Snapshot) ours() link.Ours {
	o := link.Ours{VIPs: s.Services.VIPs(), Locals: append(slices.Clone(s.Locals), s.Fleet.blocks()...), Hosts: s.Hops.Hosts()}
	for e := range s.beyond.gated {
		if e.protocol != 0 {
			o.Gated = append(o.Gated, link.Endpoint{Protocol: e.protocol, AddrPort: ends(e.addr, e.port)})
		}
	}
	for a := range s.beyond.tunnelled {
		o.Tunnelled = append(o.Tunnelled, a.Netip())
	}
	return o
}

// concerns says whether a packet that is no whole TCP or UDP packet is ours.
func (s *Snapshot) concerns(p *packet.Packet) bool {
	switch {
	case s.owns(p.Tuple.Dst):
		return true
	case p.Kind == packet.Fragment:
		return s.beyond.fromServer(p.Tuple.Src) && !s.Hops.HostAddress(p.Tuple.Dst)
	case p.Kind == packet.Error:
		return s.beyond.fromServer(p.Inner.Tuple.Dst) || s.beyond.throughTunnel(p.Inner.Tuple.Dst)
	}
	return false
}

// keepGates adds to a new snapshot the NAT servers that old had and that
// sessions still use: those outlive the snapshot, and their answers must go on
// coming to us.
func (p *Plane) keepGates(s, old *Snapshot) {
	if len(old.beyond.gated) == 0 {
		return
	}
	missing := false
	for e := range old.beyond.gated {
		_, there := s.beyond.gated[e]
		missing = missing || !there
	}
	if !missing {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, w := range p.workers {
		used, err := inquire(ctx, p, w, w.gatesInUse)
		if err != nil { // nobody knows: keep them all
			used = maps.Clone(old.beyond.gated)
		}
		for e := range used {
			s.beyond.gate(e)
		}
	}
}

// gatesInUse is the ends of the NAT servers that have sessions here.
func (w *Worker) gatesInUse() map[endpoint]struct{} {
	used := map[endpoint]struct{}{}
	for _, path := range w.sessions.Paths() {
		if path.Mode == session.NAT && path.Sessions() > 0 {
			used[endpointOf(path.PathKey)] = struct{}{}
		}
	}
	return used
}
