package node

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"fleetlb/fullnat/packet"
	"fleetlb/gossip"
	"fleetlb/gossip/replica"
	"fleetlb/session"
)

// A relay stands in for the engine while the plane is made, which the engine
// needs and which needs the engine. Nobody speaks before both are there.
type relay struct {
	to atomic.Pointer[replica.Engine]
}

func (r *relay) Tell(worker int, records []session.Record) {
	if e := r.to.Load(); e != nil {
		e.Tell(worker, records)
	}
}

func (r *relay) Ask(worker int, tuples []packet.Tuple) {
	if e := r.to.Load(); e != nil {
		e.Ask(worker, tuples)
	}
}

func (r *relay) Differs(home session.NodeID, slot uint8) {
	if e := r.to.Load(); e != nil {
		e.Differs(home, slot)
	}
}

// A wire is the fleet's datagrams and streams, as the engine wants them. The
// fleet is known a moment later than the engine, to which it brings what comes.
type wire struct{ fleet atomic.Pointer[gossip.Fleet] }

var errJoining = errors.New("the fleet is being joined")

func (w *wire) Send(to session.NodeID, payload []byte) error {
	if f := w.fleet.Load(); f != nil {
		return f.Send(to, payload)
	}
	return errJoining
}

func (w *wire) Open(ctx context.Context, to session.NodeID) (net.Conn, error) {
	if f := w.fleet.Load(); f != nil {
		return f.Open(ctx, to)
	}
	return nil, errJoining
}
