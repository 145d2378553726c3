package fullnat

import (
	"maps"
	"net/netip"
	"slices"

	"fleetlb/fullnat/packet"
)

// A LAN says who answers where the fleet's addresses are on a link: of several
// directors that all carry what comes, one is found at each address.
type LAN struct {
	Elsewhere []netip.Addr   // VIPs that another director answers for, or nobody; sorted
	Inherited []netip.Prefix // local addresses of directors that are gone, which this one answers for

	// Backup are those of Elsewhere that another router holds, which may be no
	// director: what is sent here all the same goes on with a session that there
	// is, and opens none (RFC 9568 §6.4.2). Sorted.
	Backup []netip.Addr
	// Claims are VIPs that stations may know at another station. Each time the value
	// changes they are told again.
	Claims map[netip.Addr]uint32
}

func (l *LAN) same(o *LAN) bool {
	if l == nil || o == nil {
		return l == o
	}
	return slices.Equal(l.Elsewhere, o.Elsewhere) && slices.Equal(l.Inherited, o.Inherited) &&
		slices.Equal(l.Backup, o.Backup) && maps.Equal(l.Claims, o.Claims)
}

// answers says whether the director answers stations on a link that look for a.
func (s *Snapshot) answers(a packet.Addr) bool {
	if r := s.block(a); r != nil {
		return r.own || s.inherits(a)
	}
	return s.Services.HasVIP(a) && !s.isElsewhere(a)
}

func (s *Snapshot) isElsewhere(a packet.Addr) bool { return s.LAN != nil && among(s.LAN.Elsewhere, a) }

// isBackup says whether a is a VIP that another router holds.
func (s *Snapshot) isBackup(a packet.Addr) bool { return s.LAN != nil && among(s.LAN.Backup, a) }

func among(sorted []netip.Addr, a packet.Addr) bool {
	if len(sorted) == 0 {
		return false
	}
	_, found := slices.BinarySearchFunc(sorted, a.Netip(), netip.Addr.Compare)
	return found
}

// claim is what a VIP is announced under.
func (s *Snapshot) claim(a packet.Addr) uint32 {
	if s.LAN == nil {
		return 0
	}
	return s.LAN.Claims[a.Netip()]
}

func (s *Snapshot) inherits(a packet.Addr) bool {
	return s.LAN != nil && slices.ContainsFunc(s.LAN.Inherited, func(p netip.Prefix) bool { return p.Contains(a.Netip()) })
}

// answered lists the addresses the director answers for, as far as it lists any:
// maxLocals of its own block, and as many of each that it has inherited.
func (s *Snapshot) answered() (all []packet.Addr) {
	all = s.localAddresses()
	for _, vip := range s.Services.VIPs() {
		if a := packet.AddrFrom(vip.Addr()); !s.isElsewhere(a) {
			all = append(all, a)
		}
	}
	if s.LAN != nil {
		all = append(all, addressesOf(s.LAN.Inherited)...)
	}
	return all
}

// probe asks on each link whether anybody else has a VIP that is held here. Who
// has says so, and contest hears it.
func (w *Worker) probe() {
	for p := range w.announcer.known {
		if !w.snap.Services.HasVIP(p.addr) {
			continue
		}
		f := w.alloc()
		if f == nil {
			w.verdicts[DropNoFrame]++
			return
		}
		w.become(f, packet.PutProbe(w.scratch[:], p.addr, p.mac))
		f.Port = p.port
		w.settle(f, Originated)
	}
}

// contest looks whether somebody else on a link says that an address is his which
// this director answers for. Two stations with one address share its packets out
// between them, and neither knows.
func (w *Worker) contest(p *packet.Packet) {
	a, mac, ok := p.Claimed()
	if !ok || w.contested || !w.snap.answers(a) {
		return
	}
	for _, port := range w.snap.Hops.Ports() {
		if port.MAC == mac {
			return
		}
	}
	w.contested = true // one in a tick will do
	w.rival(a, mac)
}
