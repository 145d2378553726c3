package config

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// verify looks for what no single value can tell. A value that was refused
// already is passed over; p.good(key) says that one was given and accepted.
func (l *loader) verify() {
	l.vips = make(map[netip.Addr]string)
	for i := range l.cfg.Services {
		v, at := &l.cfg.Services[i], l.places.at("service").item(i)
		for i, w := range v.Listeners() {
			if _, known := l.vips[w.Addr]; !known && (i > 0 || at.good("vip")) {
				l.vips[w.Addr] = v.Name
			}
		}
	}
	l.verifyNode(l.places.at("node"))
	l.verifyFullnat(l.places.at("fullnat"))
	l.verifyBGP(l.places.at("bgp"))
	l.verifyGossip(l.places.at("gossip"))
	l.verifyAdmin(l.places.at("admin"))
	l.verifyServices(l.places.at("service"))
	l.verifyVRRP(l.places.at("vrrp"))
}

// near is where to complain about a key that may be absent: at it, or at its
// table.
func (p *place) near(key string) *place {
	if child := p.at(key); child != nil {
		return child
	}
	return p
}

// refused says that the key was given and complained about.
func (p *place) refused(key string) bool {
	child := p.at(key)
	return child != nil && child.bad
}

var (
	nameForm  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$`)
	ifaceForm = regexp.MustCompile(`^[^\s/:]{1,15}$`) // as the kernel's dev_valid_name
	hostForm  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?$`)
)

const nameRule = "wants 1 to 64 letters, digits, dots, dashes and underscores, with a letter or digit first and last"

func (l *loader) verifyNode(p *place) {
	if p == nil {
		if !l.broken {
			l.fault(l.places, "a director needs [node] with a name")
		}
		return
	}
	s := scope{sub: "node"}
	if n := &l.cfg.Node; p.good("name") && !nameForm.MatchString(n.Name) {
		l.complain(s, p.at("name"), "name %s %s", show(n.Name), nameRule)
	}
	l.verifyInterfaces(s, p.at("interfaces"))
}

// mostInterfaces fits a frame's 8-bit port with room to spare.
const mostInterfaces = 64

func (l *loader) verifyInterfaces(s scope, p *place) {
	if p == nil || p.bad {
		return
	}
	names := l.cfg.Node.Interfaces
	if len(names) > mostInterfaces {
		l.complain(s, p, "interfaces lists %d; %d are the most", len(names), mostInterfaces)
		return
	}
	for i, name := range names {
		switch {
		case !ifaceForm.MatchString(name) || name == "." || name == "..":
			l.complain(s, p.item(i), "interfaces: %s cannot be an interface", show(name))
		case slices.Contains(names[:i], name):
			l.complain(s, p.item(i), "interfaces: %q is listed twice", name)
		case l.host.Interfaces != nil && !slices.Contains(l.host.Interfaces, name):
			others := slices.DeleteFunc(slices.Clone(l.host.Interfaces), func(there string) bool { return slices.Contains(names, there) })
			l.warn(p.item(i), "node: this host has no interface %q%s", name, meant(name, others))
		}
	}
}

const (
	mostBlocks = 256
	mostLocals = 4096 // 256 million sessions to each server, at 8 KiB of port map each
	leastPorts = 256  // one for each slot
)

func (l *loader) verifyFullnat(p *place) {
	s, f := scope{sub: "fullnat"}, &l.cfg.Fullnat
	if r := f.LocalPorts; p.good("local_ports") && int(r.Last)-int(r.First)+1 < leastPorts {
		l.complain(s, p.at("local_ports"), "local_ports %q holds fewer than %d ports, one for each slot", r, leastPorts)
	}
	at := p.at("local_addresses")
	if len(f.LocalAddresses) > mostBlocks {
		l.complain(s, at, "local_addresses lists %d blocks; %d are the most", len(f.LocalAddresses), mostBlocks)
		return
	}
	l.verifyOverlap(s, at)
	total := 0
	for i, block := range f.LocalAddresses {
		if !block.IsValid() {
			continue // refused
		}
		here := at.item(i)
		if why := odd(block.Addr()); why != "" {
			l.complain(s, here, "local_addresses %q: %s %s", block, block.Addr(), why)
		}
		for _, a := range l.host.Addresses {
			if block.Contains(a) {
				l.complain(s, here, "local_addresses %q holds %s, which this host has: its kernel would answer for it", block, a)
			}
		}
		if free := block.Addr().BitLen() - block.Bits(); free < 16 {
			total += 1 << free
		} else {
			total += 1 << 16
		}
	}
	if total > mostLocals {
		l.complain(s, at, "local_addresses hold more than %d addresses", mostLocals)
	}
}

// verifyOverlap finds blocks within blocks: in the order of addresses, wider
// first, each follows the one it lies in.
func (l *loader) verifyOverlap(s scope, p *place) {
	blocks := l.cfg.Fullnat.LocalAddresses
	var order []int
	for i := range blocks {
		if blocks[i].IsValid() {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(blocks[a].Addr().Compare(blocks[b].Addr()), blocks[a].Bits()-blocks[b].Bits())
	})
	for k := 1; k < len(order); k++ {
		outer, inner := order[k-1], order[k]
		if !blocks[outer].Overlaps(blocks[inner]) {
			continue
		}
		later, earlier := max(outer, inner), min(outer, inner)
		l.complain(s, p.item(later), "local_addresses %q overlaps %q", blocks[later], blocks[earlier])
		order[k] = outer // the next may lie in it too
	}
}

// local returns the block of local addresses that a lies in.
func (f *Fullnat) local(a netip.Addr) (netip.Prefix, bool) {
	for _, block := range f.LocalAddresses {
		if block.Contains(a) {
			return block, true
		}
	}
	return netip.Prefix{}, false
}

// ours says why packets to a would come back to this director; "" when they
// would not.
func (l *loader) ours(a netip.Addr) string {
	if name, ok := l.vips[a]; ok {
		return "is the vip of service " + show(name)
	}
	if block, ok := l.cfg.Fullnat.local(a); ok {
		return "lies in the local addresses " + block.String()
	}
	return ""
}

// longestSocket is sun_path less its final zero.
const longestSocket = 107

func (l *loader) verifyAdmin(p *place) {
	if !p.good("socket") {
		return
	}
	s, path := scope{sub: "admin"}, l.cfg.Admin.Socket
	switch {
	case !filepath.IsAbs(path):
		l.complain(s, p.at("socket"), "socket %s is not an absolute path", show(path))
	case len(path) > longestSocket:
		l.complain(s, p.at("socket"), "socket path is %d bytes long; %d are the most", len(path), longestSocket)
	case strings.ContainsRune(path, 0) || strings.HasSuffix(path, "/"):
		l.complain(s, p.at("socket"), "socket %s cannot be a file", show(path))
	}
}
