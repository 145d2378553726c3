package bgptest

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"fleetlb/bgp/bfd"
)

// watch ends the sessions with neighbours that BFD has lost.
type watch struct {
	speaker  *bfd.Speaker
	interval time.Duration
	failures map[netip.Addr]uint64 // known of
}

func newWatch(interval time.Duration) (*watch, error) {
	if interval == 0 {
		return nil, nil
	}
	s, err := bfd.New(slog.New(slog.DiscardHandler), func() bool { return true })
	if err != nil {
		return nil, err
	}
	return &watch{s, interval, map[netip.Addr]uint64{}}, nil
}

// changes is nil, and so never has anything, without BFD.
func (w *watch) changes() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.speaker.Changes()
}

// follow watches every neighbour that has ever had a session.
func (w *watch) follow(sessions []Session) error {
	if w == nil {
		return nil
	}
	var peers []bfd.Peer
	for _, s := range sessions {
		peers = append(peers, bfd.Peer{Address: s.Neighbor, Interval: w.interval, Multiplier: 3})
	}
	return w.speaker.Set(peers)
}

// lost lists the neighbours that were lost since it was last asked.
func (w *watch) lost() (all []netip.Addr) {
	for _, s := range w.speaker.Sessions() {
		if s.Failures > w.failures[s.Address] {
			all = append(all, s.Address)
		}
		w.failures[s.Address] = s.Failures
	}
	return all
}

func (w *watch) close() {
	if w != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		w.speaker.Close(ctx)
	}
}
