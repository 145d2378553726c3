package node

import (
	"context"
	"log/slog"

	"fleetlb/bgp"
	"fleetlb/node/config"
)

// startSpeaker starts what announces routes, if there is a [bgp].
func startSpeaker(life context.Context, c *config.BGP, log *slog.Logger) (speaker, error) {
	if c == nil {
		return nil, nil
	}
	s, err := bgp.Start(life, speakerConfig(c), bgp.Options{Logger: log})
	if err != nil {
		return nil, err // s, in an interface, would not be nil
	}
	return s, nil
}

// speakerConfig says a [bgp] in the words of package bgp.
func speakerConfig(c *config.BGP) bgp.Config {
	s := bgp.Config{ASN: c.ASN, RouterID: c.RouterID}
	for i := range c.Neighbors {
		n := &c.Neighbors[i]
		if n.Passive {
			s.ListenPort = c.ListenPort
		}
		s.Neighbors = append(s.Neighbors, bgp.Neighbor{
			Address: n.Address, Port: n.Port, ASN: n.ASN,
			LocalAddress: n.LocalAddress, Passive: n.Passive,
			HoldTime: n.HoldTime, ConnectRetry: n.ConnectRetry,
			Password: string(n.Password), TTLSecurity: n.TTLSecurity, Multihop: n.Multihop,
			NextHop4: n.NextHop4, NextHop6: n.NextHop6,
			Prepend: n.Prepend, MED: n.MED,
			Communities: n.Communities, LargeCommunities: n.LargeCommunities,
		})
	}
	return s
}

// carries says whether a neighbour is told of IPv4 routes, or of IPv6 routes.
func carries(n *config.Neighbor, four bool) bool {
	if four {
		return n.Address.Is4() || n.NextHop4.IsValid()
	}
	return n.Address.Is6() || n.NextHop6.IsValid()
}
