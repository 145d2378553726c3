package foreign

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Group is a set of VIPs that routers hold in turn: a [[vrrp]] table.
type Group struct {
	Name, Interface string
	ID, Priority    int
	Interval        time.Duration
	NoPreempt       bool
	Delay           time.Duration // before it preempts
	VIPs            []string
	Source          string // "": the interface's
	Plain           bool   // checksums without a pseudo-header
}

// reasons are why what stands in a vrrp_instance has no place in a group.
var reasons = map[string]string{
	"authentication":             "version 3 has none (RFC 9568 §9), and here is no other",
	"unicast_peer":               "advertisements are multicast here; list no peers on the other routers",
	"unicast_src_ip":             "advertisements are multicast here",
	"track_interface":            "a group is given away when its own interface is down, and no other is asked",
	"track_script":               "a group is given away when none of its services has its quorum; health checks do the rest",
	"track_process":              "a group is given away when none of its services has its quorum; health checks do the rest",
	"track_file":                 "a group is given away when none of its services has its quorum; health checks do the rest",
	"track_bfd":                  "a group is given away when none of its services has its quorum; health checks do the rest",
	"use_vmac":                   "the virtual router's MAC address is nobody's here: stations are told by gratuitous ARP; leave it out on the other routers too",
	"virtual_ipaddress_excluded": "what a group holds it advertises; give these a group of their own on all routers",
	"virtual_routes":             "routes are the host's",
	"virtual_rules":              "rules are the host's",
}

// silent are lines of an instance that need no counterpart: where an election
// begins, and what is so anyhow.
var silent = []string{"state", "native_ipv6", "dont_track_primary", "accept", "debug", "skip_check_adv_addr", "preempt"}

// instance reads a vrrp_instance. Its addresses are looked at when all services
// are known.
func (k *keepalived) instance(s *statement) {
	i := &instance{statement: s, Group: Group{Name: s.arg(), Priority: 100, Interval: time.Second}, version: k.version}
	var others []string
	for at := range s.block {
		d := &s.block[at]
		switch why := reasons[d.name()]; {
		case i.key(k, d) || slices.Contains(silent, d.name()):
		case why != "":
			k.note(d.line, "vrrp_instance %s: %s: not carried over: %s", i.Name, d.name(), why)
		case !slices.Contains(others, d.name()):
			others = append(others, d.name())
		}
	}
	if len(others) > 0 {
		k.note(s.line, "vrrp_instance %s: not carried over: %s", i.Name, strings.Join(others, ", "))
	}
	k.instances = append(k.instances, i)
}

// An instance is one on its way to be a group.
type instance struct {
	*statement
	Group
	version string
	listed  []listed
}

// listed is an address, and where.
type listed struct {
	line int
	addr netip.Addr
}

// key takes a line that a group has a place for.
func (i *instance) key(k *keepalived, d *statement) bool {
	switch d.name() {
	case "interface":
		i.Interface = d.arg()
		k.frames(d.arg())
	case "virtual_router_id":
		i.ID, _ = strconv.Atoi(d.arg())
	case "priority":
		i.Priority, _ = strconv.Atoi(d.arg())
		if i.Priority > 254 {
			k.note(d.line, "vrrp_instance %s: priority %s: 254 here: 255 is for the host whose own the addresses are, and no director's are", i.Name, d.arg())
			i.Priority = 254
		}
	case "advert_int":
		i.Interval = i.steps(k, d)
	case "nopreempt":
		i.NoPreempt = true
	case "preempt_delay":
		f, _ := strconv.ParseFloat(d.arg(), 64)
		i.Delay = time.Duration(min(max(f, 0), 1000) * float64(time.Second)).Round(time.Millisecond)
	case "version":
		i.version = d.arg()
	case "mcast_src_ip":
		i.Source = d.arg()
	case "v3_checksum_as_v2":
		i.Plain = slices.Contains([]string{"", "true", "yes", "on"}, d.arg())
	case "virtual_ipaddress":
		i.addresses(k, d)
	default:
		return false
	}
	return true
}

// steps is an interval as an advertisement can say it.
func (i *instance) steps(k *keepalived, d *statement) time.Duration {
	f, err := strconv.ParseFloat(d.arg(), 64)
	if err != nil || math.IsNaN(f) {
		f = 1
	}
	n := min(max(math.Round(f*100), 1), 4095)
	if err != nil || math.Abs(n/100-f) > 1e-9 {
		k.note(d.line, "vrrp_instance %s: advert_int %s: %gs here", i.Name, d.arg(), n/100)
	}
	return time.Duration(n) * 10 * time.Millisecond
}

func (i *instance) addresses(k *keepalived, d *statement) {
	for _, a := range d.block {
		bare, _, _ := strings.Cut(a.name(), "/")
		addr, err := netip.ParseAddr(bare)
		if err != nil {
			k.note(a.line, "vrrp_instance %s: %s: not an address", i.Name, a.name())
			continue
		}
		for n, word := range a.words[:len(a.words)-1] {
			if word == "dev" {
				k.frames(a.words[n+1])
			}
		}
		i.listed = append(i.listed, listed{a.line, addr.Unmap()})
	}
}

// frames notes an interface that frames arrive at.
func (k *keepalived) frames(ifname string) {
	if ifname != "" && !slices.Contains(k.Interfaces, ifname) {
		k.Interfaces = append(k.Interfaces, ifname)
	}
}

// elect makes groups of the instances: what they hold must be the VIPs of
// services, which nobody else holds.
func (k *keepalived) elect() {
	vips, ids := k.vips(), map[string]bool{}
	for n, i := range k.instances {
		here := func(line int, format string, args ...any) {
			k.note(line, "vrrp_instance %s: %s", i.Group.Name, fmt.Sprintf(format, args...))
		}
		v4 := len(i.listed) > 0 && i.listed[0].addr.Is4()
		for _, a := range i.listed {
			switch served, known := vips[a.addr]; {
			case !known:
				here(a.line, "%s: not carried over: it is the address of no virtual_server; take it out on the other routers too, for all must list the same", a.addr)
			case served:
				here(a.line, "%s: not carried over: another instance has it", a.addr)
			case a.addr.Is4() != v4:
				here(a.line, "%s: not carried over: a group is of one family; give it one of its own on all routers", a.addr)
			default:
				vips[a.addr] = true
				i.VIPs = append(i.VIPs, a.addr.String())
			}
		}
		id := fmt.Sprint(i.Interface, " ", i.ID, " ", v4)
		switch {
		case i.ID < 1 || i.ID > 255 || i.Priority < 1 || i.Interface == "":
			here(i.line, "not carried over: it wants an interface, a virtual_router_id from 1 to 255 and a priority from 1 on")
		case len(i.VIPs) == 0:
			here(i.line, "not carried over: it holds no address of a service")
		case ids[id]:
			here(i.line, "not carried over: another instance on %s has virtual_router_id %d", i.Interface, i.ID)
		default:
			ids[id] = true
			k.join(i, n, v4)
		}
	}
}

// join takes an instance over.
func (k *keepalived) join(i *instance, n int, v4 bool) {
	if v4 && i.version != "3" {
		k.note(i.line, "vrrp_instance %s: version 3 here, and no other: set vrrp_version 3 on the other routers", i.Group.Name)
	}
	taken := func(g Group) bool { return g.Name == i.Group.Name }
	if !nodeName.MatchString(i.Group.Name) || slices.ContainsFunc(k.Groups, taken) {
		i.Group.Name = fmt.Sprintf("vrrp-%d", n+1)
	}
	if a, err := netip.ParseAddr(i.Source); err != nil || a.Is4() != v4 || a.Is6() && !a.IsLinkLocalUnicast() || a.Zone() != "" {
		i.Source = ""
	}
	if i.NoPreempt {
		i.Delay = 0
	}
	k.Groups = append(k.Groups, i.Group)
}

// vips are the addresses of all services, which nobody holds yet.
func (k *keepalived) vips() map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	for i := range k.Services {
		set := k.Services[i].Set
		for _, at := range append(strings.Split(set["vips"], ","), set["vip"]) {
			if p, err := netip.ParseAddrPort(at); err == nil {
				all[p.Addr()] = false
			}
		}
	}
	return all
}

// toml writes the table of a group.
func (g *Group) toml(b *strings.Builder) {
	fmt.Fprintf(b, "\n[[vrrp]]\nname = %s\ninterface = %s\nid = %d\npriority = %d\n", quoted(g.Name), quoted(g.Interface), g.ID, g.Priority)
	if g.Interval != time.Second {
		fmt.Fprintf(b, "interval = %s\n", quoted(g.Interval.String()))
	}
	if g.NoPreempt {
		b.WriteString("preempt = false\n")
	}
	if g.Delay > 0 {
		fmt.Fprintf(b, "preempt_delay = %s\n", quoted(g.Delay.String()))
	}
	fmt.Fprintf(b, "vips = %s\n", quotedList(g.VIPs))
	if g.Source != "" {
		fmt.Fprintf(b, "source = %s\n", quoted(g.Source))
	}
	if g.Plain {
		b.WriteString("checksum = \"rfc9568\"\n")
	}
}
