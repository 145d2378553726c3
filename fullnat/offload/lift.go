package offload

import (
	"sync/atomic"
	"unsafe"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// Free says whether no program can be reading any more what was dropped under a
// number.
func (t *Table) Free(number uint32) bool { return t.grace.over(t.dropped[number]) }

// Lift gives the packets of a flow to the programs, under a number that is free,
// and reports whether the index had room for it. If not, the number is as good
// as dropped.
func (t *Table) Lift(number uint32, f *Flow) bool {
	to := &t.flows[number]
	*to = flow{ends: f.ends()}
	for d := range f.faces() {
		is, becomes := f.face(d)
		to.faces[d].describe(&is, &becomes)
		to.faces[d].hop = uint32(f.Hops[d])
	}
	if f.Outer != nil {
		o := (*outer)(unsafe.Pointer(&to.faces[session.Outbound]))
		o.len = uint8(copy(o.bytes[:], f.Outer))
		to.faces[session.Inbound].kind = tunnel
	}
	for d := range f.faces() { // last: from here on programs find it
		is, _ := f.face(d)
		if !t.insert(hash(t.seed, &is), number<<1|uint32(d)) {
			t.takeDown(number, d)
			return false
		}
	}
	t.lifted.Add(1)
	return true
}

// Drop takes a flow's packets from the programs. Those that run at this moment
// may carry one more each.
func (t *Table) Drop(number uint32) {
	t.takeDown(number, 2)
	t.lifted.Add(-1)
}

// takeDown removes the first n faces of a flow.
func (t *Table) takeDown(number uint32, n session.Direction) {
	f := &t.flows[number]
	for d := range n {
		if f.faces[d].protocol != 0 {
			t.remove(hash(t.seed, f.tuple(d)), number<<1|uint32(d))
		}
	}
	t.dropped[number] = t.grace.stamp()
}

// tuple is that of the packets of a face.
func (f *flow) tuple(d session.Direction) *packet.Tuple {
	t := &packet.Tuple{Src: f.ends[0], Dst: f.ends[1], Protocol: f.faces[d].protocol}
	t.SrcPort, t.DstPort = splitPorts(f.faces[d].ports)
	if d == session.Outbound {
		t.Src, t.Dst = f.ends[3], f.ends[2]
	}
	return t
}

// insert puts a face into the index, unless its tag is in the pair of buckets
// already: the programs compare no more than one flow.
func (t *Table) insert(h uint64, ref uint32) bool {
	pair, slot := t.pair(h), h>>32|uint64(ref)<<32
	for _, b := range pair {
		for i := range b {
			if s := atomic.LoadUint64(&b[i]); s != 0 && uint32(s) == uint32(slot) {
				return false
			}
		}
	}
	for _, b := range pair {
		for i := range b {
			if atomic.CompareAndSwapUint64(&b[i], 0, slot) {
				return true
			}
		}
	}
	return false
}

func (t *Table) remove(h uint64, ref uint32) {
	slot := h>>32 | uint64(ref)<<32
	for _, b := range t.pair(h) {
		for i := range b {
			if atomic.CompareAndSwapUint64(&b[i], slot, 0) {
				return
			}
		}
	}
}

// pair returns the two buckets where a hash may be, in the order in which the
// programs look.
func (t *Table) pair(h uint64) [2]*bucket {
	i := uint32(h) & uint32(len(t.buckets)-1)
	return [2]*bucket{&t.buckets[i], &t.buckets[i^1]}
}

// Seen is what the programs have carried of one direction of a flow.
type Seen struct {
	Packets, Bytes uint64 // since it was last read
	Used           uint32 // tick of the last packet ever, if there was one
	Next, Ack      uint32 // of the last packet: see session.Session.Expects
}

// Read returns what the programs have carried of a flow and was not read before.
func (t *Table) Read(number uint32, d session.Direction) (s Seen) {
	f := &t.flows[number].faces[d]
	if f.protocol == 0 { // there is none
		return Seen{}
	}
	packets, bytes := atomic.LoadUint64(&f.packets), atomic.LoadUint64(&f.bytes)
	s = Seen{packets - f.told[0], bytes - f.told[1], atomic.LoadUint32(&f.used), atomic.LoadUint32(&f.next), atomic.LoadUint32(&f.ack)}
	f.told = [2]uint64{packets, bytes}
	return s
}

// Follows says whether a flow's packets to the server take a hop.
func (t *Table) Follows(number uint32, hop HopRef) bool {
	return t.flows[number].faces[session.Inbound].hop == uint32(hop)
}

// Redirect gives one direction of a flow another next hop.
func (t *Table) Redirect(number uint32, d session.Direction, hop HopRef) {
	if f := &t.flows[number].faces[d]; f.protocol != 0 && f.hop != uint32(hop) {
		atomic.StoreUint32(&f.hop, uint32(hop))
	}
}
