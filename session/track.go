package session

import "fleetlb/fullnat/packet"

// Track lets s see a packet of its own before it is rewritten: s is used now,
// counts the packet and its bytes from the IP header on, and changes its state.
// Fragments are used and counted, no more: a later one has no flags, and the
// state waits for the next packet that has.
func (t *Table) Track(s *Session, d Direction, p *packet.Packet, now Tick) {
	s.LastUsed = now
	t.tally(s, d, uint32(len(p.Frame)-p.L3))
	path := t.paths[s.Path]
	to := s.State
	switch {
	case path.Protocol == packet.UDP:
		s.flags |= spoke << d
		if to == None {
			to = OneWay
		}
		if s.flags.has(spoke, Inbound) && s.flags.has(spoke, Outbound) {
			to = TwoWay
		}
		if t.self.ID != 0 && s.marks&shared == 0 && s.packets[Inbound] >= shareAfter {
			t.Share(s, now)
		}
	case path.Protocol == packet.TCP && p.Kind == packet.Flow:
		to = s.next(d, viewOf(path.Mode, d), segmentOf(p))
	}
	if to != s.State {
		t.enter(s, to, now)
	}
}

func viewOf(m Mode, d Direction) view {
	if m.faces() == 1 {
		return clientOnly
	}
	return view(d)
}
