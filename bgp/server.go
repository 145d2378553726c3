package bgp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/apiutil"
	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	gobgp "github.com/osrg/gobgp/v3/pkg/server"
)

// server brings GoBGP, inside the child, from what it is doing to what is
// desired, by the smallest change.
type server struct {
	journal  *journal
	bgp      *gobgp.BgpServer // nil: not started
	wanted   *desired
	config   Config // as applied
	port     int    // listened on, or -1
	routes   map[netip.Prefix]Route
	policies policies
}

func newServer(j *journal) *server { return &server{journal: j} }

// apply makes d true. After an error it is partly true, and retry goes on.
func (s *server) apply(d *desired) error {
	s.wanted = d
	if s.bgp != nil && !s.is(&d.Config) {
		s.close()
	}
	if s.bgp == nil {
		if err := s.start(&d.Config); err != nil {
			return err
		}
	}
	s.journal.expect(d.Routes)
	return errors.Join(s.setRoutes(d.Routes), s.setNeighbors(d.Config.Neighbors))
}

// retry proves that GoBGP still answers, and tries again what failed.
func (s *server) retry(problem string) string {
	if s.bgp != nil {
		s.bgp.GetBgp(context.Background(), &api.GetBgpRequest{})
	}
	if problem == "" {
		return ""
	}
	if err := s.apply(s.wanted); err != nil {
		return err.Error()
	}
	return ""
}

// is tells whether the running GoBGP can be what c asks for.
func (s *server) is(c *Config) bool {
	return s.config.ASN == c.ASN && s.config.RouterID == c.RouterID && s.port == c.listenPort()
}

// start starts GoBGP without neighbours and routes. It opens no management
// port, refuses every route it is sent, and keeps tables for two families.
func (s *server) start(c *Config) error {
	b := gobgp.NewBgpServer(gobgp.LoggerOption(s.journal))
	go b.Serve()
	global := &api.Global{
		Asn:        c.ASN,
		RouterId:   c.RouterID.String(),
		ListenPort: int32(c.listenPort()),
		Families:   []uint32{0, 1}, // GoBGP's own numbers for IPv4 and IPv6 unicast
	}
	global.ListenAddresses = []string{"0.0.0.0"}
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		global.ListenAddresses = append(global.ListenAddresses, "::")
	}
	if err := b.StartBgp(context.Background(), &api.StartBgpRequest{Global: global}); err != nil {
		return fmt.Errorf("listen on port %d: %w", c.listenPort(), err)
	}
	s.bgp = b
	s.config = Config{ASN: c.ASN, RouterID: c.RouterID}
	s.port = c.listenPort()
	s.routes = make(map[netip.Prefix]Route)
	s.policies = policies{bgp: b}
	return s.policies.start()
}

// close ends every session with a notification, and waits for that a little.
func (s *server) close() {
	if s.bgp == nil {
		return
	}
	stopped := make(chan struct{})
	go func(b *gobgp.BgpServer) {
		b.StopBgp(context.Background(), &api.StopBgpRequest{})
		close(stopped)
	}(s.bgp)
	select {
	case <-stopped:
	case <-time.After(farewell):
	}
	s.bgp = nil
	s.journal.clear()
}

// setRoutes withdraws what is no longer desired, then announces what is new.
func (s *server) setRoutes(routes []Route) error {
	var errs []error
	want := make(map[netip.Prefix]bool, len(routes))
	for _, r := range routes {
		want[r.Prefix] = true
	}
	for p := range s.routes {
		if want[p] {
			continue
		}
		s.journal.sending(p)
		if err := s.withdraw(p); err != nil {
			errs = append(errs, fmt.Errorf("withdraw %v: %w", p, err))
			continue
		}
		delete(s.routes, p)
	}
	for _, r := range routes {
		if old, ok := s.routes[r.Prefix]; ok && old.Equal(r) {
			continue
		}
		s.journal.sending(r.Prefix)
		if err := s.announce(r); err != nil {
			errs = append(errs, fmt.Errorf("announce %v: %w", r.Prefix, err))
			continue
		}
		s.routes[r.Prefix] = r
	}
	return errors.Join(errs...)
}

func (s *server) announce(r Route) error {
	path, err := newPath(r)
	if err != nil {
		return err
	}
	_, err = s.bgp.AddPath(context.Background(), &api.AddPathRequest{Path: path})
	return err
}

func (s *server) withdraw(p netip.Prefix) error {
	path, err := newPath(Route{Prefix: p})
	if err != nil {
		return err
	}
	return s.bgp.DeletePath(context.Background(), &api.DeletePathRequest{Path: path})
}

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
	return s.bgp.AddPeer(context.Background(), &api.AddPeerRequest{Peer: s.newPeer(n)})
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
			err = s.bgp.AddPeer(context.Background(), &api.AddPeerRequest{Peer: s.newPeer(&s.config.Neighbors[i])})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("neighbor %v: revive: %w", a, err))
		}
	}
	return errors.Join(errs...)
}

// remove ends n's session and forgets it.
func (s *server) remove(n *Neighbor) error {
	if n.Password != "" && s.port > 0 {
		// DeletePeer would leave the key on the listening socket, and the
		// kernel would go on refusing this address without it.
		bare := s.newPeer(n)
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
	any := false
	for _, c := range caps {
		if mp, ok := c.(*bgp.CapMultiProtocol); ok {
			if any = true; mp.CapValue == f {
				return true
			}
		}
	}
	return !any && f == bgp.RF_IPv4_UC
}

func (s *server) newPeer(n *Neighbor) *api.Peer {
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
