package config

import "net/netip"

// A service that comes by command begins as one of a file that says no more
// than it must. Set what is to differ, and let Verify judge the whole.

// NewService is a service with every default; protocol is tcp or udp.
func NewService(name string, vip netip.AddrPort, protocol string) Service {
	s := defaultService(protocol)
	s.Name, s.VIP = name, vip
	return s
}

// NewServer is a server with every default.
func NewServer(address netip.AddrPort) Server {
	s := defaultServer()
	s.Address = address
	return s
}

// NewCheck is a check of the type with every default.
func NewCheck(typ string) Check { return defaultCheck(typ) }

// Verify holds a Config that was changed by hand to all that [Load] asks of a
// file. The error is an [Errors] without files and lines.
func (c *Config) Verify(host Host) error {
	l := newLoader("", host)
	if raw, places, ok := l.parse("", Marshal(c)); ok {
		l.merge(raw, places)
	} else {
		l.broken = true
	}
	return l.finish()
}
