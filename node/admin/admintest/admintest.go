// Package admintest has a director that exists only as far as its operator can
// tell. It forwards nothing, and takes commands as a real one would.
package admintest

import (
	"context"
	"iter"
	"net/netip"
	"slices"
	"sync"

	"fleetlb/node/admin"
)

// A Director is an [admin.Backend] made of what it shall answer. Its fields are
// set before it is used, or under its lock.
type Director struct {
	sync.Mutex

	StatusNow    admin.Status
	ServiceList  []admin.Service
	ServerList   []admin.Server
	HealthList   []admin.Health
	SessionList  []admin.Session
	NodeList     []admin.Node
	VRRPList     []admin.VRRP
	NeighborList []admin.Neighbor
	RouteList    []admin.Route
	PoolList     []admin.Pool
	DropList     []admin.Drop
	SettingList  []admin.Setting
	TrafficList  []admin.Traffic
	ConfigNow    admin.Config
	Findings     []admin.Finding
	Changes      []admin.Change // of the next reload
	Holders      []admin.KeyHolder

	PersistenceList []admin.Persistence

	// Fail, when set, is asked before anything is done: "status", "server drain".
	Fail func(what string) error
}

var _ admin.Backend = (*Director)(nil)

func (d *Director) enter(what string) (leave func(), err error) {
	d.Lock()
	if d.Fail != nil {
		err = d.Fail(what)
	}
	return d.Unlock, err
}

// read answers a noun with a copy of list.
func read[T any](d *Director, what string, list *[]T) ([]T, error) {
	leave, err := d.enter(what)
	defer leave()
	return slices.Clone(*list), err
}

func (d *Director) Status(context.Context) (admin.Status, error) {
	leave, err := d.enter("status")
	defer leave()
	return d.StatusNow, err
}

func (d *Director) Services(_ context.Context, service string) ([]admin.Service, error) {
	leave, err := d.enter("services")
	defer leave()
	if err == nil {
		err = d.known(service)
	}
	return slices.DeleteFunc(slices.Clone(d.ServiceList), func(s admin.Service) bool {
		return service != "" && s.Name != service
	}), err
}

func (d *Director) Servers(_ context.Context, service string) ([]admin.Server, error) {
	leave, err := d.enter("servers")
	defer leave()
	if err == nil {
		err = d.known(service)
	}
	return slices.DeleteFunc(slices.Clone(d.ServerList), func(s admin.Server) bool {
		return service != "" && s.Service != service
	}), err
}

func (d *Director) Health(_ context.Context, service string) ([]admin.Health, error) {
	leave, err := d.enter("health")
	defer leave()
	if err == nil {
		err = d.known(service)
	}
	return slices.DeleteFunc(slices.Clone(d.HealthList), func(h admin.Health) bool {
		return service != "" && h.Service != service
	}), err
}

// Sessions stops where its list ends, or with Fail("session") before one.
func (d *Director) Sessions(_ context.Context, f admin.SessionFilter) iter.Seq2[admin.Session, error] {
	return func(yield func(admin.Session, error) bool) {
		leave, err := d.enter("sessions")
		list, vip := d.SessionList, netip.AddrPort{}
		if err == nil {
			err = d.known(f.Service)
		}
		for _, s := range d.ServiceList {
			if s.Name == f.Service {
				vip = s.VIP
			}
		}
		leave()
		if err != nil {
			yield(admin.Session{}, err)
			return
		}
		for _, s := range list {
			leave, err := d.enter("session")
			leave()
			if err != nil {
				yield(admin.Session{}, err)
				return
			}
			if f.Match(&s) && (f.Service == "" || s.VIP == vip) && !yield(s, nil) {
				return
			}
		}
	}
}

func (d *Director) Nodes(context.Context) ([]admin.Node, error) { return read(d, "nodes", &d.NodeList) }

func (d *Director) VRRP(context.Context) ([]admin.VRRP, error) { return read(d, "vrrp", &d.VRRPList) }

func (d *Director) Neighbors(context.Context) ([]admin.Neighbor, error) {
	return read(d, "bgp neighbors", &d.NeighborList)
}

func (d *Director) Routes(context.Context) ([]admin.Route, error) {
	return read(d, "bgp routes", &d.RouteList)
}

func (d *Director) Pool(context.Context) ([]admin.Pool, error)  { return read(d, "pool", &d.PoolList) }
func (d *Director) Drops(context.Context) ([]admin.Drop, error) { return read(d, "drops", &d.DropList) }

func (d *Director) Config(context.Context) (admin.Config, error) {
	leave, err := d.enter("config")
	defer leave()
	return d.ConfigNow, err
}

func (d *Director) Doctor(context.Context) ([]admin.Finding, error) {
	return read(d, "doctor", &d.Findings)
}

func (d *Director) Settings(_ context.Context, service string) ([]admin.Setting, error) {
	leave, err := d.enter("settings")
	defer leave()
	if err == nil {
		err = d.known(service)
	}
	return slices.DeleteFunc(slices.Clone(d.SettingList), func(s admin.Setting) bool {
		return service != "" && s.Service != service
	}), err
}

func (d *Director) Traffic(_ context.Context, service string) ([]admin.Traffic, error) {
	leave, err := d.enter("traffic")
	defer leave()
	if err == nil {
		err = d.known(service)
	}
	return slices.DeleteFunc(slices.Clone(d.TrafficList), func(t admin.Traffic) bool {
		return service != "" && t.Service != service
	}), err
}

func (d *Director) Persistence(_ context.Context, service string) ([]admin.Persistence, error) {
	leave, err := d.enter("persistence")
	defer leave()
	if err == nil {
		err = d.known(service)
	}
	return slices.DeleteFunc(slices.Clone(d.PersistenceList), func(p admin.Persistence) bool {
		return service != "" && p.Service != service
	}), err
}

// Explain knows the services, and gives every connection its first server.
func (d *Director) Explain(_ context.Context, t admin.Tuple) (admin.Explanation, error) {
	leave, err := d.enter("explain")
	defer leave()
	e := admin.Explanation{Protocol: t.Protocol, Src: t.Src, Dst: t.Dst, Slot: -1, Worker: -1}
	i := slices.IndexFunc(d.ServiceList, func(s admin.Service) bool { return s.VIP == t.Dst && s.Protocol == t.Protocol })
	if i < 0 {
		e.Direction, e.Verdict = "none", "no service listens at this port of the VIP"
		e.Why = []string{t.Dst.String() + " is neither a VIP nor a local address"}
		return e, err
	}
	s := d.ServiceList[i]
	e.Direction, e.Verdict, e.Service, e.Scheduler, e.Slot, e.Worker = "inbound", "forwarded", s.Name, s.Scheduler, 87, 0
	e.Server = d.ServerList[0].Address
	e.Why = []string{"service " + s.Name + " listens at " + s.VIP.String(), s.Scheduler + " picks " + e.Server.String()}
	return e, err
}

func (d *Director) known(service string) error {
	if service == "" || slices.ContainsFunc(d.ServiceList, func(s admin.Service) bool { return s.Name == service }) {
		return nil
	}
	return admin.Errorf(admin.NotFound, "there is no service %q", service)
}

func (d *Director) DrainNode(context.Context) error   { return d.node("node drain", "draining") }
func (d *Director) UndrainNode(context.Context) error { return d.node("node undrain", "serving") }

func (d *Director) node(what, state string) error {
	leave, err := d.enter(what)
	defer leave()
	if err == nil {
		d.StatusNow.State = state
	}
	return err
}

func (d *Director) Reload(context.Context) ([]admin.Change, error) {
	leave, err := d.enter("reload")
	defer leave()
	if err != nil {
		return nil, err
	}
	changes := d.Changes
	d.Changes = nil
	return changes, nil
}
