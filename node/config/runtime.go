package config

import (
	"net/netip"
	"reflect"
)

// What comes by command is held to the rules of the file: read in its language,
// with its defaults, and verified with all the rest.

// ReadService reads a service: the keys of one [[service]] table, as a file would
// have them. Whether it can stand among the others is for Verify to say. The
// error is an [Errors] without files and lines.
func ReadService(text string) (Service, error) {
	l := newLoader("", Host{})
	raw, places, ok := l.parse("", []byte("[[service]]\n"+text))
	if ok {
		l.merge(raw, places)
		l.decode(scope{}, l.places, l.raw, reflect.ValueOf(l.cfg).Elem(), "")
	}
	if len(l.faults) > 0 {
		return Service{}, l.faults.sorted(nil)
	}
	return l.cfg.Services[0], nil
}

// NewServer is a server with every default.
func NewServer(address netip.AddrPort) Server {
	s := defaultServer()
	s.Address = address
	return s
}

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
