package node

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"fleetlb/node/config"
)

// A Change is one edit of the services by command. It is a value: it can be sent
// to another director and applied there.
//
// Changes lie over the file in the order of their versions, those of this
// director among those of the fleet: for each key of each subject the last
// writer wins, whatever the order they arrived in.
type Change struct {
	config.Edit
	Version uint64 `json:"version"`          // nanoseconds since 1970, and never twice from one director
	Origin  string `json:"origin,omitempty"` // the director that made it for the fleet; "": for itself, by command here

	unfit error // why this director cannot do it; nil: it does
}

// fleet says whether all directors have the change.
func (c *Change) fleet() bool { return c.Origin != "" }

// same says whether two changes are of one subject.
func (c *Change) same(o *Change) bool { return c.Service == o.Service && c.Server == o.Server }

// covers says whether another change is of the same subject or of a part of it.
func (c *Change) covers(o *Change) bool {
	return c.Service == o.Service && (!c.Server.IsValid() || c.Server == o.Server)
}

func (c *Change) compare(d *Change) int {
	return cmp.Or(cmp.Compare(c.Version, d.Version), cmp.Compare(c.Origin, d.Origin))
}

// says is the change for the operator.
func (c *Change) says() string {
	says := c.String()
	if c.fleet() {
		says += " (fleet, by " + c.Origin + ")"
	}
	if c.unfit != nil {
		says += fmt.Sprintf(" (not here: %v)", c.unfit)
	}
	return says
}

// changes are in the order of their versions.
type changes []Change

// apply returns the services as the changes leave them. Those given are not
// changed.
func (cs changes) apply(services []config.Service) ([]config.Service, error) {
	if len(cs) == 0 {
		return services, nil
	}
	var names, order []string
	mine := map[string][]config.Edit{}
	defaults := map[string]string{}
	for i := range services {
		names = append(names, services[i].Name)
	}
	for _, c := range cs {
		if c.unfit != nil || c.Verb == "forget" {
			continue
		}
		if c.Service == "" {
			maps.Copy(defaults, c.Set)
			continue
		}
		if mine[c.Service] == nil {
			order = append(order, c.Service)
		}
		c.Lenient = c.fleet()
		mine[c.Service] = append(mine[c.Service], c.Edit)
	}
	all := slices.Clone(services)
	for _, name := range order {
		i := slices.Index(names, name)
		var before *config.Service
		if i >= 0 {
			before = &services[i]
		}
		after, err := config.Revise(before, mine[name], names)
		switch {
		case err != nil:
			return nil, explained(err)
		case i >= 0 && after == nil:
			all[i].Name = "" // taken away below
		case i >= 0 && deletes(mine[name]):
			all[i].Name = ""
			all = append(all, *after)
		case i >= 0:
			all[i] = *after
		case after != nil:
			all = append(all, *after)
		}
	}
	all = slices.DeleteFunc(all, func(s config.Service) bool { return s.Name == "" })
	return all, defaulted(all, defaults)
}

// deletes says whether the service itself went, if only to come back as another.
func deletes(edits []config.Edit) bool {
	return slices.ContainsFunc(edits, func(e config.Edit) bool { return e.Verb == "delete" && !e.Server.IsValid() })
}

// defaults are the timeouts of services that say nothing of theirs.
func (cs changes) defaults() map[string]string {
	all := config.DefaultTimeouts()
	for _, c := range cs {
		if c.Service == "" && c.unfit == nil && c.Verb == "edit" {
			maps.Copy(all, c.Set)
		}
	}
	return all
}

// defaulted sets timeouts in the services that have the default ones.
func defaulted(services []config.Service, set map[string]string) error {
	if len(set) == 0 {
		return nil
	}
	for i := range services {
		s := &services[i]
		edit := config.Edit{Verb: "edit", Service: s.Name, Set: s.Defaulted(set)}
		revised, err := config.Revise(s, []config.Edit{edit}, nil)
		if err != nil {
			return explained(err)
		}
		*s = *revised
	}
	return nil
}

// with returns the changes and one more, the latest, without what it overrules
// and without what makes no difference any longer, so that commands given every
// second do not add up. What the fleet has been told stays until the fleet is
// told otherwise: others may yet have to learn it.
func (cs changes) with(c Change, services []config.Service) changes {
	c.Set = maps.Clone(c.Set)
	var rest changes
	last := -1 // of the same subject
	for _, o := range cs {
		same := c.same(&o)
		overruled := !o.fleet() || c.fleet()
		switch {
		case !overruled:
		case c.Verb == "forget":
			continue
		case c.Verb == "delete" && c.covers(&o):
			continue
		case c.Verb == "add" && c.covers(&o) && !(same && o.Verb == "delete"):
			continue
		case c.Verb == "edit" && same && o.Verb != "delete":
			o.Set = maps.Clone(o.Set)
			maps.DeleteFunc(o.Set, func(key, _ string) bool { _, again := c.Set[key]; return again })
			if o.Verb == "edit" && len(o.Set) == 0 {
				continue
			}
		}
		rest = append(rest, o)
		if same {
			last = len(rest) - 1
		}
	}
	if c.fleet() {
		return append(rest, c)
	}
	if c.Verb == "forget" {
		return rest
	}
	if c.Verb == "edit" && last >= 0 && !rest[last].fleet() && rest[last].Verb != "delete" {
		// Two edits in a row are one.
		if rest[last].Verb == "add" {
			rest[last].Set = joined(rest[last].Set, c.Set, true)
			return rest
		}
		c.Set = joined(rest[last].Set, c.Set, false)
		rest = slices.Delete(rest, last, last+1)
	}
	return append(rest, c).without(services)
}

// joined is two sets in one. In an addition, a key that is taken back to its
// default need not be said.
func joined(a, b map[string]string, addition bool) map[string]string {
	all := map[string]string{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	maps.DeleteFunc(all, func(_, word string) bool { return addition && word == "" })
	return all
}

// without drops what this director's own changes of the last one's subject say to
// no effect.
func (cs changes) without(services []config.Service) changes {
	last := &cs[len(cs)-1]
	name, group := last.Service, cs.of(last.Service)
	mine := func(c Change) bool { return !c.fleet() && last.covers(&c) }
	if first := slices.IndexFunc(group, mine); first == len(group)-1 && group[first].Verb == "add" {
		return cs // something new
	}
	want, err := group.result(name, services)
	switch {
	case err != nil && last.Verb == "delete": // of what came by command
		return slices.DeleteFunc(slices.Clone(cs), mine)
	case err != nil:
		return cs
	}
	same := func(fewer changes) bool {
		got, err := fewer.result(name, services)
		return err == nil && reflect.DeepEqual(got, want)
	}
	if same(slices.DeleteFunc(slices.Clone(group), mine)) {
		return slices.DeleteFunc(slices.Clone(cs), mine)
	}
	if last.Verb != "edit" || len(last.Set) < 2 {
		return cs
	}
	for _, key := range slices.Sorted(maps.Keys(last.Set)) {
		fewer := slices.Clone(group)
		trial := &fewer[len(fewer)-1]
		trial.Set = maps.Clone(last.Set)
		delete(trial.Set, key)
		if same(fewer) {
			last.Set, group = trial.Set, fewer
		}
	}
	return cs
}

// of returns the changes of one service.
func (cs changes) of(name string) (all changes) {
	for _, c := range cs {
		if c.Service == name {
			all = append(all, c)
		}
	}
	return all
}

// result is the service of a name as the changes, all of it, leave it; nil: none.
func (cs changes) result(name string, services []config.Service) (*config.Service, error) {
	if name == "" {
		return nil, config.Absent("no service")
	}
	all, err := cs.apply(slices.DeleteFunc(slices.Clone(services), func(s config.Service) bool { return s.Name != name }))
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// fulfilled drops this director's own changes that the file says by itself now.
func (cs changes) fulfilled(services []config.Service) changes {
	done := map[string]bool{}
	single := map[string]int{}
	var names []string
	for _, c := range cs {
		single[c.Subject()]++
		if !slices.Contains(names, c.Service) {
			names = append(names, c.Service)
		}
	}
	for _, name := range names {
		group := cs.of(name)
		shared := slices.ContainsFunc(group, func(c Change) bool { return c.fleet() })
		done[name] = !shared && group.idle(services)
	}
	return slices.DeleteFunc(slices.Clone(cs), func(c Change) bool {
		return !c.fleet() && (done[c.Service] || single[c.Subject()] == 1 && changes{c}.idle(services))
	})
}

// idle says whether changes of one service leave it as it is, if what is there
// already, or gone, is taken for done.
func (cs changes) idle(services []config.Service) bool {
	var edits []config.Edit
	only := true // deletions
	for _, c := range cs {
		c.Lenient = c.Verb != "edit"
		edits = append(edits, c.Edit)
		only = only && c.Verb == "delete"
	}
	name := cs[0].Service
	var before *config.Service
	if i := slices.IndexFunc(services, func(s config.Service) bool { return s.Name == name }); i >= 0 {
		before = &services[i]
	}
	if name == "" || before == nil {
		return name != "" && only
	}
	after, err := config.Revise(before, edits, nil)
	return err == nil && after != nil && reflect.DeepEqual(before, after)
}
