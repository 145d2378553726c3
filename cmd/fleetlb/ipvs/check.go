package ipvs

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// check refuses what the command does not take, as ipvsadm does and in its order.
func (r *request) check() error {
	switch {
	case r.command == setTimeouts && len(r.rest) < 3:
		return misuse("--set option requires 3 timeout values")
	case r.command == setTimeouts && len(r.rest) > 3:
		return misuse("unexpected argument %s", r.rest[3])
	case r.command != setTimeouts && len(r.rest) > 0:
		return misuse("unexpected argument %s", r.rest[0])
	}
	if err := r.fits(grammars[r.command], "command", string(r.command), func(option) bool { return true }); err != nil {
		return err
	}
	if r.kind == "sctp" && r.command == add {
		return refuse("SCTP is not carried here")
	}
	return r.checkTunnel()
}

// fits holds the options given to a grammar.
func (r *request) fits(g grammar, what, name string, of func(option) bool) error {
	last := option("")
	for _, o := range order {
		switch {
		case !of(o):
		case !r.has(o) && slices.Contains(g.need, o):
			return misuse("You need to supply the '%s' option for the '%s' %s", o, name, what)
		case !r.has(o), slices.Contains(g.need, o), slices.Contains(g.may, o):
		case !slices.Contains(g.one, o):
			return misuse("Illegal '%s' option with the '%s' %s", o, name, what)
		case last != "":
			return misuse("The option '%s' conflicts with the '%s' option in the '%s' %s", o, last, name, what)
		default:
			last = o
		}
	}
	return nil
}

func (r *request) checkTunnel() error {
	if !onServer(r.command) {
		return nil
	}
	typ := r.words[optTunType]
	if r.has(optTunType) && tunnels[typ].need == nil && tunnels[typ].one == nil && typ != "ipip" {
		return misuse("illegal tunnel type specified")
	}
	ofTunnel := func(o option) bool { return strings.HasPrefix(string(o), "tun-") && o != optTunType && o != optTunInfo }
	if r.words[optForward] != "tun" {
		if r.has(optTunType) || slices.ContainsFunc(order, func(o option) bool { return ofTunnel(o) && r.has(o) }) {
			return misuse("Tunnel options conflict with forward method")
		}
		return nil
	}
	if typ == "" {
		typ = "ipip"
	}
	return r.fits(tunnels[typ], "tunnel type", typ, ofTunnel)
}

// number reads a decimal number within bounds.
func number(s string, least, most int64) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && least <= n && n <= most
}

// mostTimeout is a month.
const mostTimeout = 86400 * 31

func timeout(s string, least int64) (int64, error) {
	n, ok := number(s, least, mostTimeout)
	if !ok {
		return 0, misuse("invalid timeout value `%s' specified", s)
	}
	return n, nil
}

// netmask is the prefix length of "255.255.255.0", or of a number for IPv6.
func netmask(s string, six bool) (int, error) {
	if six {
		n, ok := number(s, 1, 128)
		if !ok {
			return 0, misuse("illegal ipv6 netmask specified")
		}
		return int(n), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return 0, misuse("illegal virtual server persistent mask specified")
	}
	b := a.As4()
	mask := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	bits := 0
	for ; bits < 32 && mask&(1<<(31-bits)) != 0; bits++ {
	}
	if mask != ^uint32(0)<<(32-bits) || bits == 0 {
		return 0, misuse("illegal virtual server persistent mask specified: %s is not a prefix", s)
	}
	return bits, nil
}

// maskText is the opposite of netmask.
func maskText(bits int, six bool) string {
	if six {
		return strconv.Itoa(bits)
	}
	m := ^uint32(0) << (32 - bits)
	return netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}).String()
}

// flagNames are what IPVS calls the flags of a scheduler, beside the numbers that
// any scheduler has.
var flagNames = map[string][]string{
	"sh": {"sh-fallback", "sh-port"},
	"mh": {"mh-fallback", "mh-port"},
}

// schedulerFlags reads -b of a service.
func schedulerFlags(word, scheduler string) (string, error) {
	var flags []string
	for flag := range strings.SplitSeq(word, ",") {
		name := flag
		n, numbered := strings.CutPrefix(flag, "flag-")
		owner := ""
		for s, names := range flagNames {
			if slices.Contains(names, flag) {
				owner = s
			}
			if i, ok := number(n, 1, 2); numbered && ok && s == scheduler {
				name = names[i-1]
			}
		}
		_, known := number(n, 1, 3)
		switch {
		case owner != "" && owner != scheduler:
			return "", misuse("incompatible scheduler flag `%s'", flag)
		case owner == "" && !(numbered && known):
			return "", misuse("invalid scheduler flag `%s'", flag)
		}
		flags = append(flags, name)
	}
	slices.Sort(flags)
	return strings.Join(slices.Compact(flags), ","), nil
}
