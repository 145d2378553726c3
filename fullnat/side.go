package fullnat

import (
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A side says from which end of a session a packet is, as far as its own ends
// tell: where its slot is written depends on that.
type side uint8

const (
	stranger side = iota // to no address of ours
	client               // to a VIP
	server               // to a local address
	gated                // to a client, by a NAT server
)

// side returns whose packet has these ends.
func (s *Snapshot) side(t *packet.Tuple) side {
	switch {
	case s.local(t.Dst):
		return server
	case s.Services.HasVIP(t.Dst):
		return client
	case s.beyond.answers(t) && !s.Hops.HostAddress(t.Dst):
		return gated
	}
	return stranger
}

// owner returns the worker that owns the slot of a packet from a side.
func (w *Worker) owner(t *packet.Tuple, from side) int {
	return ownerOf(slotOf(t, from), w.workers)
}

func ownerOf(slot uint8, workers int) int { return int(slot) * workers / session.Slots }

// slotOf returns the slot of a packet. A local port carries it in its low byte;
// every other packet shows the client.
func slotOf(t *packet.Tuple, from side) uint8 {
	switch from {
	case server:
		return uint8(t.DstPort)
	case gated:
		return session.Slot(t.Protocol, t.Dst, t.DstPort)
	}
	return session.Slot(t.Protocol, t.Src, t.SrcPort)
}
