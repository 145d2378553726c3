package ipvs

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"fleetlb/node/admin"
)

// A virtual is a service as IPVS has it.
type virtual struct {
	name    string
	set     map[string]string // its keys
	servers []*real
}

// A real is one of its servers.
type real struct {
	at  netip.AddrPort
	set map[string]string
}

func (v *virtual) protocol() string { return v.set["protocol"] }

func (v *virtual) at() netip.AddrPort {
	a, _ := netip.ParseAddrPort(v.set["vip"])
	return a
}

func (v *virtual) six() bool { return v.at().Addr().Is6() }

// port is the one that servers keep to; 0: the client's, where it may be any of
// several.
func (v *virtual) port() uint16 {
	if v.set["vips"] != "" || v.set["ports"] != "" {
		return 0
	}
	return v.at().Port()
}

// mark is the firewall mark, or what stands for it; 0: none.
func (v *virtual) mark() uint32 {
	n, _ := strconv.ParseUint(v.set["tag"], 10, 32)
	return uint32(n)
}

// persistent is how long, in seconds; 0: it is not.
func (v *virtual) persistent() int64 { return secondsOf(v.set["persistence"]) }

// maskKey names the key that holds the granularity of persistence.
func maskKey(six bool) string {
	if six {
		return "persistence_prefix6"
	}
	return "persistence_prefix4"
}

// mask is the granularity, and whether it is coarser than one client.
func (v *virtual) mask() (bits int, coarse bool) {
	whole := 32
	if v.six() {
		whole = 128
	}
	bits, err := strconv.Atoi(v.set[maskKey(v.six())])
	if err != nil {
		return whole, false
	}
	return bits, bits != whole
}

func (v *virtual) onePacket() bool { return v.set["one_packet"] == "true" }

// flags are in the order of the bits that IPVS has for them.
func (v *virtual) flags() string { return v.set["scheduler_flags"] }

// mode is how a server is reached.
func (v *virtual) mode(s *real) string { return cmp.Or(s.set["mode"], v.set["mode"]) }

// gue is the port that servers expect where none is said.
const gue = 6080

// tunnel is how a server of mode tun is tunnelled to, and to which port; 0: the
// type has none.
func (v *virtual) tunnel(s *real) (typ string, port int64) {
	typ = cmp.Or(s.set["tunnel"], v.set["tunnel"], "ipip")
	if typ != "gue" {
		return typ, 0
	}
	port = s.number("tunnel_port")
	if port == 0 {
		port, _ = number(v.set["tunnel_port"], 1, 65535)
	}
	return typ, cmp.Or(port, gue)
}

func (s *real) number(key string) int64 {
	n, _ := strconv.ParseInt(s.set[key], 10, 64)
	return n
}

// weight is 1 where nothing else is said.
func (s *real) weight() int64 {
	if s.set["weight"] == "" {
		return 1
	}
	return s.number("weight")
}

func secondsOf(word string) int64 {
	d, _ := time.ParseDuration(word)
	return int64(d / time.Second)
}

// protocolRank is the number by which IPVS sorts.
var protocolRank = map[string]int{"tcp": 6, "udp": 17, "sctp": 132}

func (v *virtual) compare(o *virtual) int {
	six := func(v *virtual) int {
		if v.six() {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(v.mark(), o.mark()), six(v)-six(o), protocolRank[v.protocol()]-protocolRank[o.protocol()], v.at().Compare(o.at()))
}

// A table is all services of a director, and what was asked to be done to them.
type table struct {
	services []*virtual
	defaults map[string]string // of all services
}

// load asks the director.
func load(ctx context.Context, d Director) (*table, error) {
	settings, err := d.Settings(ctx, "")
	if err != nil {
		return nil, err
	}
	t := &table{}
	byName := map[string]*virtual{}
	for _, s := range settings {
		switch v := byName[s.Service]; {
		case s.Service == "":
			t.defaults = s.Set
		case s.Server.IsValid() && v != nil:
			v.servers = append(v.servers, &real{s.Server, s.Set})
		case !s.Server.IsValid():
			v = &virtual{name: s.Service, set: s.Set}
			byName[s.Service] = v
			t.services = append(t.services, v)
		}
	}
	return t, nil
}

// find returns the service that a command line names, nil when there is none.
func (t *table) find(w *wanted) *virtual {
	i := slices.IndexFunc(t.services, func(v *virtual) bool {
		if w.mark != 0 {
			return v.mark() == w.mark
		}
		return v.mark() == 0 && v.protocol() == w.protocol && v.at() == w.at
	})
	if i < 0 {
		return nil
	}
	return t.services[i]
}

// free is a name that no service has: of the protocol and the address, so that
// the same service always gets the same.
func (t *table) free(w *wanted) string {
	name := fmt.Sprintf("fwm-%d", w.mark)
	if w.mark == 0 {
		host := strings.NewReplacer(":", "_", "%", "_").Replace(w.at.Addr().String())
		name = fmt.Sprintf("%s-%s-%d", w.protocol, host, w.at.Port())
	}
	taken := func(name string) bool {
		return slices.ContainsFunc(t.services, func(v *virtual) bool { return v.name == name })
	}
	for n, first := 2, name; taken(name); n++ {
		name = fmt.Sprintf("%s-%d", first, n)
	}
	return name
}

// follow does to the table what was asked of the director.
func (t *table) follow(e *admin.Edit) {
	i := slices.IndexFunc(t.services, func(v *virtual) bool { return v.name == e.Service })
	switch {
	case i < 0 && e.Verb == "add":
		t.services = append(t.services, &virtual{name: e.Service, set: e.Set})
		return
	case i < 0:
		return
	case !e.Server.IsValid() && e.Verb == "delete":
		t.services = slices.Delete(t.services, i, i+1)
		return
	}
	v := t.services[i]
	set := &v.set
	if e.Server.IsValid() {
		j := v.index(e.Server)
		switch {
		case e.Verb == "add":
			v.servers = append(v.servers, &real{e.Server, e.Set})
			return
		case j < 0:
			return
		case e.Verb == "delete":
			v.servers = slices.Delete(v.servers, j, j+1)
			return
		}
		set = &v.servers[j].set
	}
	all := map[string]string{}
	for _, from := range []map[string]string{*set, e.Set} {
		for key, word := range from {
			all[key] = word
		}
	}
	*set = all
}

func (v *virtual) index(at netip.AddrPort) int {
	return slices.IndexFunc(v.servers, func(s *real) bool { return s.at == at })
}
