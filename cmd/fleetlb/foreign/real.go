package foreign

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// real is one real_server. It returns its check, nil when it has none.
func (k *keepalived) real(s *statement, v *Service, d *defaults) map[string]string {
	all := k.places(&statement{line: s.line, words: s.rest()})
	if len(all) != 1 {
		return nil
	}
	r := Server{Set: map[string]string{}}
	at := netip.MustParseAddrPort(all[0])
	if d.weight != "" {
		r.Set["weight"] = d.weight
	}
	inhibit, own, line := d.inhibit, d.timing, 0
	var check map[string]string
	var checkers []*statement
	host := d.host
	for i := range s.block {
		inner := &s.block[i]
		switch inner.name() {
		case "weight":
			r.Set["weight"] = inner.arg()
		case "uthreshold":
			r.Set["upper_threshold"] = inner.arg()
		case "lthreshold":
			r.Set["lower_threshold"] = inner.arg()
		case "inhibit_on_failure":
			inhibit = true
		case "lb_kind", "lvs_method":
			k.method(inner, r.Set)
		case "virtualhost":
			host = inner.arg()
		default:
			if strings.HasSuffix(inner.name(), "_CHECK") || strings.HasSuffix(inner.name(), "_GET") {
				checkers = append(checkers, inner)
			} else if !own.take(inner) {
				k.note(inner.line, "real_server: %s: not carried over", strings.Join(inner.words, " "))
			}
		}
	}
	for _, c := range checkers {
		switch {
		case check == nil:
			check, line = k.check(c, own, host), c.line
		default:
			k.note(c.line, "%s: a server has one check here: that of line %d", c.name(), line)
		}
	}
	vip, _ := netip.ParseAddrPort(v.Set["vip"])
	mode := v.Set["mode"]
	if r.Set["mode"] != "" {
		mode = r.Set["mode"]
	}
	if mode != "nat" && v.Set["vips"] != "" {
		if check != nil && check["port"] == "" && slices.Contains([]string{"tcp", "http", "https", "udp", "dns"}, check["type"]) {
			check["port"] = strconv.Itoa(int(max(at.Port(), 1)))
		}
		at = netip.AddrPortFrom(at.Addr(), 0) // the client's, of several
	} else if mode != "nat" && at.Port() != vip.Port() && vip.Port() != 0 {
		if at.Port() != 0 {
			k.note(s.line, "real_server %s: with %s the port stays that of the service, %d", at, strings.ToUpper(mode), vip.Port())
		}
		at = netip.AddrPortFrom(at.Addr(), vip.Port())
	}
	if inhibit {
		v.Set["inhibit_on_failure"] = "true"
	}
	r.Address = at.String()
	v.Servers = append(v.Servers, r)
	if check == nil {
		check = map[string]string{"type": "none"}
	}
	return check
}

// share makes the first server's check the service's, and leaves to others what
// is different with them.
func (k *keepalived) share(v *Service, checks []map[string]string) {
	if len(checks) == 0 {
		return
	}
	for key, word := range checks[0] {
		v.Set["check."+key] = word
	}
	for i := range v.Servers {
		if i < len(checks) && !reflect.DeepEqual(checks[i], checks[0]) {
			for key, word := range checks[i] {
				v.Servers[i].Set["check."+key] = word
			}
			// What the first one says and this one does not has its default here.
			for _, key := range slices.Sorted(maps.Keys(checks[0])) {
				if _, said := checks[i][key]; !said && checks[i]["type"] == checks[0]["type"] {
					v.Servers[i].Set["check."+key] = checkDefaults[key]
				}
			}
		}
	}
}
