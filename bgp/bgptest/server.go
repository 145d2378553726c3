package bgptest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/log"
	gobgp "github.com/osrg/gobgp/v3/pkg/server"
)

// server is GoBGP as a listening peer, and what it has heard.
type server struct {
	config Config
	news   chan struct{} // something has changed; holds one
	bgp    *gobgp.BgpServer
	stop   context.CancelFunc // of the watch

	mu       sync.Mutex
	routes   map[key]Route
	sessions map[netip.Addr]Session
}

type key struct {
	prefix netip.Prefix
	from   netip.Addr
}

func newServer(c Config) *server {
	return &server{
		config:   c,
		news:     make(chan struct{}, 1),
		routes:   make(map[key]Route),
		sessions: make(map[netip.Addr]Session),
	}
}

// listen starts GoBGP. The watch comes first, to miss nothing.
func (s *server) listen() error {
	if s.bgp != nil {
		return nil
	}
	c := &s.config
	s.bgp = gobgp.NewBgpServer(gobgp.LoggerOption(quiet{}))
	go s.bgp.Serve()
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())

	global := &api.Global{Asn: c.ASN, RouterId: c.RouterID.String(), ListenPort: int32(c.Port), Families: []uint32{0, 1}}
	for _, a := range c.Listen {
		global.ListenAddresses = append(global.ListenAddresses, a.String())
	}
	if err := s.bgp.StartBgp(ctx, &api.StartBgpRequest{Global: global}); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	everything := &api.WatchEventRequest{
		Peer: &api.WatchEventRequest_Peer{},
		Table: &api.WatchEventRequest_Table{Filters: []*api.WatchEventRequest_Table_Filter{
			{Type: api.WatchEventRequest_Table_Filter_POST_POLICY},
		}},
	}
	if err := s.bgp.WatchEvent(ctx, everything, func(e *api.WatchEventResponse) { s.hear(ctx, e) }); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	for i, n := range c.Neighbors {
		if err := s.admit(ctx, i, n); err != nil {
			return fmt.Errorf("neighbor %v: %w", n.Prefix, err)
		}
	}
	return nil
}

// close ends all sessions with a notification and listens no more.
func (s *server) close() {
	if s.bgp == nil {
		return
	}
	s.stop()
	s.bgp.StopBgp(context.Background(), &api.StopBgpRequest{})
	s.bgp = nil
	s.update(func() {
		clear(s.routes)
		for a, session := range s.sessions {
			session.Up = false
			s.sessions[a] = session
		}
	})
}

// reset ends the session with a; a may come back at once.
func (s *server) reset(a netip.Addr) error {
	if s.bgp == nil {
		return fmt.Errorf("reset %v: not listening", a)
	}
	return s.bgp.ResetPeer(context.Background(), &api.ResetPeerRequest{Address: a.String(), Communication: "reset by command"})
}

// admit lets n connect, or connects to it. Those that connect are dynamic
// neighbours even when they are listed: GoBGP would refuse a listed one for
// five seconds after its session has ended.
func (s *server) admit(ctx context.Context, i int, n Neighbor) error {
	hold := cmp.Or(uint64(s.config.HoldTime/time.Second), 9)
	timers := &api.Timers{Config: &api.TimersConfig{HoldTime: hold, KeepaliveInterval: hold / 3, ConnectRetry: 1, IdleHoldTimeAfterReset: 1}}
	var families []*api.AfiSafi
	for _, afi := range []api.Family_Afi{api.Family_AFI_IP, api.Family_AFI_IP6} {
		families = append(families, &api.AfiSafi{Config: &api.AfiSafiConfig{
			Enabled: true, Family: &api.Family{Afi: afi, Safi: api.Family_SAFI_UNICAST},
		}})
	}
	ttl := &api.TtlSecurity{Enabled: n.MinTTL > 0, TtlMin: uint32(n.MinTTL)}
	hops := &api.EbgpMultihop{Enabled: n.Multihop, MultihopTtl: 255}

	if n.Connect != 0 {
		a := n.Prefix.Addr()
		return s.bgp.AddPeer(ctx, &api.AddPeerRequest{Peer: &api.Peer{
			Conf:      &api.PeerConf{NeighborAddress: a.String(), PeerAsn: n.ASN, AuthPassword: n.Password},
			Transport: &api.Transport{RemotePort: uint32(n.Connect), LocalAddress: s.source(a)},
			Timers:    timers, AfiSafis: families, TtlSecurity: ttl, EbgpMultihop: hops,
		}})
	}
	group := fmt.Sprint("neighbor ", i)
	if err := s.bgp.AddPeerGroup(ctx, &api.AddPeerGroupRequest{PeerGroup: &api.PeerGroup{
		Conf:      &api.PeerGroupConf{PeerGroupName: group, PeerAsn: n.ASN, AuthPassword: n.Password},
		Transport: &api.Transport{PassiveMode: true},
		Timers:    timers, AfiSafis: families, TtlSecurity: ttl, EbgpMultihop: hops,
	}}); err != nil {
		return err
	}
	return s.bgp.AddDynamicNeighbor(ctx, &api.AddDynamicNeighborRequest{
		DynamicNeighbor: &api.DynamicNeighbor{Prefix: n.Prefix.String(), PeerGroup: group},
	})
}

// source is the address to connect to a from: one that is listened on.
func (s *server) source(a netip.Addr) string {
	for _, l := range s.config.Listen {
		if l.Is4() == a.Is4() && !l.IsUnspecified() {
			return l.String()
		}
	}
	return ""
}

// state is all that has been heard.
func (s *server) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return State{
		Listening: s.bgp != nil,
		Routes: slices.SortedFunc(maps.Values(s.routes), func(a, b Route) int {
			return cmp.Or(a.Prefix.Compare(b.Prefix), a.From.Compare(b.From))
		}),
		Sessions: slices.SortedFunc(maps.Values(s.sessions), func(a, b Session) int {
			return a.Neighbor.Compare(b.Neighbor)
		}),
	}
}

// update changes what has been heard.
func (s *server) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// quiet is a logger that only dies.
type quiet struct{}

func (quiet) Panic(msg string, f log.Fields) { panic(fmt.Sprint(msg, f)) }
func (quiet) Fatal(msg string, f log.Fields) { panic(fmt.Sprint(msg, f)) }
func (quiet) Error(string, log.Fields)       {}
func (quiet) Warn(string, log.Fields)        {}
func (quiet) Info(string, log.Fields)        {}
func (quiet) Debug(string, log.Fields)       {}
func (quiet) SetLevel(log.LogLevel)          {}
func (quiet) GetLevel() log.LogLevel         { return log.ErrorLevel }
