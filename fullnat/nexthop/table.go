package nexthop

import "fleetlb/fullnat/packet"

// An ID names a hop. It means the same hop in every table of one Generation,
// and in later ones for as long as routes or Keep need the hop.
type ID uint16

// None is the answer of Lookup when there is no route.
const None ID = 0

// A Hop is where to send a frame next: out of Port, from Src to Dst.
type Hop struct {
	Port     uint8  // index into the interfaces
	Resolved bool   // Dst is known and believed to be alive
	MTU      uint16 // of the interface or, if smaller, the route
	Src, Dst [6]byte
	Gateway  packet.Addr // whose Dst is: a router's, or the destination itself; zero for a neighbour not asked for yet
}

// A Table is the kernel's routes and neighbours at one moment. It never changes.
type Table struct {
	generation uint32
	hops       []Hop
}

// Lookup returns the next hop towards dst: None if there is no route. An
// on-link destination that nobody asked for yet has an ID as well, of a hop
// that is not Resolved; see [Watcher.Want].
func (t *Table) Lookup(dst packet.Addr) ID { return None }

// Hop returns the hop of an ID, nil for None.
func (t *Table) Hop(id ID) *Hop { return nil }

// Generation changes whenever a Lookup may answer otherwise than it did, not
// when a known hop only becomes reachable or changes its address.
func (t *Table) Generation() uint32 { return t.generation }

// OnLink says whether a lies in a prefix connected to a port.
func (t *Table) OnLink(port uint8, a packet.Addr) bool { return false }

// HostAddress says whether a is configured on one of the host's interfaces.
func (t *Table) HostAddress(a packet.Addr) bool { return false }

// SourceFor returns the address with which the host itself would speak on a
// port, or the zero address if it has none of that family.
func (t *Table) SourceFor(port uint8, v6 bool) packet.Addr { return packet.Addr{} }
