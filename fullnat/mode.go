package fullnat

import (
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// What a mode does to a packet is in a file of its own: fullnat.go. A session's
// mode is that of its path; the two dispatches below are all that the rest of
// the journey knows of it.

// translate gives a packet that goes dir the form in which its receiver knows
// the connection.
func (w *Worker) translate(p *packet.Packet, s *session.Session, path *session.Path, dir session.Direction) {
	switch path.Mode {
	case session.FULLNAT:
		w.fullnat(p, s, path, dir)
	}
}

// translateError does the same to an ICMP error: dir is the way it goes, the
// packet that it quotes went the other.
func (w *Worker) translateError(p *packet.Packet, s *session.Session, path *session.Path, dir session.Direction) {
	switch path.Mode {
	case session.FULLNAT:
		w.fullnatError(p, s, path, dir)
	}
}
