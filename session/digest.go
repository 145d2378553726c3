package session

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"fleetlb/fullnat/packet"
)

// A Digest sums up all shared sessions of one home in one slot: directors that
// know the same have the same. It is kept up to date with every change, so that
// comparing costs nothing.
type Digest struct {
	Count uint32
	Sum   uint64 // exclusive-or of a hash of each session's identity and state
}

// Digest returns the digest of a director's sessions in a slot, whatever their
// role here.
func (t *Table) Digest(id NodeID, slot uint8) Digest {
	if id == t.self.ID {
		return t.own[slot]
	}
	if h := t.lives.homes[id]; h != nil {
		return h.digests[slot]
	}
	return Digest{}
}

// Homes returns the directors whose shared sessions are here, in order.
func (t *Table) Homes() []NodeID {
	var ids []NodeID
	for id := range t.lives.homes {
		ids = append(ids, id)
	}
	if slices.ContainsFunc(t.own[:], func(d Digest) bool { return d.Count > 0 }) {
		ids = append(ids, t.self.ID)
	}
	slices.Sort(ids)
	return ids
}

// digestOf returns the digest that s counts in.
func (t *Table) digestOf(s *Session) *Digest {
	slot := t.slotOf(s)
	if s.Role() == Home {
		return &t.own[slot]
	}
	return &t.lives.all[t.cold[t.number(s)].home].home.digests[slot]
}

// enroll and dismiss make the digests count s, and count it no more.
func (t *Table) enroll(s *Session) {
	d := t.digestOf(s)
	d.Count++
	d.Sum ^= t.fingerprint(s)
}

func (t *Table) dismiss(s *Session) {
	d := t.digestOf(s)
	d.Count--
	d.Sum ^= t.fingerprint(s)
}

func (t *Table) slotOf(s *Session) uint8 {
	p := t.paths[s.Path]
	if p.Mode == FULLNAT {
		return uint8(s.LocalPort)
	}
	return Slot(p.Protocol, s.Client, s.ClientPort)
}

// fingerprint is a hash of what tells s from all other sessions of its home, and
// of its state. It is published like Slot: directors compare it.
func (t *Table) fingerprint(s *Session) uint64 {
	var b [4*16 + 4*2 + 8]byte
	p, local := t.paths[s.Path], t.Local(s)
	at := b[:0]
	for _, a := range [...]*packet.Addr{&s.Client, &p.VIP, &p.Server, &local} {
		at = append(at, a[:]...)
	}
	for _, port := range [...]uint16{s.ClientPort, s.VIPPort, s.ServerPort(p), s.LocalPort} {
		at = binary.BigEndian.AppendUint16(at, port)
	}
	rest := uint64(t.bornOf(s))<<16 | uint64(p.Protocol)<<8 | uint64(p.Mode)<<5 | uint64(s.State)
	return xxhash.Sum64(binary.BigEndian.AppendUint64(at, rest))
}
