package node

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"fleetlb/node/config"
)

// An edit is one change by command to the services of the file.
type edit struct {
	subject string // "web", or "web/10.3.0.11:8080"
	says    string // for the operator: "server web 10.3.0.11:8080: weight 3"
	change  func([]config.Service) ([]config.Service, error)
}

// about says whether an edit is of the subject or of a part of it.
func (e edit) about(subject string) bool {
	return e.subject == subject || strings.HasPrefix(e.subject, subject+"/")
}

// edits are applied in order.
type edits []edit

// apply returns the services as the edits leave them. Those given are not
// changed.
func (es edits) apply(services []config.Service) ([]config.Service, error) {
	services = slices.Clone(services)
	for i := range services {
		services[i].Servers = slices.Clone(services[i].Servers)
	}
	for _, e := range es {
		changed, err := e.change(services)
		if err != nil {
			return nil, err
		}
		services = changed
	}
	return services, nil
}

// with returns the edits and one more, without those that make no difference
// any longer: what was undone is forgotten, so that commands given every second
// do not add up. It fails if the last edit does.
func (es edits) with(e edit, services []config.Service) (edits, error) {
	all := append(slices.Clip(es), e)
	want, err := all.apply(services)
	if err != nil {
		return nil, err
	}
	rest := slices.DeleteFunc(slices.Clone(es), func(old edit) bool { return old.about(e.subject) })
	for _, fewer := range []edits{rest, append(slices.Clip(rest), e)} {
		if fewer.make(want, services) {
			return fewer, nil
		}
	}
	return all.needed(services), nil
}

// make says whether the edits turn services into want.
func (es edits) make(want, services []config.Service) bool {
	got, err := es.apply(services)
	return err == nil && reflect.DeepEqual(got, want)
}

// needed returns the edits without each that makes no difference.
func (es edits) needed(services []config.Service) edits {
	want, err := es.apply(services)
	if err != nil {
		return es
	}
	for i := 0; i < len(es); {
		if fewer := slices.Delete(slices.Clone(es), i, i+1); fewer.make(want, services) {
			es = fewer
		} else {
			i++
		}
	}
	return es
}

// named returns the service of a name.
func named(services []config.Service, name string) (*config.Service, error) {
	i := slices.IndexFunc(services, func(s config.Service) bool { return s.Name == name })
	if i < 0 {
		return nil, missing("there is no service %q", name)
	}
	return &services[i], nil
}

// addressed returns the position of the server of an address.
func addressed(s *config.Service, a netip.AddrPort) (int, error) {
	i := slices.IndexFunc(s.Servers, func(r config.Server) bool { return r.Address == a })
	if i < 0 {
		return 0, missing("service %q has no server %s", s.Name, a)
	}
	return i, nil
}

// ofServer is an edit of the list of servers that a service has.
func ofServer(service string, a netip.AddrPort, says string, change func(*config.Service) error) edit {
	return edit{
		subject: service + "/" + a.String(),
		says:    fmt.Sprintf("server %s %s: %s", service, a, says),
		change: func(services []config.Service) ([]config.Service, error) {
			s, err := named(services, service)
			if err != nil {
				return nil, err
			}
			return services, change(s)
		},
	}
}

// ofListed is an edit of one server that is listed.
func ofListed(service string, a netip.AddrPort, says string, change func(*config.Server)) edit {
	return ofServer(service, a, says, func(s *config.Service) error {
		i, err := addressed(s, a)
		if err == nil {
			change(&s.Servers[i])
		}
		return err
	})
}

func drainServer(service string, a netip.AddrPort) edit {
	return ofListed(service, a, "drain", func(r *config.Server) { r.Drain = true })
}

func readyServer(service string, a netip.AddrPort) edit {
	return ofListed(service, a, "ready", func(r *config.Server) { r.Drain = false })
}

func weighServer(service string, a netip.AddrPort, weight int) edit {
	return ofListed(service, a, fmt.Sprintf("weight %d", weight), func(r *config.Server) { r.Weight = weight })
}

func addServer(service string, server config.Server) edit {
	return ofServer(service, server.Address, "add", func(s *config.Service) error {
		if _, err := addressed(s, server.Address); err == nil {
			return refused("service %q has server %s already", service, server.Address)
		}
		s.Servers = append(s.Servers, server)
		return nil
	})
}

func deleteServer(service string, a netip.AddrPort) edit {
	return ofServer(service, a, "delete", func(s *config.Service) error {
		i, err := addressed(s, a)
		if err == nil {
			s.Servers = slices.Delete(s.Servers, i, i+1)
		}
		return err
	})
}

func addService(service config.Service) edit {
	return edit{
		subject: service.Name,
		says:    fmt.Sprintf("service %s: add %s/%s", service.Name, service.VIP, service.Protocol),
		change: func(services []config.Service) ([]config.Service, error) {
			if _, err := named(services, service.Name); err == nil {
				return nil, refused("there is a service %q already", service.Name)
			}
			added := service
			added.Servers = slices.Clone(service.Servers)
			return append(services, added), nil
		},
	}
}

func deleteService(name string) edit {
	return edit{
		subject: name,
		says:    fmt.Sprintf("service %s: delete", name),
		change: func(services []config.Service) ([]config.Service, error) {
			if _, err := named(services, name); err != nil {
				return nil, err
			}
			return slices.DeleteFunc(services, func(s config.Service) bool { return s.Name == name }), nil
		},
	}
}
