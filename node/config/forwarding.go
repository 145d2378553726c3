package config

import "slices"

// A Forwarding is how packets reach a server: by which mode and, of mode tun,
// inside what.
type Forwarding struct {
	Mode    string
	Tunnel  string // ipip or gue; "": not of mode tun
	Port    uint16 // of gue
	Variant int    // of gue
}

// portGUE is where IANA has servers take generic UDP encapsulation.
const portGUE = 6080

// Forwarding returns how packets reach a server of the service. What it does not
// say itself it has from the service. nil is one that says nothing, as the sorry
// server.
func (s *Service) Forwarding(r *Server) Forwarding {
	if r == nil {
		r = &Server{}
	}
	f := Forwarding{Mode: either(r.Mode, &s.Mode, "")}
	if f.Mode != "tun" {
		return f
	}
	f.Tunnel = either(r.Tunnel, s.Tunnel, "ipip")
	if f.Tunnel == "gue" {
		f.Port = either(r.TunnelPort, s.TunnelPort, portGUE)
		f.Variant = either(r.TunnelVariant, s.TunnelVariant, 0)
	}
	return f
}

// either is the first of two that is said, or what is meant by neither.
func either[T any](a, b *T, otherwise T) T {
	switch {
	case a != nil:
		return *a
	case b != nil:
		return *b
	}
	return otherwise
}

// forwardings lists the ways of all servers, the sorry server too; without any,
// the way that the first would have.
func (s *Service) forwardings() (all []Forwarding) {
	for i := range s.Servers {
		all = append(all, s.Forwarding(&s.Servers[i]))
	}
	if len(all) == 0 || s.SorryServer.IsValid() {
		all = append(all, s.Forwarding(nil))
	}
	return all
}

// Forwards says whether any server is reached by a mode.
func (s *Service) Forwards(mode string) bool {
	return slices.ContainsFunc(s.forwardings(), func(f Forwarding) bool { return f.Mode == mode })
}
