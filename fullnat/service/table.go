package service

import (
	"net/netip"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/schedule"
)

// A Table is all services of a director at one time. The zero Table has none.
type Table struct {
	Services []*Service // in the order of the specs
	Servers  []*Server  // of all services, sorry servers too, by Ordinal

	index  index[*Service] // by VIP, protocol and port; nil: by VIP alone
	ranges index[spans]    // by VIP and protocol
	vips   []netip.Prefix

	answers index[*Server] // those of one-packet scheduling in mode NAT, by their own ends
}

// A Service is one VIP, protocol and port, or run of ports. Nothing in it or
// below it changes, but for what the scheduler and the loads keep inside.
//
// One that listens at other VIPs, protocols and ports too is one Service more
// for each, with servers of its own: all share the scheduler, each server its
// load with those of the same address, and persistence has one name for all.
type Service struct {
	Name       string
	ID         uint32 // position in the table
	VIP        packet.Addr
	Port, Last uint16 // Last 0: Port alone; Port 0: any
	Protocol   uint8
	Mode       Mode
	Tunnel     Tunnel
	Beside     []*Service // the same at its other listeners; only the first one in the table has them

	Scheduler schedule.Scheduler
	Members   []*Server // what Scheduler picks from, by the position it returns
	Servers   []*Server // all but the sorry server, as listed
	Sorry     *Server   // nil: none

	Timeouts Timeouts // none is zero
	Options

	// Memory is the name under which persistence remembers clients: the same on
	// all directors, at all listeners and after a rebuild.
	Memory uint64

	made recipe
}

// Server returns the server of an address and port, or nil.
func (s *Service) Server(a packet.Addr, port uint16) *Server {
	for _, v := range s.Servers {
		if v.Port == port && v.Addr == a {
			return v
		}
	}
	return nil
}

// A Server is one real server of one service.
type Server struct {
	Name    string // "ip:port"
	Service *Service
	Ordinal uint32 // position among all servers of the table
	Addr    packet.Addr
	Port    uint16
	Mode    Mode // the service's, or its own
	Tunnel  Tunnel
	Weight  int
	Upper   uint32 // thresholds, as in ServerSpec
	Lower   uint32
	State   State
	Doubted bool // as in ServerSpec
	Load    *schedule.Load
	Beside  []*Server // the same behind the service's other listeners
}

// Eligible says whether the server may get new connections.
func (s *Server) Eligible() bool { return s.State == Up && s.Weight > 0 }

// Full says whether the server has as many sessions as it may.
func (s *Server) Full() bool { return s.Upper > 0 && s.Load.Full(s.Upper, s.Lower) }

// Keeps says whether persistence goes on leading clients to the server: one that is
// of weight 0 keeps those it has, as in IPVS, unless the service wants otherwise.
func (s *Server) Keeps() bool {
	return s.State == Up && (s.Weight > 0 || !s.Service.Persistence.LeaveQuiescent)
}

// A State is what a server may be used for.
type State uint8

const (
	Down     State = iota // fails its checks
	Up                    // takes new connections
	Draining              // healthy, keeps what it has
)

func (s State) String() string { return [...]string{"down", "up", "draining"}[s] }

// Find returns the service of a destination, or nil: the one that has the port to
// itself, or else the one of a range that holds it, or else the one of any port.
func (t *Table) Find(protocol uint8, vip packet.Addr, port uint16) *Service {
	if s := t.index.find(keyOf(protocol, vip, port)); s != nil {
		return s.value
	}
	if s := t.ranges.find(keyOf(protocol, vip, 0)); s != nil {
		return s.value.of(port)
	}
	return nil
}

// HasVIP says whether any service has the address.
func (t *Table) HasVIP(a packet.Addr) bool { return t.index.find(keyOf(0, a, 0)) != nil }

// list puts a service where Find looks for it.
func (t *Table) list(s *Service) {
	t.index.put(keyOf(0, s.VIP, 0), nil)
	if s.Last == 0 {
		t.index.put(keyOf(s.Protocol, s.VIP, s.Port), s)
		return
	}
	all := keyOf(s.Protocol, s.VIP, 0)
	var others spans
	if o := t.ranges.find(all); o != nil {
		others = o.value
	}
	t.ranges.put(all, others.with(s))
}

// VIPs lists the addresses of all services, each once and sorted, as host
// prefixes. The caller must not change it.
func (t *Table) VIPs() []netip.Prefix { return t.vips }
