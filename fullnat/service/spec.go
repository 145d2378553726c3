package service

import "net/netip"

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
	Weight  int  // 0 to schedule.MaxWeight; 0 takes nothing new
	Up      bool // its checks say so, or it has none
	Drain   bool // takes nothing new, keeps what it has
}
