package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"fleetlb/node/admin"
	"fleetlb/node/config"
)

func (b backend) AddService(_ context.Context, spec admin.ServiceSpec) error {
	s, err := config.ReadService(serviceText(&spec))
	if err != nil {
		return invalid("%v", err)
	}
	return b.edit(addService(s))
}

func (b backend) DeleteService(_ context.Context, name string) error {
	return b.edit(deleteService(name))
}

func (b backend) AddServer(_ context.Context, service string, spec admin.ServerSpec) error {
	s := config.NewServer(spec.Address)
	if spec.Weight != nil {
		s.Weight = *spec.Weight
	}
	return b.edit(addServer(service, s))
}

func (b backend) DeleteServer(_ context.Context, service string, a netip.AddrPort) error {
	return b.edit(deleteServer(service, a))
}

func (b backend) DrainServer(_ context.Context, service string, a netip.AddrPort) error {
	return b.edit(drainServer(service, a))
}

func (b backend) ReadyServer(_ context.Context, service string, a netip.AddrPort) error {
	return b.edit(readyServer(service, a))
}

func (b backend) SetWeight(_ context.Context, service string, a netip.AddrPort, weight int) error {
	return b.edit(weighServer(service, a, weight))
}

func (b backend) DrainNode(ctx context.Context) error {
	return b.do(ctx, func() error { return b.drain(true) })
}

func (b backend) UndrainNode(ctx context.Context) error {
	return b.do(ctx, func() error { return b.drain(false) })
}

func (b backend) Reload(context.Context) ([]admin.Change, error) {
	changes, err := b.reload()
	var all []admin.Change
	for _, c := range changes {
		all = append(all, admin.Change{Change: c})
	}
	return all, err
}

// serviceText writes a service as a file would have it, so that one language and
// its rules hold for both.
func serviceText(s *admin.ServiceSpec) string {
	t := table{}
	t.set("name", s.Name)
	t.set("vip", s.VIP)
	t.set("protocol", s.Protocol)
	t.set("mode", s.Mode)
	t.set("scheduler", s.Scheduler)
	t.set("quorum", s.Quorum)
	t.set("sorry_server", s.SorryServer)
	if s.Check != nil {
		t.line("check", checkTable(s.Check).inline())
	}
	var servers []string
	for _, r := range s.Servers {
		one := table{}
		one.set("address", r.Address)
		if r.Weight != nil {
			one.line("weight", fmt.Sprint(*r.Weight))
		}
		servers = append(servers, one.inline())
	}
	if servers != nil {
		t.line("server", "["+strings.Join(servers, ", ")+"]")
	}
	return strings.Join(t, "\n")
}

func checkTable(c *admin.CheckSpec) table {
	t := table{}
	t.set("type", c.Type)
	t.set("interval", c.Interval)
	t.set("timeout", c.Timeout)
	t.set("rise", c.Rise)
	t.set("fall", c.Fall)
	t.set("port", c.Port)
	t.set("method", c.Method)
	t.set("path", c.Path)
	t.set("host", c.Host)
	t.set("status", c.Status)
	t.set("expect", c.Expect)
	t.set("dns_name", c.Query)
	t.set("command", c.Command)
	return t
}

// A table is lines of TOML.
type table []string

// set writes a key unless its value is the zero one, which stands for what the
// file's default is.
func (t *table) set(key string, value any) {
	// What JSON says of strings, integers and lists of them, TOML says too.
	text, err := json.Marshal(value)
	switch string(text) {
	case `""`, `0`, `null`, `[]`:
		return
	}
	if err == nil {
		t.line(key, strings.ReplaceAll(string(text), "\x7f", `\u007f`))
	}
}

func (t *table) line(key, value string) { *t = append(*t, key+" = "+value) }

func (t table) inline() string { return "{ " + strings.Join(t, ", ") + " }" }
