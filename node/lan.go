package node

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"fleetlb/fullnat"
	"fleetlb/fullnat/packet"
	"fleetlb/gossip/replica"
	"fleetlb/node/admin"
	"fleetlb/session"
)

// On a LAN a VIP is where its ARP and neighbour discovery are answered, and one
// director answers: of those that could serve the VIP the first by rendezvous
// hashing, so that the VIPs of a fleet are spread over it. Each tells the others
// which VIPs it could serve, and which it holds. Where routers are told of VIPs by
// BGP nobody looks for them on a link, and none of this is noticed.

// offersKey is what directors share of VIPs: addresses of 16 bytes, each followed
// by 1 if the director holds it, else by 0.
const offersKey = "vips"

const offerSize = 17

func appendOffer(b []byte, vip netip.Addr, held bool) []byte {
	a := vip.As16()
	b = append(b, a[:]...)
	if held {
		return append(b, 1)
	}
	return append(b, 0)
}

// offersIn reads what another director shares. What ends in the middle is as good
// as it goes.
func offersIn(b []byte) map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	for ; len(b) >= offerSize; b = b[offerSize:] {
		all[netip.AddrFrom16([16]byte(b)).Unmap()] = b[16] == 1
	}
	return all
}

func vipKey(vip netip.Addr) uint64 {
	a := vip.As16()
	return xxhash.Sum64(a[:])
}

// hold decides which of the VIPs that could be served here are held here. One
// that another director holds stays there, if the operator wants it so, until
// that one goes.
func (in *inputs) hold(offered []netip.Addr) map[netip.Addr]bool {
	held := map[netip.Addr]bool{}
	for _, vip := range offered {
		candidates, holders := []session.NodeID{in.self}, []session.NodeID(nil)
		if in.holding[vip] {
			holders = append(holders, in.self)
		}
		for i := range in.others {
			m := &in.others[i]
			holds, offers := in.offers[m.ID][vip]
			if !m.Alive || !offers {
				continue
			}
			candidates = append(candidates, m.ID)
			if holds {
				holders = append(holders, m.ID)
			}
		}
		if !in.handBack && len(holders) > 0 {
			candidates = holders
		}
		held[vip] = replica.Rank(vipKey(vip), candidates)[0] == in.self
	}
	return held
}

// inherit lists the local addresses of directors that are gone, which this one is
// the first to answer for.
func (in *inputs) inherit() (blocks []netip.Prefix) {
	for i := range in.others {
		m := &in.others[i]
		if m.Alive {
			continue
		}
		for _, block := range m.Blocks {
			if !slices.ContainsFunc(in.locals, block.Overlaps) && in.rank(m.ID, block) == 0 {
				blocks = append(blocks, block)
			}
		}
	}
	return blocks
}

// lan is what the workers are told of who answers where; nil for a director that
// shares its VIPs with nobody.
func (in *inputs) lan(p *plan) *fullnat.LAN {
	if in.self == 0 && len(in.groups) == 0 {
		return nil
	}
	l := &fullnat.LAN{}
	for _, s := range p.services {
		for _, listener := range s.config.Listeners() {
			if !p.held[listener.Addr] && (in.self != 0 || in.grouped(listener.Addr)) {
				l.Elsewhere = append(l.Elsewhere, listener.Addr)
			}
		}
	}
	slices.SortFunc(l.Elsewhere, netip.Addr.Compare)
	l.Elsewhere = slices.Compact(l.Elsewhere)
	if in.carries() {
		l.Inherited = in.inherit()
	}
	in.lanOfGroups(p.groups, l)
	return l
}

// offer tells the others which VIPs a plan could serve, and which it holds.
func (d *director) offer(p *plan) {
	c := d.company
	if c == nil {
		return
	}
	vips := make([]netip.Addr, 0, len(p.held))
	for vip := range p.held {
		vips = append(vips, vip)
	}
	slices.SortFunc(vips, netip.Addr.Compare)
	var b []byte
	for _, vip := range vips {
		b = appendOffer(b, vip, p.held[vip])
		if was := c.holding[vip]; was != p.held[vip] {
			d.log.Info("lan: "+map[bool]string{true: "answering for a VIP", false: "another director answers for a VIP"}[p.held[vip]], "vip", vip)
		}
	}
	c.holding = p.held
	if said := string(b); said != c.saidOffers {
		if err := c.members.Share(offersKey, b); err == nil {
			c.saidOffers = said
		}
	}
}

// hearOffers reads what the others could serve, and whether it is something new.
func (c *company) hearOffers() (news bool) {
	shared := c.members.Shared(offersKey)
	offers := make(map[session.NodeID]map[netip.Addr]bool, len(shared))
	heard := make(map[session.NodeID]string, len(shared))
	for id, b := range shared {
		offers[id], heard[id] = offersIn(b), string(b)
		news = news || c.heardOffers[id] != heard[id]
	}
	news = news || len(heard) != len(c.heardOffers)
	c.offers, c.heardOffers = offers, heard
	return news
}

// A rival is another station that says an address is its own which this director
// answers for.
type rival struct {
	mac         net.HardwareAddr
	first, last time.Time // it said so
	alarmed     time.Time
}

const (
	// forgotten is how long a rival that says nothing more is remembered.
	forgotten = time.Minute
	// insistent is how long it must go on for an alarm: directors that agree anew
	// who answers for a VIP contradict each other for a moment.
	insistent = 3 * time.Second
	// mostRivals bounds how many are remembered.
	mostRivals = 1024
)

// rivals are those there are, by what they claim.
type rivals struct {
	mu  sync.Mutex
	all map[netip.Addr]rival
}

// contested is told by a worker that somebody else answers for an address.
func (d *director) contested(a packet.Addr, mac [6]byte) {
	at, now := a.Netip(), time.Now()
	d.rivals.mu.Lock()
	defer d.rivals.mu.Unlock()
	r, known := d.rivals.all[at]
	if !known && len(d.rivals.all) >= mostRivals {
		return
	}
	if now.Sub(r.last) > forgotten {
		r = rival{first: now}
	}
	r.mac, r.last = mac[:], now
	if now.Sub(r.first) >= insistent && now.Sub(r.alarmed) > forgotten {
		r.alarmed = now
		d.log.Error(fmt.Sprintf("lan: %s is also answered for by %s", at, r.mac))
	}
	if d.rivals.all == nil {
		d.rivals.all = map[netip.Addr]rival{}
	}
	d.rivals.all[at] = r
}

// contests says which addresses somebody else claims as well.
func (d *director) contests() (all []admin.Finding) {
	d.rivals.mu.Lock()
	defer d.rivals.mu.Unlock()
	for a, r := range d.rivals.all {
		if time.Since(r.last) < forgotten && r.last.Sub(r.first) >= insistent {
			all = append(all, admin.Fail("lan "+a.String(), fmt.Sprintf("station %s says that this address is its own, too", r.mac),
				"take the address from that station; if it is a director, see fleetlb nodes on both: they do not know each other"))
		}
	}
	return all
}
