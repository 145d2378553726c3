package node

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"fleetlb/node/config"
)

// A director that finds a server dead resets its sessions, so that clients need
// not wait for what does not come. A director that is cut off finds every server
// dead, and must not reset sessions that the others carry on: it asks whether any
// of them says the same.

// deadKey is what directors share of servers that are down: their keys, eight
// bytes each, sorted.
const deadKey = "down"

// serverKey is the same for a server of a service on every director.
func serverKey(s *config.Service, server netip.AddrPort) uint64 {
	return xxhash.Sum64String(targetKey(s, server))
}

// complainOf tells the others which servers of a plan are down.
func (d *director) complainOf(p *plan) {
	c := d.company
	if c == nil {
		return
	}
	var keys []uint64
	for i, spec := range p.specs {
		for _, r := range spec.Servers {
			if !r.Up {
				keys = append(keys, serverKey(p.services[i].config, r.Address))
			}
		}
	}
	slices.Sort(keys)
	var b []byte
	for _, k := range keys {
		b = binary.BigEndian.AppendUint64(b, k)
	}
	if said := string(b); said != c.saidDown {
		if err := c.members.Share(deadKey, b); err == nil {
			c.saidDown = said
		}
	}
}

// consulted gets something when the others have told something new.
func (d *director) consulted() <-chan struct{} {
	if d.company == nil {
		return nil
	}
	return d.company.members.SharedChanges()
}

// consult reads what the others say, and whether it is something new.
func (c *company) consult() (news bool) {
	news = c.hearOffers()
	shared := c.members.Shared(deadKey)
	for id, b := range shared {
		news = news || c.down[id] != string(b)
	}
	news = news || len(shared) != len(c.down)
	clear(c.down)
	for id, b := range shared {
		c.down[id] = string(b)
	}
	return news
}

// confirms says whether a server that is down here is down for another director,
// too, or there is none to ask. One that is not heard of any more, and has not
// said good-bye, still counts: it may be we who are not heard of.
func (c *company) confirms(s *config.Service, server netip.AddrPort) bool {
	key := string(binary.BigEndian.AppendUint64(nil, serverKey(s, server)))
	asked := false
	for i := range c.others {
		m := &c.others[i]
		switch {
		case m.Alive:
			asked = true
			for keys := c.down[m.ID]; len(keys) >= 8; keys = keys[8:] {
				if strings.HasPrefix(keys, key) {
					return true
				}
			}
		case !m.Left:
			asked = true
		}
	}
	return !asked
}
