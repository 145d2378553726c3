package ipvs

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Names turns what people call hosts and ports into numbers, and back.
type Names interface {
	Host(ctx context.Context, name string) (netip.Addr, bool)
	HostOf(ctx context.Context, a netip.Addr) (string, bool)
	Port(name, protocol string) (uint16, bool)
	PortName(port uint16, protocol string) (string, bool)
}

// SystemNames are those of this host: its resolver's and /etc/services.
func SystemNames() Names {
	s := &systemNames{hosts: map[netip.Addr]string{}, ports: map[string]uint16{}, names: map[string]string{}}
	if f, err := os.Open("/etc/services"); err == nil {
		s.read(bufio.NewScanner(f))
		f.Close()
	}
	return s
}

// namePatience bounds how long one name may take. A listing asks for many.
const namePatience = 2 * time.Second

type systemNames struct {
	hosts map[netip.Addr]string // looked up before; "": it has none
	ports map[string]uint16     // by "http/tcp"
	names map[string]string     // by "80/tcp"; the first wins
}

// read takes lines such as "http  80/tcp  www  # WorldWideWeb".
func (s *systemNames) read(lines *bufio.Scanner) {
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		number1, protocol, ok := strings.Cut(f[1], "/")
		port, good := number(number1, 0, 65535)
		if !ok || !good {
			continue
		}
		if _, known := s.names[f[1]]; !known {
			s.names[f[1]] = f[0]
		}
		for _, name := range append([]string{f[0]}, f[2:]...) {
			if _, known := s.ports[name+"/"+protocol]; !known {
				s.ports[name+"/"+protocol] = uint16(port)
			}
		}
	}
}

func (s *systemNames) Host(ctx context.Context, name string) (netip.Addr, bool) {
	ctx, cancel := context.WithTimeout(ctx, namePatience)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", name)
	if err != nil || len(all) == 0 {
		return netip.Addr{}, false
	}
	return all[0].Unmap(), true
}

func (s *systemNames) HostOf(ctx context.Context, a netip.Addr) (string, bool) {
	name, known := s.hosts[a]
	if !known {
		ctx, cancel := context.WithTimeout(ctx, namePatience)
		defer cancel()
		if all, err := net.DefaultResolver.LookupAddr(ctx, a.String()); err == nil && len(all) > 0 {
			name = strings.TrimSuffix(all[0], ".")
		}
		s.hosts[a] = name
	}
	return name, name != ""
}

func (s *systemNames) Port(name, protocol string) (uint16, bool) {
	p, ok := s.ports[name+"/"+protocol]
	return p, ok
}

func (s *systemNames) PortName(port uint16, protocol string) (string, bool) {
	name, ok := s.names[fmt.Sprintf("%d/%s", port, protocol)]
	return name, ok
}

// place reads "host", "host:port" or "[v6]:port". without is the port where none
// is said.
func (r *Runner) place(ctx context.Context, text, protocol string, without uint16) (netip.AddrPort, bool) {
	if text == "" || strings.Trim(text, "0123456789") == "" {
		return netip.AddrPort{}, false
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil && a.Zone() == "" && (a.Is4() || a.Is6()) {
		if strings.HasPrefix(text, "[") == strings.HasSuffix(text, "]") && (a.Is6() || text[0] != '[') {
			return netip.AddrPortFrom(a.Unmap(), without), true
		}
		return netip.AddrPort{}, false
	}
	host, port := text, ""
	ported := false
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		host, port, ported = text[:i], text[i+1:], true
	}
	var a netip.Addr
	var err error
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		a, err = netip.ParseAddr(inner)
		if !closed || err != nil || !a.Is6() || a.Zone() != "" {
			return netip.AddrPort{}, false
		}
	} else if a, err = netip.ParseAddr(host); err != nil || !a.Is4() {
		var ok bool
		if a, ok = r.names.Host(ctx, host); !ok {
			return netip.AddrPort{}, false
		}
	}
	if !ported {
		return netip.AddrPortFrom(a.Unmap(), without), true
	}
	if n, ok := number(port, 0, 65535); ok {
		return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
	}
	n, ok := r.names.Port(port, protocol)
	return netip.AddrPortFrom(a.Unmap(), n), ok
}

// called is an address and port as a listing has it.
func (r *Runner) called(ctx context.Context, a netip.AddrPort, protocol string, numeric bool) string {
	host, port := a.Addr().String(), fmt.Sprint(a.Port())
	if !numeric {
		if name, ok := r.names.HostOf(ctx, a.Addr()); ok {
			host = name
		}
		if name, ok := r.names.PortName(a.Port(), protocol); ok {
			port = name
		}
	}
	if a.Addr().Is6() {
		host = "[" + host + "]"
	}
	return host + ":" + port
}
