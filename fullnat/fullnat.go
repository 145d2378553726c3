package fullnat

import (
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// fullnat replaces both endpoints: neither end ever sees the other.
func (w *Worker) fullnat(p *packet.Packet, s *session.Session, path *session.Path, dir session.Direction) {
	if dir == session.Inbound {
		p.Rewrite(w.sessions.Local(s), path.Server, s.LocalPort, s.ServerPort(path))
	} else {
		p.Rewrite(path.VIP, s.Client, s.VIPPort, s.ClientPort)
	}
}

// fullnatError has an error come from the end that its receiver knows, about the
// packet that the receiver sent.
func (w *Worker) fullnatError(p *packet.Packet, s *session.Session, path *session.Path, dir session.Direction) {
	if dir == session.Inbound {
		local := w.sessions.Local(s)
		p.RewriteInner(path.Server, local, s.ServerPort(path), s.LocalPort)
		p.RewriteOuter(local, path.Server)
	} else {
		p.RewriteInner(s.Client, path.VIP, s.ClientPort, s.VIPPort)
		p.RewriteOuter(path.VIP, s.Client)
	}
}
