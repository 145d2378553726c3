package fullnat

import (
	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// nat replaces the destination alone: the server sees the client, and its answer
// comes back because the director is its gateway.
func (w *Worker) nat(p *packet.Packet, s *session.Session, path *session.Path, dir session.Direction) {
	if dir == session.Inbound {
		p.Rewrite(s.Client, path.Server, s.ClientPort, s.ServerPort(path))
	} else {
		p.Rewrite(path.VIP, s.Client, s.VIPPort, s.ClientPort)
	}
}

// natError turns the quote back into what its receiver sent. An error to the
// server may say which router it is from, as it could to any host; one to the
// client comes from the VIP, for the servers' network is not the client's affair.
func (w *Worker) natError(p *packet.Packet, s *session.Session, path *session.Path, dir session.Direction) {
	if dir == session.Inbound {
		p.RewriteInner(path.Server, s.Client, s.ServerPort(path), s.ClientPort)
		p.RewriteOuter(p.Tuple.Src, path.Server)
	} else {
		p.RewriteInner(s.Client, path.VIP, s.ClientPort, s.VIPPort)
		p.RewriteOuter(path.VIP, s.Client)
	}
}

// hairpin says whether a connection would come to the server that makes it: its
// packets would have one address at both ends, which no host takes.
func hairpin(client packet.Addr, path *session.Path) bool {
	return path.Mode == session.NAT && client == path.Server
}
