package config

import (
	"net/netip"
	"slices"
	"time"
)

// InterfaceOf is where a group is; "" where neither it says so nor there is only
// one.
func (c *Config) InterfaceOf(v *VRRP) string {
	if v.Interface == "" && len(c.Node.Interfaces) == 1 {
		return c.Node.Interfaces[0]
	}
	return v.Interface
}

// Most addresses that an advertisement may list: over IPv4 as many as it can
// count, over IPv6 as many as fit into 1,500 bytes.
const (
	mostHeld4 = 255
	mostHeld6 = 90
)

// A virtualRouter is what the id of a group tells apart.
type virtualRouter struct {
	iface string
	id    int
	v4    bool
}

func (l *loader) verifyVRRP(p *place) {
	if p == nil || p.bad {
		return
	}
	names, routers, holders := map[string]bool{}, map[virtualRouter]string{}, map[netip.Addr]string{}
	for i := range l.cfg.VRRP {
		v, at := &l.cfg.VRRP[i], p.item(i)
		s := scope{noun: called(&field{key: "vrrp"}, map[string]any{"name": v.Name}, i)}
		if at.good("name") {
			switch {
			case !nameForm.MatchString(v.Name):
				l.complain(s, at.at("name"), "name %s %s", show(v.Name), nameRule)
			case names[v.Name]:
				l.complain(s, at.at("name"), "is there twice")
			}
			names[v.Name] = true
		}
		on := l.verifyPlace(s, at, v)
		l.verifyRight(s, at, v)
		if !l.verifyHeld(s, at, v, holders) || on == "" || !at.good("id") {
			continue
		}
		key := virtualRouter{on, v.ID, v.VIPs[0].Is4()}
		if other, taken := routers[key]; taken {
			l.complain(s, at.at("id"), "id %d belongs to vrrp %q on %s; take another, the same on all routers of this group", v.ID, other, on)
			continue
		}
		routers[key] = v.Name
	}
}

// verifyPlace returns the interface of a group, "" if that is not known.
func (l *loader) verifyPlace(s scope, p *place, v *VRRP) string {
	interfaces := l.cfg.Node.Interfaces
	if p.refused("interface") || l.places.at("node").refused("interfaces") {
		return ""
	}
	on := l.cfg.InterfaceOf(v)
	switch {
	case on == "" && len(interfaces) == 0:
		l.complain(s, p, "is on no interface; list it in node.interfaces")
	case on == "":
		l.complain(s, p, "interface is missing, and node.interfaces lists %d", len(interfaces))
	case !slices.Contains(interfaces, on):
		l.complain(s, p.near("interface"), "interface %q is not in node.interfaces%s", on, meant(on, interfaces))
		return ""
	}
	return on
}

func (l *loader) verifyRight(s scope, p *place, v *VRRP) {
	if p.good("priority") && v.Priority == 255 {
		l.complain(s, p.at("priority"), "priority 255 is for the router whose own addresses they are, and a director never has a VIP for its own; 254 is the most")
	}
	if p.good("interval") && v.Interval%(10*time.Millisecond) != 0 {
		l.complain(s, p.at("interval"), "interval %s is not in steps of 10ms", durationText(v.Interval))
	}
	if p.good("preempt_delay") && v.PreemptDelay > 0 && !v.Preempt {
		l.complain(s, p.at("preempt_delay"), "preempt_delay goes with preempt = true")
	}
}

// verifyHeld looks at the addresses, and says whether they are there and of one
// family.
func (l *loader) verifyHeld(s scope, p *place, v *VRRP, holders map[netip.Addr]string) bool {
	at := p.at("vips")
	if !p.good("vips") {
		return false
	}
	if len(v.VIPs) == 0 {
		l.complain(s, p.near("vips"), "vips lists none")
		return false
	}
	first, alike := v.VIPs[0], true
	for i, a := range v.VIPs {
		switch other, held := holders[a]; {
		case a.Is4() != first.Is4():
			alike = false
			l.complain(s, at.item(i), "vips: %s is %s, and %s is %s; give each family a group of its own, which may have the same id",
				a, family(a), first, family(first))
		case held && other == v.Name:
			l.complain(s, at.item(i), "vips: %s is listed twice", a)
		case held:
			l.complain(s, at.item(i), "vips: %s belongs to vrrp %q", a, other)
		case l.vips[a] == "":
			l.complain(s, at.item(i), "vips: %s is the vip of no service; add a [[service]] with it, or take it away here", a)
		}
		holders[a] = v.Name
	}
	if most := map[bool]int{true: mostHeld4, false: mostHeld6}[first.Is4()]; len(v.VIPs) > most {
		l.complain(s, at, "vips lists %d; %d are the most that one group can hold", len(v.VIPs), most)
	}
	l.verifySource(s, p, v)
	return alike
}

// verifySource looks at the address a group speaks from.
func (l *loader) verifySource(s scope, p *place, v *VRRP) {
	a := v.Source
	if !p.good("source") || !a.IsValid() {
		return
	}
	switch {
	case a.Is4() != v.VIPs[0].Is4():
		l.complain(s, p.at("source"), "source %s is %s, and the vips are %s", a, family(a), family(v.VIPs[0]))
	case a.Is6() && !a.IsLinkLocalUnicast():
		l.complain(s, p.at("source"), "source %s is not the link-local address of the interface", a)
	case l.ours(a) != "":
		l.complain(s, p.at("source"), "source %s %s", a, l.ours(a))
	case l.host.Addresses != nil && !slices.Contains(l.host.Addresses, a):
		l.warn(p.at("source"), "vrrp %s: this host does not have source %s", show(v.Name), a)
	}
}
