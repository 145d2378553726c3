package bgptest

import (
	"context"
	"fmt"
	"net/netip"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/apiutil"
	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

// hear takes one of GoBGP's events.
func (s *server) hear(ctx context.Context, e *api.WatchEventResponse) {
	if ctx.Err() != nil {
		return // of a server that is being stopped
	}
	if peer := e.GetPeer(); peer != nil {
		s.hearSession(peer.GetPeer().GetState())
	}
	for _, path := range e.GetTable().GetPaths() {
		s.hearPath(path)
	}
}

func (s *server) hearSession(state *api.PeerState) {
	a, err := netip.ParseAddr(state.GetNeighborAddress())
	if err != nil {
		return // the event that ends the list of what was there before the watch
	}
	up := state.GetSessionState() == api.PeerState_ESTABLISHED
	s.update(func() {
		session := s.sessions[a]
		if up && !session.Up {
			session.Count++
		}
		session.Neighbor, session.Up = a, up
		s.sessions[a] = session
	})
}

func (s *server) hearPath(path *api.Path) {
	r, err := newRoute(path)
	if err != nil {
		return
	}
	s.update(func() {
		if k := (key{r.Prefix, r.From}); path.IsWithdraw {
			delete(s.routes, k)
		} else {
			s.routes[k] = r
		}
	})
}

func newRoute(path *api.Path) (r Route, err error) {
	nlri, err := apiutil.GetNativeNlri(path)
	if err != nil {
		return r, err
	}
	if r.Prefix, err = netip.ParsePrefix(nlri.String()); err != nil {
		return r, err
	}
	if r.From, err = netip.ParseAddr(path.GetNeighborIp()); err != nil || path.IsWithdraw {
		return r, err
	}
	attrs, err := apiutil.GetNativePathAttributes(path)
	if err != nil {
		return r, err
	}
	for _, a := range attrs {
		r.take(a)
	}
	if r.Prefix.Addr().Is4() {
		r.NextHop = r.NextHop.Unmap()
	}
	return r, nil
}

// take reads one attribute.
func (r *Route) take(a bgp.PathAttributeInterface) {
	switch a := a.(type) {
	case *bgp.PathAttributeAsPath:
		for _, segment := range a.Value {
			r.Path = append(r.Path, segment.GetAS()...)
		}
	case *bgp.PathAttributeNextHop:
		r.NextHop, _ = netip.AddrFromSlice(a.Value)
	case *bgp.PathAttributeMpReachNLRI:
		r.NextHop, _ = netip.AddrFromSlice(a.Nexthop)
	case *bgp.PathAttributeMultiExitDisc:
		r.MED = &a.Value
	case *bgp.PathAttributeLocalPref:
		r.LocalPref = &a.Value
	case *bgp.PathAttributeCommunities:
		for _, c := range a.Value {
			r.Communities = append(r.Communities, fmt.Sprintf("%d:%d", c>>16, c&0xffff))
		}
	case *bgp.PathAttributeLargeCommunities:
		for _, c := range a.Values {
			r.LargeCommunities = append(r.LargeCommunities, c.String())
		}
	}
}
