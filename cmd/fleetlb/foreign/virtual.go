package foreign

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Keepalived reads a keepalived.conf.
func Keepalived(text string) *Site {
	site := &Site{}
	k := &keepalived{Site: site, groups: map[string][]statement{}, taken: map[string]int{}}
	all := read(text, site)
	for i := range all {
		if s := &all[i]; s.name() == "virtual_server_group" {
			k.groups[s.arg()] = s.block
		}
	}
	for i := range all {
		if s := &all[i]; s.name() == "global_defs" {
			k.global(s)
		}
	}
	for i := range all {
		k.statement(&all[i])
	}
	k.elect()
	site.sort()
	return site
}

type keepalived struct {
	*Site
	groups map[string][]statement
	taken  map[string]int // which line has a VIP

	version   string // of VRRP, unless an instance says another
	instances []*instance
}

func (k *keepalived) statement(s *statement) {
	switch s.name() {
	case "virtual_server":
		k.virtual(s)
	case "virtual_server_group", "global_defs":
	case "vrrp_instance":
		k.instance(s)
	case "vrrp_sync_group":
		k.note(s.line, "vrrp_sync_group %s: not carried over: each group is elected by itself; what must be at one router goes into one", s.arg())
	case "include":
		k.note(s.line, "include %s: not followed; import that file too", strings.Join(s.rest(), " "))
	default:
		k.note(s.line, "%s: not carried over", strings.Join(s.words, " "))
	}
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$`)

func (k *keepalived) global(s *statement) {
	var others []string
	for i := range s.block {
		switch d := &s.block[i]; {
		case d.name() == "router_id" && nodeName.MatchString(d.arg()):
			k.Node = d.arg()
		case d.name() == "vrrp_version":
			k.version = d.arg()
		case !slices.Contains(others, d.name()):
			others = append(others, d.name())
		}
	}
	if len(others) > 0 {
		k.note(s.line, "global_defs: not carried over: %s", strings.Join(others, ", "))
	}
}

// virtual is one virtual_server.
func (k *keepalived) virtual(s *statement) {
	v := &Service{Set: map[string]string{"protocol": "tcp", "mode": "nat", "scheduler": "wlc", "check.type": "none"}}
	if !k.listens(s, v) {
		return
	}
	d := &defaults{host: ""}
	var servers []*statement
	for i := range s.block {
		inner := &s.block[i]
		if inner.name() == "real_server" {
			servers = append(servers, inner)
			continue
		}
		k.key(inner, v, d)
	}
	if v.Set["protocol"] == "sctp" {
		k.note(s.line, "virtual_server %s: SCTP is not carried here", strings.Join(s.rest(), " "))
		return
	}
	if !k.name(s, v) {
		return
	}
	var checks []map[string]string
	for _, r := range servers {
		check := k.real(r, v, d)
		if check != nil {
			checks = append(checks, check)
		}
	}
	k.share(v, checks)
	k.quorum(s, v)
	k.Services = append(k.Services, *v)
}

// quorum counts servers here, weights there; and as there it is no more than all.
func (k *keepalived) quorum(s *statement, v *Service) {
	n, err := strconv.Atoi(v.Set["quorum"])
	if err != nil {
		return
	}
	line := s.line
	for i := range s.block {
		if s.block[i].name() == "quorum" {
			line = s.block[i].line
		}
	}
	if slices.ContainsFunc(v.Servers, func(r Server) bool { return r.Set["weight"] != "" && r.Set["weight"] != "1" }) {
		k.note(line, "quorum %d: of servers here, whatever their weights", n)
	}
	if most := len(v.Servers); n > most {
		k.note(line, "quorum %d: %d here: there are no more servers", n, most)
		v.Set["quorum"] = strconv.Itoa(most)
		delete(v.Set, "hysteresis")
	}
}

// listens reads where a virtual_server listens.
func (k *keepalived) listens(s *statement, v *Service) bool {
	what := strings.Join(s.rest(), " ")
	switch s.arg() {
	case "fwmark":
		k.note(s.line, "virtual_server %s: no packet is marked here; write a service with tag = %s and the addresses that were marked", what, last(s.words))
		return false
	case "group":
		var all []string
		group := last(s.words)
		for _, m := range k.groups[group] {
			if m.name() == "fwmark" {
				k.note(m.line, "virtual_server_group %s: fwmark %s: not carried over: no packet is marked here", group, m.arg())
				continue
			}
			for _, at := range k.places(&m) {
				if len(all) > 0 && strings.HasPrefix(at, "[") != strings.HasPrefix(all[0], "[") {
					k.note(m.line, "virtual_server_group %s: %s: a service is of one family here: that of %s", group, at, all[0])
					continue
				}
				all = append(all, at)
			}
		}
		if len(all) == 0 {
			k.note(s.line, "virtual_server %s: not carried over: there is no such group with addresses", what)
			return false
		}
		v.Set["vip"] = all[0]
		if len(all) > 1 {
			v.Set["vips"] = strings.Join(all[1:], ",")
		}
		return true
	}
	all := k.places(&statement{line: s.line, words: s.rest()})
	if len(all) != 1 {
		return false
	}
	v.Set["vip"] = all[0]
	return true
}

// mostRange is how many addresses a range may stand for.
const mostRange = 256

// places reads "203.0.113.10 80", and in a group "203.0.113.10-20 80".
func (k *keepalived) places(s *statement) (all []string) {
	if len(s.words) == 0 {
		k.note(s.line, "no address")
		return nil
	}
	first, to, ranged := strings.Cut(s.name(), "-")
	a, err := netip.ParseAddr(first)
	port, ok := "0", true
	if len(s.words) > 1 {
		port = s.words[1]
		_, err := strconv.ParseUint(port, 10, 16)
		ok = err == nil
	}
	if err != nil || !ok || a.Zone() != "" {
		k.note(s.line, "%s: not an address and a port", strings.Join(s.words, " "))
		return nil
	}
	a = a.Unmap()
	base := 10
	if a.Is6() {
		base = 16
	}
	end, err := strconv.ParseUint(to, base, 16)
	b := a.AsSlice()
	n, _ := strconv.ParseUint(port, 10, 16)
	for {
		all = append(all, netip.AddrPortFrom(a, uint16(n)).String())
		if !ranged || err != nil || uint64(b[len(b)-1]) >= end || len(all) == mostRange {
			return all
		}
		b[len(b)-1]++
		a, _ = netip.AddrFromSlice(b)
	}
}

// name calls a service after where it listens, as package ipvs does.
func (k *keepalived) name(s *statement, v *Service) bool {
	at := v.Set["protocol"] + " " + v.Set["vip"]
	if line, taken := k.taken[at]; taken {
		k.note(s.line, "%s: not carried over: line %d has it already", strings.Join(s.words, " "), line)
		return false
	}
	k.taken[at] = s.line
	vip, _ := netip.ParseAddrPort(v.Set["vip"])
	v.Name = fmt.Sprintf("%s-%s-%d", v.Set["protocol"], strings.ReplaceAll(vip.Addr().String(), ":", "_"), vip.Port())
	return true
}

// defaults are what a virtual_server says for its servers.
type defaults struct {
	weight  string
	host    string
	inhibit bool
	timing  timing
}

// key is one line of a virtual_server.
func (k *keepalived) key(s *statement, v *Service, d *defaults) {
	set := func(key string) { v.Set[key] = s.arg() }
	switch s.name() {
	case "lb_algo", "lvs_sched":
		set("scheduler")
	case "lb_kind", "lvs_method":
		k.method(s, v.Set)
	case "protocol":
		v.Set["protocol"] = strings.ToLower(s.arg())
	case "persistence_timeout":
		v.Set["persistence"] = seconds(s.arg(), "360s")
	case "persistence_granularity":
		k.granularity(s, v)
	case "sh-port", "sh-fallback", "mh-port", "mh-fallback":
		v.Set["scheduler_flags"] = strings.TrimPrefix(v.Set["scheduler_flags"]+","+s.name(), ",")
	case "ops":
		v.Set["one_packet"] = "true"
	case "quorum", "hysteresis":
		set(s.name())
	case "sorry_server":
		if all := k.places(&statement{line: s.line, words: s.rest()}); len(all) == 1 {
			v.Set["sorry_server"] = all[0]
		}
	case "inhibit_on_failure":
		d.inhibit = true
	case "weight":
		d.weight = s.arg()
	case "virtualhost":
		d.host = s.arg()
	case "alpha": // as every service here: a server gets nothing before its first check
	default:
		if !d.timing.take(s) {
			k.note(s.line, "virtual_server: %s: not carried over", strings.Join(s.words, " "))
		}
	}
}

// method is how servers are reached, of a service or of one server.
func (k *keepalived) method(s *statement, set map[string]string) {
	modes := map[string]string{"NAT": "nat", "DR": "dr", "TUN": "tun"}
	mode, ok := modes[strings.ToUpper(s.arg())]
	if !ok {
		k.note(s.line, "%s: not carried over", strings.Join(s.words, " "))
		return
	}
	set["mode"] = mode
	for i, w := range s.words {
		switch {
		case w == "type" && i+1 < len(s.words):
			set["tunnel"] = strings.ToLower(s.words[i+1])
		case w == "port" && i+1 < len(s.words):
			set["tunnel_port"] = s.words[i+1]
		case w == "csum" || w == "remcsum":
			k.note(s.line, "%s: tunnels have no checksum of their own here", w)
		}
	}
}

func (k *keepalived) granularity(s *statement, v *Service) {
	if a, err := netip.ParseAddr(s.arg()); err == nil && a.Is4() {
		b := a.As4()
		bits := 0
		for bits < 32 && b[bits/8]&(0x80>>(bits%8)) != 0 {
			bits++
		}
		v.Set["persistence_prefix4"] = strconv.Itoa(bits)
		return
	}
	v.Set["persistence_prefix6"] = s.arg()
}

// seconds is a keepalived time: seconds, which may have a fraction.
func seconds(word, otherwise string) string {
	f, err := strconv.ParseFloat(word, 64)
	if err != nil || f < 0 || f > 1e9 {
		return otherwise
	}
	return strconv.FormatFloat(f, 'f', -1, 64) + "s"
}

func last(words []string) string { return words[len(words)-1] }
