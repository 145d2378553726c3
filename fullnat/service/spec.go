package service

import (
	"net/netip"
	"slices"
)

// A Spec is one service as the control plane wants it.
type Spec struct {
	Name      string // unique in the table, for operators
	VIP       netip.AddrPort
	Protocol  uint8 // packet.TCP or packet.UDP
	Mode      Mode
	Scheduler string   // as in schedule.Names
	Flags     []string // as in schedule.Flags
	Servers   []ServerSpec
	Sorry     netip.AddrPort // gets new connections while no server may; invalid: none
	Timeouts  Timeouts
	Options
}

// Equal says whether s and o ask for the same, their servers in the same order.
func (s Spec) Equal(o Spec) bool {
	return s.Name == o.Name && s.VIP == o.VIP && s.Protocol == o.Protocol && s.Mode == o.Mode &&
		s.Scheduler == o.Scheduler && slices.Equal(s.Flags, o.Flags) &&
		slices.Equal(s.Servers, o.Servers) && s.Sorry == o.Sorry &&
		s.Timeouts == o.Timeouts && s.Options == o.Options
}

// Options are the choices a service has beside its servers.
type Options struct {
	ResetOnExpiry    bool   // tell both ends when an established session expires idle
	DeadServer       Fate   // sessions of a server that went down
	InhibitOnFailure bool   // servers that may get nothing new keep their place in sh and mh
	MSS              uint16 // lower what SYNs offer to this many bytes; 0: leave it
}

// A ServerSpec is one server and the verdict on its health.
type ServerSpec struct {
	Address netip.AddrPort
	Mode    Mode // 0: the service's
	Weight  int  // 0 to schedule.MaxWeight; 0 takes nothing new
	Up      bool // its checks say so, or it has none
	Drain   bool // takes nothing new, keeps what it has
}
