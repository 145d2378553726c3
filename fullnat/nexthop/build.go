package nexthop

import (
	"maps"
	"net/netip"

	"fleetlb/fullnat/packet"
)

// build makes the table of what the kernel said. Gateways and the destinations
// to keep get IDs as it goes; nothing else of its arguments changes.
func build(m *mirror, neighbors map[neighborKey]neighbor, h *hops, keep []packet.Addr) *Table {
	for id := range h.known {
		h.known[id].kept, h.known[id].gateway = false, false
	}
	t := &Table{ports: m.ports, hosts: make(map[packet.Addr]struct{}, len(m.addresses))}
	t.routes = buildRoutes(m, h)
	t.connect(m)
	t.sourceAddresses(m)
	kept := 0
	for _, a := range keep {
		key, ok := t.neighborOf(a)
		if !ok {
			continue
		}
		if kept == maxKept {
			t.unkept++
			continue
		}
		if id := h.id(key); id != None {
			h.known[id].kept = true
			kept++
		}
	}
	t.fill(m, neighbors, h)
	t.onLink = maps.Clone(h.ids)
	return t
}

// fill writes the hops, and what is known of neighbours not asked for.
func (t *Table) fill(m *mirror, neighbors map[neighborKey]neighbor, h *hops) {
	t.hops = make([]Hop, len(h.known))
	for id := range h.known {
		if key := h.known[id].key; id != int(None) && key.addr != (packet.Addr{}) {
			p := &m.ports[key.port]
			t.hops[id] = hopOf(key, p, neighbors[neighborKey{p.Index, key.addr}])
		}
	}
	t.unknown = make([]Hop, len(m.ports))
	for i := range m.ports {
		t.unknown[i] = hopOf(hopKey{port: uint8(i)}, &m.ports[i], neighbor{})
	}
}

// neighborOf returns the hop of an on-link destination, or that of its gateway.
func (t *Table) neighborOf(dst packet.Addr) (hopKey, bool) {
	r := t.routes[family(dst)].find(dst)
	if r == nil || len(r.paths) == 0 {
		return hopKey{}, false
	}
	p := r.path(dst)
	if p.hop == None {
		return hopKey{dst, p.mtu, p.port}, true
	}
	return hopKey{}, false
}

// buildRoutes chooses, for each prefix, the route of the lowest metric that has
// a path by our interfaces, or that the kernel delivers or refuses.
func buildRoutes(m *mirror, h *hops) (families [2]lpm) {
	best := [2]map[netip.Prefix]*route{{}, {}}
	for i := range m.routes {
		r := &m.routes[i]
		if !r.void && len(m.usable(r)) == 0 {
			continue
		}
		of := best[family(packet.AddrFrom(r.prefix.Addr()))]
		if old := of[r.prefix]; old == nil || r.before(old) {
			of[r.prefix] = r
		}
	}
	for i, of := range best {
		entries := make(map[netip.Prefix]*entry, len(of))
		for prefix, r := range of {
			entries[prefix] = &entry{paths: h.ways(m, m.usable(r))}
		}
		families[i] = newLPM(entries)
	}
	return families
}

// before says which of two routes to one prefix the kernel follows.
func (r *route) before(other *route) bool {
	if r.own != other.own {
		return r.own
	}
	return r.metric < other.metric
}

// usable returns the paths of a route by which a packet could leave.
func (m *mirror) usable(r *route) (paths []path) {
	for _, p := range r.paths {
		if port, ours := m.portOf(p.index); ours && m.ports[port].Up && !p.down {
			paths = append(paths, p)
		}
	}
	return paths
}

// ways gives the gateways of paths IDs and divides the hashes among them by
// weight. A gateway that has failed is passed over while another has not.
func (h *hops) ways(m *mirror, paths []path) []way {
	var all, good []way
	var weights, goodWeights []int
	for i := range paths {
		p := &paths[i]
		port, _ := m.portOf(p.index)
		w := way{port: port, mtu: uint16(min(p.mtu, 0xffff))}
		failed := false
		if p.gateway.IsValid() {
			if w.hop = h.id(p.key(packet.AddrFrom(p.gateway), port)); w.hop == None {
				continue // no ID left
			}
			h.known[w.hop].kept, h.known[w.hop].gateway = true, true
			failed = h.known[w.hop].failed
		}
		all, weights = append(all, w), append(weights, p.weight)
		if !failed {
			good, goodWeights = append(good, w), append(goodWeights, p.weight)
		}
	}
	if len(good) > 0 {
		all, weights = good, goodWeights
	}
	divide(all, weights)
	return all
}

// divide gives each way its share of 1<<32.
func divide(ways []way, weights []int) {
	total, sum := 0, 0
	for _, w := range weights {
		total += w
	}
	for i := range ways {
		sum += weights[i]
		ways[i].below = uint32(uint64(sum)<<32/uint64(total) - 1)
	}
}

// connect collects which prefixes are connected to which port, and the host's
// addresses.
func (t *Table) connect(m *mirror) {
	t.connected = make([][]netip.Prefix, len(m.ports))
	for _, a := range m.addresses {
		t.hosts[packet.AddrFrom(a.prefix.Addr())] = struct{}{}
		if port, ours := m.portOf(a.index); ours {
			t.connected[port] = append(t.connected[port], a.peer)
		}
	}
	for _, r := range m.routes {
		for _, p := range r.paths {
			port, ours := m.portOf(p.index)
			if ours && !p.gateway.IsValid() && r.prefix.Bits() > 0 {
				t.connected[port] = append(t.connected[port], r.prefix)
			}
		}
	}
}

// sourceAddresses chooses the address to speak with for each port and family:
// the first of global scope, else any of the port's, else another port's.
func (t *Table) sourceAddresses(m *mirror) {
	for fam := range t.sources {
		t.sources[fam] = make([]packet.Addr, len(m.ports))
		var other packet.Addr
		for port := range m.ports {
			a, global := m.sourceFor(port, fam)
			t.sources[fam][port] = a
			if global && other == (packet.Addr{}) {
				other = a
			}
		}
		for port, a := range t.sources[fam] {
			if a == (packet.Addr{}) {
				t.sources[fam][port] = other
			}
		}
	}
}

func (m *mirror) sourceFor(port, fam int) (best packet.Addr, global bool) {
	for _, a := range m.addresses {
		addr := packet.AddrFrom(a.prefix.Addr())
		if a.index != m.ports[port].Index || !a.usable || family(addr) != fam {
			continue
		}
		if best == (packet.Addr{}) || a.global && !global {
			best, global = addr, a.global
		}
	}
	return best, global
}
