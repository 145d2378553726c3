package admintest

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"fleetlb/node/admin"
)

// Edit does as it is told with hardly a look at what it is told.
func (d *Director) Edit(_ context.Context, edits []admin.Edit) error {
	for _, e := range edits {
		noun := "service " + e.Verb
		switch {
		case e.Verb == "forget":
			noun = "config revert"
		case e.Server.IsValid():
			noun = "server " + e.Verb
		}
		if err := d.one(noun, &e); err != nil {
			return err
		}
	}
	return nil
}

func (d *Director) one(what string, e *admin.Edit) error {
	leave, err := d.enter(what)
	defer leave()
	switch {
	case err != nil:
		return err
	case e.Verb == "forget":
		d.ConfigNow.Runtime, d.ConfigNow.Running = nil, d.ConfigNow.Digest
		return nil
	case e.Fleet:
		return admin.Errorf(admin.Refused, "there is no fleet here to tell")
	case e.Server.IsValid():
		return d.server(e)
	case e.Service == "":
		for i := range d.SettingList {
			if d.SettingList[i].Service == "" {
				d.SettingList[i].Set = merged(d.SettingList[i].Set, e.Set)
			}
		}
		return nil
	case e.Verb == "add":
		return d.addService(e)
	}
	if err := d.known(e.Service); err != nil {
		return err
	}
	if e.Verb == "edit" {
		d.set(e, nil)
		return nil
	}
	d.ServiceList = slices.DeleteFunc(d.ServiceList, func(s admin.Service) bool { return s.Name == e.Service })
	d.ServerList = slices.DeleteFunc(d.ServerList, func(s admin.Server) bool { return s.Service == e.Service })
	d.SettingList = slices.DeleteFunc(d.SettingList, func(s admin.Setting) bool { return s.Service == e.Service })
	d.TrafficList = slices.DeleteFunc(d.TrafficList, func(s admin.Traffic) bool { return s.Service == e.Service })
	return nil
}

func (d *Director) addService(e *admin.Edit) error {
	if d.known(e.Service) == nil {
		return admin.Errorf(admin.Refused, "there is a service %q already", e.Service)
	}
	vip, err := netip.ParseAddrPort(e.Set["vip"])
	if err != nil {
		return admin.Errorf(admin.Invalid, "service %q: vip is missing", e.Service)
	}
	quorum, _ := strconv.Atoi(e.Set["quorum"])
	d.ServiceList = append(d.ServiceList, admin.Service{
		Name: e.Service, VIP: vip, Protocol: e.Set["protocol"], Mode: e.Set["mode"], Scheduler: e.Set["scheduler"],
		Quorum: quorum, State: "down",
	})
	d.set(e, map[string]string{"protocol": "tcp", "mode": "fullnat", "scheduler": "wrr"})
	return nil
}

// set keeps what is said of a service or a server.
func (d *Director) set(e *admin.Edit, defaults map[string]string) {
	i := slices.IndexFunc(d.SettingList, func(s admin.Setting) bool { return s.Service == e.Service && s.Server == e.Server })
	if i < 0 {
		d.SettingList = append(d.SettingList, admin.Setting{Service: e.Service, Server: e.Server, Set: defaults})
		i = len(d.SettingList) - 1
	}
	d.SettingList[i].Set = merged(d.SettingList[i].Set, e.Set)
}

func merged(a, b map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}

func (d *Director) server(e *admin.Edit) error {
	if err := d.known(e.Service); err != nil {
		return err
	}
	i := slices.IndexFunc(d.ServerList, func(s admin.Server) bool { return s.Service == e.Service && s.Address == e.Server })
	switch {
	case i >= 0 && e.Verb == "add":
		return admin.Errorf(admin.Refused, "service %q has server %v already", e.Service, e.Server)
	case i < 0 && e.Verb != "add":
		return admin.Errorf(admin.NotFound, "service %q has no server %v", e.Service, e.Server)
	case e.Verb == "delete":
		d.ServerList = slices.Delete(d.ServerList, i, i+1)
		d.SettingList = slices.DeleteFunc(d.SettingList, func(s admin.Setting) bool { return s.Service == e.Service && s.Server == e.Server })
		return nil
	case e.Verb == "add":
		i = len(d.ServerList)
		d.ServerList = append(d.ServerList, admin.Server{Service: e.Service, Mode: "fullnat", Address: e.Server, Weight: 1, State: "down"})
		j := slices.IndexFunc(d.ServiceList, func(s admin.Service) bool { return s.Name == e.Service })
		d.ServiceList[j].Servers++
	}
	switch s := &d.ServerList[i]; e.Verb {
	case "drain":
		s.State = "draining"
	case "ready":
		s.State = "up"
	default:
		s.Weight, _ = strconv.Atoi(cmp.Or(e.Set["weight"], strconv.Itoa(s.Weight)))
		d.set(e, map[string]string{"weight": "1"})
	}
	return nil
}

// Zero forgets what was counted.
func (d *Director) Zero(_ context.Context, service string) error {
	leave, err := d.enter("traffic zero")
	defer leave()
	if err == nil {
		err = d.known(service)
	}
	for i := range d.TrafficList {
		if t := &d.TrafficList[i]; err == nil && (service == "" || t.Service == service) {
			*t = admin.Traffic{Service: t.Service, Server: t.Server, Active: t.Active, Inactive: t.Inactive, Persistent: t.Persistent}
		}
	}
	return err
}

func (d *Director) Save(context.Context) (string, error) {
	leave, err := d.enter("config save")
	defer leave()
	return "/etc/fleetlb/services/fleetlb-saved.toml", err
}
