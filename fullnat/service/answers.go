package service

import (
	"fmt"

	"fleetlb/fullnat/packet"
)

// Where datagrams are scheduled one by one no session says which VIP an answer is
// from. In mode NAT the server's own address and port have to: they may be behind
// one port of one VIP only, or behind as many ports as the server keeps.

// once says whether the server's answers have to tell by themselves.
func (s *Server) once() bool { return s.Service.OnePacket && s.Mode == NAT }

// Answers returns the server that answers from an address and port to datagrams
// that were scheduled one by one, or nil.
func (t *Table) Answers(protocol uint8, server packet.Addr, port uint16) *Server {
	if s := t.answers.find(keyOf(protocol, server, port)); s != nil {
		return s.value
	}
	s := t.answers.find(keyOf(protocol, server, 0))
	if s == nil || port < s.value.Service.Port || port > s.value.Service.Last {
		return nil
	}
	return s.value
}

// AnswersAs returns the port of the VIP that the server answers as from a port.
func (s *Server) AnswersAs(port uint16) uint16 {
	if s.Port == 0 {
		return port
	}
	return s.Service.Port
}

func answersOf(servers []*Server) index[*Server] {
	var once []*Server
	for _, s := range servers {
		if s.once() {
			once = append(once, s)
		}
	}
	x := newIndex[*Server](len(once))
	for _, s := range once {
		x.put(keyOf(s.Service.Protocol, s.Addr, s.Port), s)
	}
	return x
}

// unanswerable lists the servers of which nobody could tell what they answer.
func unanswerable(services []*Service) (errs []error) {
	owners := map[packet.Addr][]*Server{}
	for _, s := range services {
		for _, v := range s.all() {
			if !v.once() {
				continue
			}
			say := func(format string, args ...any) {
				errs = append(errs, fmt.Errorf("service %q: server %s: one packet scheduling in mode nat: %w", s.Name, v.Name, fmt.Errorf(format, args...)))
			}
			switch {
			case len(s.Beside) > 0:
				say("its answers do not tell which of the service's addresses they are from")
				continue
			case s.Last != 0 && v.Port != 0:
				say("its answers do not tell which of the service's ports they are from; give the server port 0")
				continue
			}
			for _, o := range owners[v.Addr] {
				if o.Port == v.Port || o.Port == 0 || v.Port == 0 {
					say("its answers could be service %q's as well", o.Service.Name)
					break
				}
			}
			owners[v.Addr] = append(owners[v.Addr], v)
		}
	}
	return errs
}
