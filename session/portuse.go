package session

import (
	"iter"

	"fleetlb/fullnat/packet"
)

// PortUse is how many ports of one local address are in use towards one server
// endpoint.
type PortUse struct {
	Local      packet.Addr
	Server     packet.Addr
	ServerPort uint16
	Protocol   uint8
	Ports      int
}

// PortUse goes through all pairs of local address and server endpoint that have
// ports in use.
func (t *Table) PortUse() iter.Seq[PortUse] {
	return func(yield func(PortUse) bool) {
		for k, e := range t.ports.endpoints {
			for i, o := range e.pools {
				if o == nil || o.used == 0 {
					continue
				}
				if !yield(PortUse{t.ports.locals[i].addr, k.addr, k.port, k.protocol, o.used}) {
					return
				}
			}
		}
	}
}
