package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"fleetlb/node/admin"
	"fleetlb/node/config"
)

// explained is an error of an edit, with whose fault it is.
func explained(err error) error {
	var absent config.Absent
	var present config.Present
	switch {
	case errors.As(err, &absent):
		return missing("%v", err)
	case errors.As(err, &present):
		return refused("%v", err)
	}
	return invalid("%v", err)
}

// named returns the service of a name.
func named(services []config.Service, name string) (*config.Service, error) {
	i := slices.IndexFunc(services, func(s config.Service) bool { return s.Name == name })
	if i < 0 {
		var names []string
		for i := range services {
			names = append(names, services[i].Name)
		}
		return nil, missing("there is no service %q%s", name, config.Meant(name, names))
	}
	return &services[i], nil
}

// Edit makes changes by command: all of them or none.
func (b backend) Edit(ctx context.Context, commands []admin.Edit) error {
	v, err := b.view(ctx)
	if err != nil {
		return err
	}
	var all changes
	for i := range commands {
		c, err := changeOf(&commands[i])
		switch {
		case err != nil:
			return err
		case commands[i].Fleet && b.company == nil:
			return refused("%v", errAlone)
		case commands[i].Fleet:
			c.Origin = v.config.Node.Name
		}
		all = append(all, c)
	}
	return b.change(all)
}

// changeOf reads a command. The verbs that an operator needs most often are edits
// of one key.
func changeOf(e *admin.Edit) (Change, error) {
	c := Change{Edit: config.Edit{Verb: e.Verb, Service: e.Service, Server: e.Server, Set: e.Set}}
	if c.Server.IsValid() {
		c.Server = netip.AddrPortFrom(c.Server.Addr().Unmap(), c.Server.Port())
		switch e.Verb {
		case "drain", "ready":
			c.Verb, c.Set = "edit", map[string]string{"drain": fmt.Sprint(e.Verb == "drain")}
		case "weight":
			c.Verb = "edit"
		}
	}
	switch {
	case c.Verb == "forget" && c.Subject() == "":
		return c, nil
	case c.Verb != "add" && c.Verb != "edit" && c.Verb != "delete":
		return c, invalid("%q is neither add, edit nor delete", e.Verb)
	case c.Verb == "edit" && len(c.Set) == 0:
		return c, invalid("nothing to change; say which key, such as weight=3")
	case c.Service == "" && c.Verb == "add":
		return c, invalid("a service needs a name")
	case c.Service == "" && (c.Verb != "edit" || c.Server.IsValid()):
		return c, invalid("of which service?")
	case c.Service != "":
		return c, nil
	}
	for key := range c.Set {
		if !strings.HasPrefix(key, "timeouts.") {
			return c, invalid("%s is not for all services; only their timeouts are", key)
		}
	}
	return c, nil
}

// change makes what was asked for by command the newest of all changes.
func (d *director) change(more changes) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	v, err := d.view(context.Background())
	if err != nil {
		return err
	}
	host, err := config.ThisHost()
	if err != nil {
		return err
	}
	s, err := v.settings.changed(more, host)
	if err != nil {
		return err
	}
	if err := Check(s.running); err != nil {
		return err
	}
	if _, err := s.changes.lots(); err != nil {
		return err
	}
	for i := range more {
		d.log.Info("by command: " + more[i].says())
	}
	return d.put(context.Background(), s)
}

// changed returns the settings with more changes, which the rules of the file
// must allow.
func (s *settings) changed(more changes, host config.Host) (settings, error) {
	// What is asked for must be possible now, even where the fleet will take it
	// for done.
	strict := slices.Clone(more)
	for i := range strict {
		strict[i].Origin = ""
	}
	if _, err := strict.apply(s.running.Services); err != nil {
		return settings{}, err
	}
	next := *s
	now := uint64(time.Now().UnixNano())
	for i := range more {
		s.clock = max(s.clock+1, now)
		more[i].Version = s.clock
		next.changes = next.changes.with(more[i], s.config.Services)
	}
	next.clock = s.clock
	services, err := next.changes.apply(s.config.Services)
	if err != nil {
		return settings{}, err
	}
	next.running = with(s.config, services)
	next.digest = digest(next.running)
	return next, newFaults(s.running, next.running, host)
}

// over lays the changes over a configuration and says which of them it has made
// meaningless or impossible.
func (cs changes) over(next *config.Config, host config.Host) (s settings, lost []string) {
	s = settingsOf(next)
	for _, c := range cs {
		c.unfit = nil
		s.changes = append(s.changes, c)
		s.clock = max(s.clock, c.Version)
	}
	s.changes = s.changes.fulfilled(next.Services).fitting(next, host)
	s.changes = slices.DeleteFunc(s.changes, func(c Change) bool {
		gone := c.unfit != nil && !c.fleet()
		if gone {
			lost = append(lost, fmt.Sprintf("forgotten what was changed by command: %s (%v)", c.String(), c.unfit))
		}
		return gone
	})
	services, _ := s.changes.apply(next.Services) // it fits
	s.running = with(next, services)
	s.digest = digest(s.running)
	return s, lost
}

// fitting marks the changes that a configuration does not allow. It looks at
// them by service: the parts of one need each other.
func (cs changes) fitting(base *config.Config, host config.Host) changes {
	f := fitter{base, host, nil}
	var groups []changes
	for i, c := range cs {
		if first := slices.IndexFunc(cs, func(o Change) bool { return o.Service == c.Service }); first == i {
			groups = append(groups, cs.of(c.Service))
		}
	}
	f.admit(groups)
	return f.have
}

// A fitter admits what the rules of the file allow.
type fitter struct {
	base *config.Config
	host config.Host
	have changes
}

// why says what keeps more from being admitted.
func (f *fitter) why(more changes) error {
	services, err := slices.Concat(f.have, more).apply(f.base.Services)
	if err != nil {
		return err
	}
	return newFaults(f.base, with(f.base, services), f.host)
}

// admit takes as many groups at once as it can: each look costs as much as
// loading the file.
func (f *fitter) admit(groups []changes) {
	switch all := slices.Concat(groups...); {
	case len(all) == 0:
	case f.why(all) == nil:
		f.have = append(f.have, all...)
	case len(groups) == 1:
		f.single(all)
	default:
		f.admit(groups[:len(groups)/2])
		f.admit(groups[len(groups)/2:])
	}
}

// single leaves out one change of a group if that is all it takes, or else each
// that does not fit behind those before it.
func (f *fitter) single(group changes) {
	for i := range group {
		why := f.why(group[:i+1])
		if i < len(group)-1 && why != nil && f.why(slices.Delete(slices.Clone(group), i, i+1)) == nil {
			group[i].unfit = why
			f.have = append(f.have, group...)
			return
		}
	}
	for _, c := range group {
		c.unfit = f.why(changes{c})
		f.have = append(f.have, c)
	}
}

// newFaults is what is wrong with one configuration and was not wrong with the
// other already, as when a host has been given a VIP's address since.
func newFaults(old, new *config.Config, host config.Host) error {
	var faults config.Errors
	if !errors.As(new.Verify(host), &faults) {
		return nil
	}
	var before config.Errors
	errors.As(old.Verify(host), &before)
	faults = slices.DeleteFunc(faults, func(e config.Error) bool {
		return slices.ContainsFunc(before, func(b config.Error) bool { return b.Text == e.Text })
	})
	if len(faults) == 0 {
		return nil
	}
	return faults
}
