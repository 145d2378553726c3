package nexthop

import (
	"time"

	"github.com/vishvananda/netlink"

	"fleetlb/fullnat/packet"
)

// maxHops bounds the hops remembered. On-link clients that come and go leave
// hops behind; at the bound those nobody needs are forgotten.
const maxHops = 1 << 15

// maxKept is how many of them may be on-link destinations that are kept: half are
// for gateways and clients.
const maxKept = maxHops / 2

// hops hands out IDs and knows of each hop how its neighbour fares.
type hops struct {
	ids   map[hopKey]ID
	known []hopState // by ID; the first stands for None
	free  []ID
}

type hopState struct {
	key     hopKey
	kept    bool // resolve it again whenever that is needed
	gateway bool // of a route
	// failed stays set from the kernel's giving up until the neighbour is back,
	// not only until it is asked again: a dead gateway must not attract its
	// share of the packets with each retry.
	failed bool
	asked  time.Time     // when the kernel was last asked to resolve it
	pause  time.Duration // until it is asked again
}

func newHops() *hops {
	return &hops{ids: make(map[hopKey]ID), known: make([]hopState, 1)}
}

// id returns the ID of a hop, a new one if it has none, or None at the bound.
func (h *hops) id(key hopKey) ID {
	if id, ok := h.ids[key]; ok {
		return id
	}
	var id ID
	switch {
	case len(h.free) > 0:
		id = h.free[len(h.free)-1]
		h.free = h.free[:len(h.free)-1]
	case len(h.known) < maxHops:
		id = ID(len(h.known))
		h.known = append(h.known, hopState{})
	default:
		return None
	}
	h.known[id] = hopState{key: key}
	h.ids[key] = id
	return id
}

// full says that there is no ID left.
func (h *hops) full() bool { return len(h.free) == 0 && len(h.known) >= maxHops }

// forget gives up the hops nobody keeps.
func (h *hops) forget() {
	for key, id := range h.ids {
		if !h.known[id].kept {
			delete(h.ids, key)
			h.known[id] = hopState{}
			h.free = append(h.free, id)
		}
	}
}

// hasten has every hop asked for as soon as possible, because an interface has
// changed and with it perhaps who answers.
func (h *hops) hasten() {
	for id := range h.known {
		h.known[id].pause = 0
	}
}

const (
	alive     = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE | netlink.NUD_PERMANENT | netlink.NUD_NOARP
	confirmed = netlink.NUD_REACHABLE | netlink.NUD_PERMANENT | netlink.NUD_NOARP
)

// resolved says whether frames can be sent to the neighbour.
func (n neighbor) resolved() bool { return n.state&alive != 0 && n.mac != [6]byte{} }

// observe notes what the kernel says of a hop's neighbour and reports whether
// the hop has failed or come back.
func (s *hopState) observe(n neighbor) (turned bool) {
	was := s.failed
	if n.resolved() {
		s.failed, s.pause = false, 0
	} else if n.state&netlink.NUD_FAILED != 0 {
		s.failed = true
	}
	return s.failed != was
}

// How often the kernel is asked. It gives up a neighbour after three seconds.
const (
	firstPause = time.Second
	lastPause  = 16 * time.Second
)

// due says whether to ask the kernel for the hop's neighbour now: a stale one
// every second until it is confirmed, one that does not answer ever less often.
func (s *hopState) due(n neighbor, now time.Time) bool {
	if n.state&confirmed != 0 || now.Sub(s.asked) < s.pause {
		return false
	}
	s.asked = now
	if n.resolved() {
		s.pause = firstPause
	} else {
		s.pause = min(max(2*s.pause, firstPause), lastPause)
	}
	return true
}

// hopOf describes a hop as the table shows it.
func hopOf(key hopKey, p *Port, n neighbor) Hop {
	h := Hop{Port: key.port, Src: p.MAC, MTU: mtuOf(p, key.mtu), Gateway: key.addr}
	if p.Up && n.resolved() {
		h.Dst, h.Resolved = n.mac, true
	}
	return h
}

// mtuOf returns the smaller of an interface's MTU and a route's, which is 0 if
// it has none.
func mtuOf(p *Port, route uint16) uint16 {
	mtu := uint16(min(p.MTU, 0xffff))
	if route != 0 && route < mtu {
		return route
	}
	return mtu
}

// key returns the hop of a destination or gateway at the end of a path.
func (p *path) key(addr packet.Addr, port uint8) hopKey {
	return hopKey{addr: addr, mtu: uint16(min(p.mtu, 0xffff)), port: port}
}
