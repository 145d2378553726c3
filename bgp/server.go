package bgp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	gobgp "github.com/osrg/gobgp/v3/pkg/server"
)

// server brings GoBGP, inside the child, from what it is doing to what is
// desired, by the smallest change.
type server struct {
	journal  *journal
	bgp      *gobgp.BgpServer // nil: not started
	spare    *gobgp.BgpServer // one that could not be started: its goroutine would never end
	wanted   *desired
	config   Config // as applied
	port     int    // listened on, or -1
	routes   map[netip.Prefix]Route
	resets   map[netip.Addr]reset // those that are done
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
	return errors.Join(s.setRoutes(d.Routes), s.setNeighbors(d.Config.Neighbors), s.reset(d.Resets))
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
	if s.spare == nil {
		s.spare = gobgp.NewBgpServer(gobgp.LoggerOption(s.journal))
		go s.spare.Serve()
	}
	b := s.spare
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
		b.StopBgp(context.Background(), &api.StopBgpRequest{}) // it may listen on one family
		return fmt.Errorf("listen on port %d: %w", c.listenPort(), err)
	}
	s.bgp, s.spare = b, nil
	s.config = Config{ASN: c.ASN, RouterID: c.RouterID}
	s.port = c.listenPort()
	s.routes = make(map[netip.Prefix]Route)
	s.policies = policies{bgp: b}
	if err := s.policies.start(); err != nil {
		s.close() // rather than learn or announce anything without them
		return err
	}
	return nil
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
