package node

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"fleetlb/bgp"
	"fleetlb/fullnat"
	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/service"
	"fleetlb/gossip"
	"fleetlb/node/config"
	"fleetlb/node/health"
	"fleetlb/node/vrrp"
	"fleetlb/session"
)

// inputs is all that a plan is made from.
type inputs struct {
	services  []config.Service
	locals    []netip.Prefix
	verdicts  map[string]health.Verdict                           // by targetKey
	reachable func(server netip.Addr) bool                        // its next hop is known to be there
	routed    func(server netip.Addr) bool                        // a router is on the way to it; nil: nobody knows of one
	busy      func(*config.Service) bool                          // it has established sessions
	stood     map[string]standing                                 // when planned last, by identity
	others    []gossip.Member                                     // of the fleet, dead ones too
	confirmed func(s *config.Service, server netip.AddrPort) bool // another director says as well that it is down; nil: there is none
	self      session.NodeID
	offers    map[session.NodeID]map[netip.Addr]bool // VIPs that others could serve: whether they hold them
	holding   map[netip.Addr]bool                    // VIPs that are held here now
	groups    []vrrp.Group                           // of VIPs that other routers may hold
	polls     map[vrrp.Place]vrrp.Status             // how it stands with them
	linked    func(ifname string) bool               // it is up
	handBack  bool                                   // a VIP goes where it belongs when that director comes back
	held      bool                                   // nothing may be announced yet
	alive     bool                                   // the workers come round
	draining  bool                                   // the VIPs are to go elsewhere
	leaving   bool                                   // and the local addresses too
}

// carries says whether packets may be sent here at all.
func (in *inputs) carries() bool { return in.alive && !in.held && !in.leaving }

// A standing is how a service stands with its quorum.
type standing uint8

const (
	untried standing = iota // has not had it yet
	quorate                 // has it
	lost                    // had it
)

// A planned service is what became of one of the inputs.
type planned struct {
	config    *config.Service
	up        int // servers that new connections can be given to
	standing  standing
	lingers   bool // announced for the sake of established sessions alone
	announced bool
}

// A plan is what the director shall do.
type plan struct {
	specs    []service.Spec
	services []planned // one for each spec
	routes   []bgp.Route
	others   []gossip.Member     // whose blocks are among the routes
	held     map[netip.Addr]bool // VIPs that could be served here: whether this director answers for them on a LAN
	groups   []vrrp.Group        // of the inputs, ready or not
	lan      *fullnat.LAN
}

// newPlan is a pure function: no clock, no I/O.
func newPlan(in *inputs) *plan {
	p := &plan{others: in.others}
	vips := map[netip.Addr]bool{}
	for i := range in.services {
		s := &in.services[i]
		conditions := in.conditions(s)
		became := in.service(s, conditions)
		p.specs = append(p.specs, in.spec(s, conditions))
		p.services = append(p.services, became)
		for _, l := range s.Listeners() {
			if became.announced {
				vips[l.Addr] = true
			}
		}
	}
	p.held = in.hold(slices.Collect(maps.Keys(vips)))
	p.groups = in.stand(vips, p.held)
	p.lan = in.lan(p)
	for vip := range vips {
		if p.held[vip] || !in.grouped(vip) {
			p.routes = append(p.routes, bgp.Route{Prefix: netip.PrefixFrom(vip, vip.BitLen())})
		}
	}
	for i := range p.services {
		s := &p.services[i]
		s.announced = s.announced && slices.ContainsFunc(s.config.Listeners(), func(l config.Listener) bool { return p.held[l.Addr] || !in.grouped(l.Addr) })
	}
	if in.carries() {
		for _, block := range in.locals {
			p.routes = append(p.routes, bgp.Route{Prefix: block})
		}
		p.routes = append(p.routes, in.backups()...)
	}
	slices.SortFunc(p.routes, byPrefix)
	return p
}

// spec turns a service into what the dataplane is told.
func (in *inputs) spec(s *config.Service, conditions []condition) service.Spec {
	mode, tunnel := forwarding(s.Forwarding(nil)) // all verified
	dead, _ := service.ParseFate(s.DeadServer)
	removed, _ := service.ParseFate(s.RemovedServer)
	listeners := listenersOf(s)
	spec := service.Spec{
		Name:      s.Name,
		VIP:       listeners[0].VIP,
		Last:      listeners[0].Last,
		Protocol:  listeners[0].Protocol,
		Beside:    listeners[1:],
		Mode:      mode,
		Tunnel:    tunnel,
		Scheduler: s.Scheduler,
		Flags:     s.SchedulerFlags,
		Sorry:     s.SorryServer,
		Timeouts:  service.Timeouts(s.Timeouts),
		Options: service.Options{
			ResetOnExpiry:    s.ResetOnExpiry,
			DeadServer:       dead,
			RemovedServer:    removed,
			InhibitOnFailure: s.InhibitOnFailure,
			MSS:              uint16(s.MSS),
			OnePacket:        s.OnePacket,
			Persistence: service.Persistence{
				Timeout: s.Persistence, Prefix4: s.PersistencePrefix4, Prefix6: s.PersistencePrefix6,
				LeaveQuiescent: s.ExpireQuiescentTemplate,
			},
		},
	}
	for i := range s.Servers {
		if r := &s.Servers[i]; r.Enabled {
			pending := conditions[i] == unchecked || conditions[i] == flapping
			mode, tunnel := forwarding(s.Forwarding(r))
			spec.Servers = append(spec.Servers, service.ServerSpec{
				Address: r.Address, Mode: mode, Tunnel: tunnel, Weight: r.Weight, Upper: r.UpperThreshold, Lower: r.LowerThreshold, Up: pending || conditions[i] == well, Drain: pending || r.Drain,
				Doubted: !pending && conditions[i] != well && in.confirmed != nil && !in.confirmed(s, r.Address),
			})
		}
	}
	return spec
}

// forwarding is how packets reach a server, in the dataplane's words.
func forwarding(f config.Forwarding) (service.Mode, service.Tunnel) {
	mode, _ := service.ParseMode(f.Mode)
	return mode, service.Tunnel{Port: f.Port, Variant: uint8(f.Variant)}
}

// listenersOf is what a service listens at, its VIP first.
func listenersOf(s *config.Service) (all []service.Listener) {
	for _, l := range s.Listeners() {
		at := service.Listener{VIP: netip.AddrPortFrom(l.Addr, l.First), Protocol: protocolNumber(l.Protocol)}
		if l.First != l.Last {
			at.Last = l.Last
		}
		all = append(all, at)
	}
	return all
}

// A condition is what is known of a server's health.
type condition uint8

const (
	dead      condition = iota // gets nothing, and loses what it has
	unchecked                  // gets nothing new yet; what it has may be well
	flapping                   // gets nothing new unless there is nobody else
	well
)

// conditions says how the servers of a service are, in their order.
func (in *inputs) conditions(s *config.Service) []condition {
	all := make([]condition, len(s.Servers))
	somebody := false
	for i := range s.Servers {
		r := &s.Servers[i]
		switch v := in.verdicts[targetKey(s, r.Address)]; {
		case v.Up && in.offLink(s, r):
			all[i] = unchecked // its checks go another way than its packets
		case v.Up:
			all[i] = well
			somebody = somebody || takes(r)
		case v.Flapping:
			all[i] = flapping
		case !v.Checked:
			all[i] = unchecked
		}
	}
	if somebody {
		return all
	}
	for i := range all {
		if all[i] == flapping {
			all[i] = well
		}
	}
	return all
}

// offLink says whether a server of mode dr is behind a router, which would send
// what is for the VIP back here.
func (in *inputs) offLink(s *config.Service, r *config.Server) bool {
	return in.routed != nil && s.Forwarding(r).Mode == "dr" && in.routed(r.Address.Addr())
}

// takes says whether the operator wants new connections to go to a server.
func takes(r *config.Server) bool { return r.Enabled && !r.Drain && r.Weight > 0 }

// service says how a service stands.
//
// A server that drains is as healthy as before, so the quorum does not suffer
// from it: its sessions need the VIP as well. But once no server takes anything
// new, and the last established session is over, the VIP attracts only clients
// who are refused, and goes.
func (in *inputs) service(s *config.Service, conditions []condition) planned {
	p := planned{config: s}
	healthy := 0
	for i := range s.Servers {
		r := &s.Servers[i]
		if !r.Enabled || conditions[i] != well || !in.reachable(r.Address.Addr()) {
			continue
		}
		healthy++
		if takes(r) {
			p.up++
		}
	}
	before := in.stood[identity(s)]
	need := quorum(s, before)
	sorry := s.SorryServer.IsValid() && in.reachable(s.SorryServer.Addr())
	served := healthy >= need && (p.up > 0 || need <= 0)
	p.lingers = !served && !sorry && before == quorate && healthy >= need && in.busy(s)
	switch {
	case served || sorry || p.lingers:
		p.standing = quorate
	case before != untried:
		p.standing = lost
	}
	p.announced = p.standing == quorate && in.carries() && !in.draining
	return p
}

// quorum is how many healthy servers a service needs, as it stands: hysteresis
// more than it says to come back, and as many less to go, so that one flapping
// server does not move the VIP. A service that has not been announced yet has
// nothing to come back from.
func quorum(s *config.Service, before standing) int {
	switch before {
	case quorate:
		return s.Quorum - s.Hysteresis
	case lost:
		return s.Quorum + s.Hysteresis
	}
	return s.Quorum
}

func protocolNumber(name string) uint8 {
	if name == "udp" {
		return packet.UDP
	}
	return packet.TCP
}

func protocolName(number uint8) string {
	if number == packet.UDP {
		return "udp"
	}
	return "tcp"
}

// standings is what the next plan wants to know of this one.
func (p *plan) standings() map[string]standing {
	all := make(map[string]standing, len(p.services))
	for _, s := range p.services {
		all[identity(s.config)] = s.standing
	}
	return all
}

// lingers says whether a service waits for its last sessions.
func (p *plan) lingers() bool {
	return slices.ContainsFunc(p.services, func(s planned) bool { return s.lingers })
}

// serves names what stands behind a route.
func (p *plan) serves(r bgp.Route) string {
	var names []string
	for _, s := range p.services {
		if s.announced && r.Prefix.IsSingleIP() && s.config.HasVIP(r.Prefix.Addr()) {
			names = append(names, s.config.Name)
		}
	}
	if names == nil {
		return p.localsOf(r.Prefix)
	}
	return strings.Join(names, ", ")
}

// both returns the routes that are in a and in b, which are sorted: what may stay
// announced while the workers change from one to the other.
func both(a, b []bgp.Route) []bgp.Route {
	var common []bgp.Route
	for _, r := range a {
		if i, found := slices.BinarySearchFunc(b, r, byPrefix); found && r.Equal(b[i]) {
			common = append(common, r)
		}
	}
	return common
}

func byPrefix(a, b bgp.Route) int { return a.Prefix.Compare(b.Prefix) }
