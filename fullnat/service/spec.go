package service

import (
	"net/netip"
	"slices"
	"time"
)

// A Spec is one service as the control plane wants it.
type Spec struct {
	Name      string // unique in the table, for operators
	VIP       netip.AddrPort
	Last      uint16     // the ports from VIP's to this one; 0: that one alone
	Protocol  uint8      // packet.TCP or packet.UDP
	Beside    []Listener // what the service listens at as well
	Mode      Mode
	Tunnel    Tunnel   // of mode TUN
	Scheduler string   // as in schedule.Names
	Flags     []string // as in schedule.Flags
	Servers   []ServerSpec
	Sorry     netip.AddrPort // gets new connections while no server may; invalid: none
	Timeouts  Timeouts
	Options
}

// A Listener is one address, protocol and run of ports, as in Spec. Ports 0 to
// 65535 are any: one port goes before a range, and a range before any.
type Listener struct {
	VIP      netip.AddrPort
	Last     uint16
	Protocol uint8
}

// Listeners is all that the service listens at.
func (s *Spec) Listeners() []Listener {
	return append([]Listener{{s.VIP, s.Last, s.Protocol}}, s.Beside...)
}

// Equal says whether s and o ask for the same, their servers in the same order.
func (s Spec) Equal(o Spec) bool {
	return s.Name == o.Name && s.VIP == o.VIP && s.Last == o.Last && s.Protocol == o.Protocol && slices.Equal(s.Beside, o.Beside) && s.Mode == o.Mode && s.Tunnel == o.Tunnel &&
		s.Scheduler == o.Scheduler && slices.Equal(s.Flags, o.Flags) &&
		slices.Equal(s.Servers, o.Servers) && s.Sorry == o.Sorry &&
		s.Timeouts == o.Timeouts && s.Options == o.Options
}

// Options are the choices a service has beside its servers.
type Options struct {
	ResetOnExpiry    bool   // tell both ends when an established session expires idle
	DeadServer       Fate   // sessions of a server that went down
	RemovedServer    Fate   // sessions of one that is in the table no more; Default: Keep
	InhibitOnFailure bool   // servers that may get nothing new keep their place in sh and mh
	MSS              uint16 // lower what SYNs offer to this many bytes; 0: leave it
	OnePacket        bool   // UDP: schedule each datagram, keep no session
	Persistence      Persistence
}

// Persistence leads the clients of one network to the server that one of them
// was given last.
type Persistence struct {
	Timeout          time.Duration // after the last session; 0: there is no persistence
	Prefix4, Prefix6 int           // how many bits clients of one network have in common; 0: all
	LeaveQuiescent   bool          // not while that server is of weight 0
}

// A ServerSpec is one server and the verdict on its health.
type ServerSpec struct {
	Address netip.AddrPort
	Mode    Mode   // 0: the service's, and its tunnel
	Tunnel  Tunnel // of mode TUN
	Weight  int    // 0 to schedule.MaxWeight; 0 takes nothing new
	Upper   uint32 // at so many sessions it takes nothing new; 0: never
	Lower   uint32 // until it has fewer than these; 0: three quarters of Upper
	Up      bool   // its checks say so, or it has none
	Drain   bool   // takes nothing new, keeps what it has
	Doubted bool   // not Up as far as this director can see, which may be the one that is cut off: its sessions are let be
}
