package service

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"fleetlb/fullnat/packet"
	"fleetlb/fullnat/schedule"
)

// Build makes the table of the specs, or says all that is wrong with them. It
// keeps the states and loads of those services and servers that prev has too;
// prev may be nil and goes on being valid. Of several calls with the same prev
// only one may run at a time.
func Build(specs []Spec, prev *Table) (*Table, error) {
	if err := check(specs); err != nil {
		return nil, err
	}
	old := identities(prev)
	t := new(Table)
	var errs []error
	for i := range specs {
		s, err := build(&specs[i], old[specs[i].first()])
		if err != nil {
			errs = append(errs, fmt.Errorf("service %q: %w", specs[i].Name, err))
			continue
		}
		t.add(s)
	}
	if err := errors.Join(append(errs, unanswerable(t.Services)...)...); err != nil {
		return nil, err
	}
	return t.indexed(), nil
}

// An identity is what a service is the same by: what it listens at first.
type identity = Listener

func (s *Spec) first() identity { return identity{unmap(s.VIP), s.Last, s.Protocol} }

func (s *Service) first() identity {
	return identity{netip.AddrPortFrom(s.VIP.Netip(), s.Port), s.Last, s.Protocol}
}

func memory(i identity) uint64 {
	b, _ := i.VIP.MarshalBinary() // cannot fail
	b = binary.BigEndian.AppendUint16(b, i.Last)
	return xxhash.Sum64(append(b, i.Protocol))
}

func identities(t *Table) map[identity]*Service {
	known := make(map[identity]*Service)
	if t != nil {
		for _, s := range t.Services {
			known[s.first()] = s
		}
	}
	return known
}

// add numbers a service and its servers.
func (t *Table) add(s *Service) {
	s.ID = uint32(len(t.Services))
	t.Services = append(t.Services, s)
	for _, v := range s.listening() {
		v.ID = s.ID
		for _, r := range v.all() {
			r.Ordinal = uint32(len(t.Servers))
			t.Servers = append(t.Servers, r)
		}
	}
}

// indexed makes it possible to find the services that were added.
func (t *Table) indexed() *Table {
	singles, runs := 0, 0
	for _, s := range t.Services {
		for _, v := range s.listening() {
			if v.Last == 0 {
				singles++
			} else {
				runs++
			}
		}
	}
	t.index, t.ranges = newIndex[*Service](2*singles+runs), newIndex[spans](runs)
	for _, s := range t.Services {
		for _, v := range s.listening() {
			t.list(v)
			a := v.VIP.Netip()
			t.vips = append(t.vips, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	t.answers = answersOf(t.Servers)
	slices.SortFunc(t.vips, netip.Prefix.Compare)
	t.vips = slices.Compact(t.vips)
	return t
}

// listening is the service at each of its listeners.
func (s *Service) listening() []*Service { return append([]*Service{s}, s.Beside...) }

// all lists the servers, the sorry server last.
func (s *Service) all() []*Server {
	if s.Sorry == nil {
		return s.Servers
	}
	return append(slices.Clip(s.Servers), s.Sorry)
}

// build makes one service; old is what it was before, or nil.
func build(spec *Spec, old *Service) (*Service, error) {
	s := &Service{
		Name:     spec.Name,
		VIP:      packet.AddrFrom(spec.VIP.Addr()),
		Port:     spec.VIP.Port(),
		Last:     spec.Last,
		Protocol: spec.Protocol,
		Mode:     spec.Mode,
		Tunnel:   spec.Tunnel,
		Timeouts: spec.Timeouts.withDefaults(),
		Options:  spec.Options,
	}
	s.Memory = memory(s.first())
	s.DeadServer = cmp.Or(s.DeadServer, Reset)
	s.RemovedServer = cmp.Or(s.RemovedServer, Keep)
	for _, v := range spec.Servers {
		s.Servers = append(s.Servers, s.server(v))
	}
	if spec.Sorry.IsValid() {
		s.Sorry = s.server(ServerSpec{Address: spec.Sorry, Weight: 1, Up: true})
	}
	s.inheritLoads(old)
	s.Members = s.members(spec.Flags)
	if err := s.schedule(spec.Scheduler, spec.Flags, old); err != nil {
		return nil, err
	}
	for _, l := range spec.Beside {
		s.Beside = append(s.Beside, s.at(l))
	}
	s.introduce()
	return s, nil
}

// introduce lets each server know those that are the same behind other listeners.
func (s *Service) introduce() {
	for i := range s.all() {
		var same []*Server
		for _, o := range s.listening() {
			same = append(same, o.all()[i])
		}
		for k, v := range same {
			v.Beside = slices.Concat(same[:k], same[k+1:])
		}
	}
}

// at returns the service as it is at another of its listeners.
func (s *Service) at(l Listener) *Service {
	o := *s
	o.VIP, o.Port, o.Last, o.Protocol = packet.AddrFrom(l.VIP.Addr()), l.VIP.Port(), l.Last, l.Protocol
	o.Servers, o.Members, o.Beside = nil, nil, nil
	here := make(map[*Server]*Server)
	for _, v := range s.all() {
		c := *v
		c.Service = &o
		here[v] = &c
	}
	for _, v := range s.Servers {
		o.Servers = append(o.Servers, here[v])
	}
	for _, v := range s.Members {
		o.Members = append(o.Members, here[v])
	}
	o.Sorry = here[s.Sorry]
	return &o
}

func (s *Service) server(spec ServerSpec) *Server {
	address := unmap(spec.Address)
	v := &Server{
		Name:    address.String(),
		Service: s,
		Addr:    packet.AddrFrom(address.Addr()),
		Port:    address.Port(),
		Mode:    s.Mode,
		Tunnel:  s.Tunnel,
		Weight:  spec.Weight,
		Upper:   spec.Upper,
		Lower:   spec.Lower,
		Doubted: spec.Doubted,
	}
	if spec.Mode != 0 {
		v.Mode, v.Tunnel = spec.Mode, spec.Tunnel
	}
	switch {
	case spec.Up && spec.Drain:
		v.State = Draining
	case spec.Up:
		v.State = Up
	}
	return v
}

// inheritLoads gives each server the load it had; those that are new get loads
// that lie together. To the other directors of a fleet they are as new as to us.
func (s *Service) inheritLoads(old *Service) {
	had := make(map[string]*schedule.Load)
	directors := 0
	if old != nil {
		for _, v := range old.all() {
			had[v.Name] = v.Load
			_, _, others := v.Load.Elsewhere()
			directors = max(directors, others)
		}
	}
	var fresh []*Server
	for _, v := range s.all() {
		if v.Load = had[v.Name]; v.Load == nil {
			fresh = append(fresh, v)
		}
	}
	for i, load := range schedule.NewLoads(len(fresh)) {
		fresh[i].Load = load
		load.SetElsewhere(0, 0, directors)
	}
}

// members lists the servers the scheduler gets to see.
func (s *Service) members(flags []string) (members []*Server) {
	stay := s.InhibitOnFailure || slices.ContainsFunc(flags, func(f string) bool { return strings.HasSuffix(f, "-fallback") })
	eligible := false
	for _, v := range s.Servers {
		if v.Eligible() || stay {
			members = append(members, v)
		}
		eligible = eligible || v.Eligible()
	}
	if !eligible && s.Sorry != nil {
		return []*Server{s.Sorry}
	}
	return members
}

// A recipe is what a scheduler was made from.
type recipe struct {
	name    string
	flags   []string
	members []schedule.Member
	state   *schedule.State
}

// schedule makes the scheduler, or takes over the old one if it was made from
// the same.
func (s *Service) schedule(name string, flags []string, old *Service) (err error) {
	s.made = recipe{name: name, flags: slices.Clone(flags), state: new(schedule.State)}
	for _, v := range s.Members {
		s.made.members = append(s.made.members, schedule.Member{
			Name: v.Name, Weight: v.Weight, Eligible: v.Eligible(), Load: v.Load, Upper: v.Upper, Lower: v.Lower,
		})
	}
	if old != nil {
		s.made.state = old.made.state
		if old.made.equal(&s.made) {
			s.Scheduler = old.Scheduler
			return nil
		}
	}
	s.Scheduler, err = schedule.New(name, flags, s.made.members, s.made.state)
	return err
}

func (r *recipe) equal(o *recipe) bool {
	return r.name == o.name && slices.Equal(r.flags, o.flags) && slices.Equal(r.members, o.members)
}
