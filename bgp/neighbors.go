package bgp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/apiutil"
	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

// setNeighbors removes, changes and adds neighbours, and touches no other.
func (s *server) setNeighbors(want []Neighbor) error {
	var errs []error
	have := make(map[netip.Addr]*Neighbor)
	for i := range s.config.Neighbors {
		have[s.config.Neighbors[i].Address] = &s.config.Neighbors[i]
	}
	keep := make([]Neighbor, 0, len(want))
	stay := make(map[netip.Addr]bool)
	for i := range want {
		if h := have[want[i].Address]; h != nil && h.sameSession(&want[i]) {
			stay[h.Address] = true
		}
	}
	for a, h := range have {
		if stay[a] {
			continue
		}
		if err := s.remove(h); err != nil {
			errs = append(errs, fmt.Errorf("neighbor %v: remove: %w", a, err))
		}
	}
	for _, n := range want {
		var err error
		switch h := have[n.Address]; {
		case !stay[n.Address]:
			err = s.add(&n)
		case !h.sameAttributes(&n):
			err = s.retell(&n)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("neighbor %v: %w", n.Address, err))
			continue
		}
		keep = append(keep, n)
	}
	s.config.Neighbors = keep
	return errors.Join(errs...)
}

// add configures n and starts its session. The policy comes first: a session
// may be up before the next line.
func (s *server) add(n *Neighbor) error {
	if err := s.policies.set(n); err != nil {
		return err
	}
	s.journal.add(n)
	return s.bgp.AddPeer(context.Background(), &api.AddPeerRequest{Peer: newPeer(n)})
}

// revive gives a neighbour whose steady session has just ended a new one at
// once. GoBGP by itself would stay idle for five seconds, whatever it is told,
// and refuse the router's own attempts meanwhile.
func (s *server) revive() error {
	var errs []error
	for _, a := range s.journal.lapsed() {
		i := slices.IndexFunc(s.config.Neighbors, func(n Neighbor) bool { return n.Address == a })
		if i < 0 {
			continue
		}
		err := s.bgp.DeletePeer(context.Background(), &api.DeletePeerRequest{Address: a.String()})
		if err == nil {
			err = s.bgp.AddPeer(context.Background(), &api.AddPeerRequest{Peer: newPeer(&s.config.Neighbors[i])})
		}
		if err != nil {
			s.config.Neighbors = slices.Delete(s.config.Neighbors, i, i+1) // for retry to add
			errs = append(errs, fmt.Errorf("neighbor %v: revive: %w", a, err))
		}
	}
	return errors.Join(errs...)
}

// reset gives a neighbour whose session has to end a new one. What was asked of
// an earlier child is over with that child's sessions.
func (s *server) reset(all map[netip.Addr]reset) error {
	before := s.resets
	s.resets = make(map[netip.Addr]reset, len(all))
	maps.Copy(s.resets, all)
	var errs []error
	for _, n := range slices.Clone(s.config.Neighbors) {
		r := all[n.Address]
		if before == nil || r.Count <= before[n.Address].Count {
			continue
		}
		err := s.remove(&n)
		if err == nil {
			err = s.add(&n)
		}
		if err != nil {
			s.config.Neighbors = slices.DeleteFunc(s.config.Neighbors, func(o Neighbor) bool { return o.Address == n.Address }) // for retry to add
			errs = append(errs, fmt.Errorf("neighbor %v: reset: %w", n.Address, err))
			continue
		}
		s.journal.fault(n.Address, r.Why)
	}
	return errors.Join(errs...)
}

// remove ends n's session and forgets it.
func (s *server) remove(n *Neighbor) error {
	if n.Password != "" && s.port > 0 {
		// DeletePeer would leave the key on the listening socket, and the
		// kernel would go on refusing this address without it.
		bare := newPeer(n)
		bare.Conf.AuthPassword = ""
		bare.Conf.AdminDown = true
		if _, err := s.bgp.UpdatePeer(context.Background(), &api.UpdatePeerRequest{Peer: bare}); err != nil {
			return err
		}
	}
	if err := s.bgp.DeletePeer(context.Background(), &api.DeletePeerRequest{Address: n.Address.String()}); err != nil {
		return err
	}
	s.journal.remove(n.Address)
	return s.policies.drop(n.Address)
}

// retell changes what n is told of the routes and tells it again.
func (s *server) retell(n *Neighbor) error {
	if err := s.policies.set(n); err != nil {
		return err
	}
	s.journal.resending(n.Address)
	return s.bgp.ResetPeer(context.Background(), &api.ResetPeerRequest{
		Address: n.Address.String(), Soft: true, Direction: api.ResetPeerRequest_OUT,
	})
}

// agree finds out which families the neighbours take whose sessions are new.
func (s *server) agree() {
	for _, a := range s.journal.unasked() {
		s.bgp.ListPeer(context.Background(), &api.ListPeerRequest{Address: a.String()}, func(p *api.Peer) {
			s.journal.agree(a, takes(p, bgp.RF_IPv4_UC), takes(p, bgp.RF_IPv6_UC))
		})
	}
}

// takes tells whether the neighbour's OPEN had family f among its capabilities.
// One without any speaks IPv4 (RFC 4760 §8).
func takes(p *api.Peer, f bgp.RouteFamily) bool {
	caps, _ := apiutil.UnmarshalCapabilities(p.GetState().GetRemoteCap())
	some := false
	for _, c := range caps {
		if mp, ok := c.(*bgp.CapMultiProtocol); ok {
			if some = true; mp.CapValue == f {
				return true
			}
		}
	}
	return !some && f == bgp.RF_IPv4_UC
}

// newPeer puts n into GoBGP's words.
func newPeer(n *Neighbor) *api.Peer {
	p := &api.Peer{
		Conf: &api.PeerConf{
			NeighborAddress: n.Address.String(),
			PeerAsn:         n.ASN,
			AuthPassword:    n.Password,
		},
		Timers: &api.Timers{Config: &api.TimersConfig{
			HoldTime:               uint64(n.holdTime() / time.Second),
			KeepaliveInterval:      uint64(max(1, n.holdTime()/time.Second/3)),
			ConnectRetry:           uint64(n.connectRetry() / time.Second),
			IdleHoldTimeAfterReset: 1,
		}},
		Transport: &api.Transport{
			RemotePort:  uint32(n.port()),
			PassiveMode: n.Passive,
		},
		GracefulRestart: &api.GracefulRestart{Enabled: false},
	}
	if n.LocalAddress.IsValid() {
		p.Transport.LocalAddress = n.LocalAddress.String()
	}
	if n.TTLSecurity > 0 {
		p.TtlSecurity = &api.TtlSecurity{Enabled: true, TtlMin: uint32(256 - n.TTLSecurity)}
	}
	if n.Multihop > 0 {
		p.EbgpMultihop = &api.EbgpMultihop{Enabled: true, MultihopTtl: uint32(n.Multihop)}
	}
	for _, f := range []*api.Family{ipv4, ipv6} {
		if n.carries(exampleOf(f)) {
			p.AfiSafis = append(p.AfiSafis, &api.AfiSafi{Config: &api.AfiSafiConfig{Family: f, Enabled: true}})
		}
	}
	return p
}
