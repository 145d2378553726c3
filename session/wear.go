package session

import (
	"bytes"
	"cmp"

	"fleetlb/fullnat/packet"
)

// Two sessions may lay claim to the same face: a client that opens a connection
// anew comes to another director than before, and both connections are known
// everywhere for a while. One wears the face, which is to be found by it; the
// others are its shadows, which are kept all the same, so that directors compare
// what they know and not what they make of it.
//
// Who wears it follows from the sessions alone, so that all directors agree:
//
//   - One that both ends believe in goes before one that is half-open or over: no
//     forged SYN takes a living connection's place.
//   - Then, of TCP, the one that was born later: its client would not have begun
//     it if it had still had the other. Of UDP, where nothing tells a beginning,
//     the one that was born earlier: its server knows the client.
//
// A shadow hangs in the index under the face with its protocol changed, so that
// packets hardly ever come upon it.
const shade = 0x80

// don puts a face of s into the index.
func (t *Table) don(s *Session, d Direction) {
	face := t.Face(s, d)
	if w, wd := t.Find(&face); w != nil {
		if !t.outranks(s, w) {
			t.dim(s, d, face)
			return
		}
		t.index.remove(&face, refOf(t.number(w), wd))
		t.dim(w, wd, face)
	}
	t.index.insert(&face, refOf(t.number(s), d))
}

// dim makes s a shadow.
func (t *Table) dim(s *Session, d Direction, face packet.Tuple) {
	t.land(s)
	face.Protocol ^= shade
	t.index.insert(&face, refOf(t.number(s), d))
	s.marks |= shadow << d
	t.shadows++
}

// doff takes a face of s out of the index; the best of its shadows then wears it.
func (t *Table) doff(s *Session, d Direction) {
	face := t.Face(s, d)
	if s.marks&(shadow<<d) != 0 {
		t.brighten(s, d, face)
		return
	}
	t.index.remove(&face, refOf(t.number(s), d))
	if t.shadows == 0 {
		return
	}
	if heir, hd := t.heir(&face); heir != nil {
		t.brighten(heir, hd, face)
		t.index.insert(&face, refOf(t.number(heir), hd))
	}
}

// brighten ends that s is a shadow; its face is in the index no more.
func (t *Table) brighten(s *Session, d Direction, face packet.Tuple) {
	face.Protocol ^= shade
	t.index.remove(&face, refOf(t.number(s), d))
	s.marks &^= shadow << d
	t.shadows--
}

// heir returns the best of the shadows of a face, nil if there is none.
func (t *Table) heir(face *packet.Tuple) (best *Session, d Direction) {
	for s, sd := range t.shadowsOf(face) {
		if best == nil || t.outranks(s, best) {
			best, d = s, sd
		}
	}
	return best, d
}

// shadowsOf goes through the shadows of a face.
func (t *Table) shadowsOf(face *packet.Tuple) func(yield func(*Session, Direction) bool) {
	return func(yield func(*Session, Direction) bool) {
		x, dark := &t.index, *face
		dark.Protocol ^= shade
		at, tag := x.home(x.key.hash(&dark))
		for range x.buckets {
			b := &x.buckets[at]
			for m := b.match(tag); m != 0; m = m.rest() {
				r := b.refs[m.lane()]
				s, d := &t.sessions[r.number()], r.direction()
				if s.marks&(shadow<<d) != 0 && t.wears(s, d, face) && !yield(s, d) {
					return
				}
			}
			if b.passed == 0 {
				return
			}
			at = x.after(at)
		}
	}
}

// rerank has the faces of s worn by whom they belong to after s has changed.
func (t *Table) rerank(s *Session) {
	if t.shadows == 0 {
		return
	}
	for d := range t.paths[s.Path].Mode.faces() {
		face := t.Face(s, d)
		if s.marks&(shadow<<d) == 0 {
			if heir, hd := t.heir(&face); heir != nil && t.outranks(heir, s) {
				t.index.remove(&face, refOf(t.number(s), d))
				t.brighten(heir, hd, face)
				t.index.insert(&face, refOf(t.number(heir), hd))
				t.dim(s, d, face)
			}
		} else if w, wd := t.Find(&face); w == nil || t.outranks(s, w) {
			t.brighten(s, d, face)
			if w != nil {
				t.index.remove(&face, refOf(t.number(w), wd))
				t.dim(w, wd, face)
			}
			t.index.insert(&face, refOf(t.number(s), d))
		}
	}
}

// outranks says whether of two sessions with a common face a wears it.
func (t *Table) outranks(a, b *Session) bool {
	if x, y := a.Believed(), b.Believed(); x != y {
		return x
	}
	x, y := t.bornOf(a), t.bornOf(b)
	if x != y {
		return y.before(x) == (t.paths[a.Path].Protocol == packet.TCP)
	}
	return t.orders(a, b) > 0
}

// orders compares sessions that began at once, by whatever tells them apart.
func (t *Table) orders(a, b *Session) int {
	p, q := t.paths[a.Path], t.paths[b.Path]
	l, m := t.Local(a), t.Local(b)
	return cmp.Or(
		cmp.Compare(t.HomeOf(a).ID, t.HomeOf(b).ID),
		bytes.Compare(p.Server[:], q.Server[:]), cmp.Compare(a.ServerPort(p), b.ServerPort(q)),
		bytes.Compare(l[:], m[:]), cmp.Compare(a.LocalPort, b.LocalPort),
		bytes.Compare(p.VIP[:], q.VIP[:]), cmp.Compare(p.VIPPort, q.VIPPort),
		cmp.Compare(p.Mode, q.Mode))
}
