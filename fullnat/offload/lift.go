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
	t.ends[number] = f.ends()
	to := t.facesOf(number)
	*to = [2]face{}
	var hashes [2]uint64
	for d := range f.faces() {
		is, becomes := f.face(d)
		hashes[d] = hash(t.seed, &is)
		to[d].describe(&is, &becomes)
		to[d].hop = uint32(f.Hops[d])
		t.told[number<<1|uint32(d)] = told{}
	}
	for d := range f.faces() {
		to[d].answer = t.bucket(hashes[f.faces()-1-d])
	}
	if f.direct() {
		o := t.outer(number)
		o.server, o.port = f.To, f.ToPort
		if f.Outer != nil {
			o.len = uint8(copy(o.bytes[:], f.Outer))
			to[session.Inbound].kind = tunnel
		}
	}
	for d := range f.faces() { // last: from here on programs find it
		if !t.insert(hashes[d], number<<1|uint32(d)) {
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
	for d := range n {
		if t.has(number, d) {
			is := t.tuple(number, d)
			t.remove(hash(t.seed, &is), number<<1|uint32(d))
		}
	}
	t.dropped[number] = t.grace.stamp()
}

// facesOf are those of a flow.
func (t *Table) facesOf(number uint32) *[2]face { return (*[2]face)(t.faces[number<<1:]) }

// outer is the second face of a flow that is not rewritten.
func (t *Table) outer(number uint32) *outer {
	return (*outer)(unsafe.Pointer(&t.faces[number<<1|uint32(session.Outbound)]))
}

// has says whether a flow has a face.
func (t *Table) has(number uint32, d session.Direction) bool {
	f := t.facesOf(number)
	return d == session.Inbound || f[session.Inbound].kind == rewrite && f[session.Outbound].protocol != 0
}

// tuple is that of the packets of a face.
func (t *Table) tuple(number uint32, d session.Direction) packet.Tuple {
	f, ends := &t.facesOf(number)[d], &t.ends[number]
	is := packet.Tuple{Src: ends[0], Dst: ends[1], Protocol: f.protocol}
	is.SrcPort, is.DstPort = splitPorts(f.ports)
	if d == session.Outbound {
		is.Src, is.Dst = ends[3], ends[2]
	}
	return is
}

// Seen is what the programs have carried of one direction of a flow.
type Seen struct {
	Packets, Bytes uint64 // since it was last read
	Used           uint32 // tick of the last packet ever, if there was one
	Next, Ack      uint32 // of the last packet: see session.Session.Expects
}

// Read returns what the programs have carried of a flow and was not read before,
// if that is less than four billion packets.
func (t *Table) Read(number uint32, d session.Direction) (s Seen) {
	if !t.has(number, d) {
		return Seen{}
	}
	f, of := &t.facesOf(number)[d], &t.told[number<<1|uint32(d)]
	packets, bytes := atomic.LoadUint32(&f.packets), atomic.LoadUint64(&f.bytes)
	s = Seen{
		Packets: uint64(packets - of.packets), Bytes: bytes - (uint64(of.bytes[1])<<32 | uint64(of.bytes[0])),
		Used: atomic.LoadUint32(&f.used), Next: atomic.LoadUint32(&f.next), Ack: atomic.LoadUint32(&f.ack),
	}
	*of = told{packets, [2]uint32{uint32(bytes), uint32(bytes >> 32)}}
	return s
}

// Follows says whether a flow's packets to the server take a hop.
func (t *Table) Follows(number uint32, hop HopRef) bool {
	return t.facesOf(number)[session.Inbound].hop == uint32(hop)
}

// Redirect gives one direction of a flow another next hop.
func (t *Table) Redirect(number uint32, d session.Direction, hop HopRef) {
	if f := &t.facesOf(number)[d]; t.has(number, d) && f.hop != uint32(hop) {
		atomic.StoreUint32(&f.hop, uint32(hop))
	}
}
