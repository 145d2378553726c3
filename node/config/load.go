package config

import (
	"net"
	"net/netip"
	"reflect"
)

// A Host is what the machine itself has. A VIP or a local address must not be
// among it: the kernel would answer for it. The zero Host has nothing and
// objects to nothing.
type Host struct {
	Addresses  []netip.Addr
	Interfaces []string
}

// ThisHost is the machine, or the network namespace, that the caller runs in.
func ThisHost() (Host, error) {
	var h Host
	interfaces, err := net.Interfaces()
	if err != nil {
		return h, err
	}
	for _, i := range interfaces {
		h.Interfaces = append(h.Interfaces, i.Name)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return h, err
	}
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			h.Addresses = append(h.Addresses, p.Addr().Unmap().WithZone(""))
		}
	}
	return h, nil
}

// Load reads the file and all it includes, for a director on the host. The
// error, if any, is an [Errors] with everything that is wrong.
func Load(path string, host Host) (*Config, error) {
	l := newLoader(path, host)
	l.file(path, nil)
	if err := l.finish(); err != nil {
		return nil, err
	}
	l.cfg.Files = l.files
	return l.cfg, nil
}

func newLoader(path string, host Host) *loader {
	return &loader{
		host:   host,
		seen:   make(map[string]bool),
		raw:    make(map[string]any),
		places: &place{file: path, line: 1, keys: make(map[string]*place)},
		cfg:    defaultConfig(path),
	}
}

// finish makes the Config of what was read.
func (l *loader) finish() error {
	l.decode(scope{}, l.places, l.raw, reflect.ValueOf(l.cfg).Elem(), "")
	if l.part() {
		l.fault(l.places, "a director needs [node] with a name; if this file is for another to include, check that one")
		l.broken = true
	}
	l.verify()
	if len(l.faults) > 0 {
		return l.faults.sorted(l.files)
	}
	for _, w := range l.warnings.sorted(l.files) {
		l.cfg.Warnings = append(l.cfg.Warnings, w.Error())
	}
	return nil
}

// part says whether there is nothing but what directors share: services. What
// else is missing then stands in the file that includes this one.
func (l *loader) part() bool {
	for key := range l.raw {
		if key != "service" && key != "edit" {
			return false
		}
	}
	return len(l.raw) > 0
}
