package config

import (
	"errors"
	"fmt"
	"reflect"
)

// A Change is one difference between two configurations, in operator words.
type Change struct {
	Where string // `service "web": server 10.3.0.11:8080`; "" for the Config itself
	Key   string // "weight"; "" when the thing itself came or went
	Old   string // "" when it came
	New   string // "" when it went
	cure  bool   // it takes a restart
}

func (c Change) String() string {
	switch {
	case c.Key != "":
		return fmt.Sprintf("%s: %s %s → %s", c.Where, c.Key, c.Old, c.New)
	case c.Old == "":
		return c.Where + " added"
	}
	return c.Where + " removed"
}

// Diff lists what a reload from old to new changes, in the order of the types
// in config.go. The order of services, and of servers within one, is no
// difference; neither is which file says what.
func Diff(old, new *Config) []Change {
	d := &differ{}
	d.table("", reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem(), "", "")
	return d.changes
}

// Reloadable says why a running director cannot go from old to new; nil when it
// can.
func Reloadable(old, new *Config) error {
	var errs []error
	for _, c := range Diff(old, new) {
		if c.cure {
			errs = append(errs, fmt.Errorf("%v: cannot change while running; restart fleetlbd", c))
		}
	}
	return errors.Join(errs...)
}

// Equal reports whether both mean the same, wherever it was written.
func (c *Config) Equal(d *Config) bool {
	if c == nil || d == nil {
		return c == d
	}
	a, b := *c, *d
	for _, each := range []*Config{&a, &b} {
		each.File, each.Files, each.Warnings, each.Include = "", nil, nil, nil
		each.Edits, each.Written = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

type differ struct{ changes []Change }

// table compares field by field. Secrets have no key: they are looked for by
// type, and their change is said without saying them.
func (d *differ) table(where string, old, new reflect.Value, oldPick, newPick string) {
	fields := fieldsOf(old.Type())
	for i := range fields {
		if f := &fields[i]; f.picks {
			oldPick, newPick = old.Field(f.index).String(), new.Field(f.index).String()
		}
	}
	for i := range fields {
		f := &fields[i]
		a, b := old.Field(f.index), new.Field(f.index)
		if where == "" && (f.key == "include" || f.key == "edit") || !f.exists(newPick) {
			continue // of what goes with the governing word, the word tells
		}
		if element(a.Type()) == nil {
			d.value(where, f, a, b, f.exists(oldPick))
			continue
		}
		d.tables(where, f, a, b, oldPick, newPick)
	}
	d.secrets(where, old, new)
}

// value compares what stands behind one key, which old may not have had.
func (d *differ) value(where string, f *field, old, new reflect.Value, had bool) {
	if had && reflect.DeepEqual(old.Interface(), new.Interface()) {
		return
	}
	was := "none"
	if had {
		was = said(old)
	}
	d.changes = append(d.changes, Change{where, f.key, was, said(new), f.restart})
}

// said is a value in operator words.
func said(v reflect.Value) string {
	text, ok := inline(v)
	if !ok {
		return "none"
	}
	if l, isLeaf := leaves[v.Type()]; isLeaf {
		return l.text(v.Interface())
	}
	return text
}

func (d *differ) secrets(where string, old, new reflect.Value) {
	for i := range old.NumField() {
		f := old.Type().Field(i)
		if f.Type != reflect.TypeFor[Secret]() && f.Type != reflect.TypeFor[[]Secret]() {
			continue
		}
		if !reflect.DeepEqual(old.Field(i).Interface(), new.Field(i).Interface()) {
			key := map[string]string{"Password": "password", "Keys": "keys"}[f.Name]
			d.changes = append(d.changes, Change{Where: where, Key: key, Old: "(secret)", New: "another"})
		}
	}
}

func (d *differ) tables(where string, f *field, old, new reflect.Value, oldPick, newPick string) {
	name := f.key
	if where != "" {
		name = where + ": " + f.key
	}
	switch old.Kind() {
	case reflect.Struct:
		d.table(name, old, new, oldPick, newPick)
	case reflect.Pointer:
		switch {
		case old.IsNil() && new.IsNil():
		case old.IsNil():
			d.changes = append(d.changes, Change{Where: name, New: "there", cure: f.restart})
		case new.IsNil():
			d.changes = append(d.changes, Change{Where: name, Old: "there", cure: f.restart})
		default:
			d.table(name, old.Elem(), new.Elem(), oldPick, newPick)
		}
	case reflect.Slice:
		d.list(name, f, old, new)
	}
}

// list compares entries that have the same id.
func (d *differ) list(name string, f *field, old, new reflect.Value) {
	olds, news := byID(f, old), byID(f, new)
	for i := range old.Len() {
		id := idOf(f, old.Index(i))
		if b, ok := news[id]; ok {
			d.table(name+" "+id, old.Index(i), b, "", "")
		} else {
			d.changes = append(d.changes, Change{Where: name + " " + id, Old: "there"})
		}
	}
	for i := range new.Len() {
		id := idOf(f, new.Index(i))
		if _, ok := olds[id]; !ok {
			d.changes = append(d.changes, Change{Where: name + " " + id, New: "there"})
		}
	}
}

func byID(f *field, list reflect.Value) map[string]reflect.Value {
	all := make(map[string]reflect.Value, list.Len())
	for i := range list.Len() {
		all[idOf(f, list.Index(i))] = list.Index(i)
	}
	return all
}

// idOf is the entry's id as operators say it: names quoted, addresses not.
func idOf(f *field, entry reflect.Value) string {
	for _, g := range fieldsOf(entry.Type()) {
		if g.key == f.id {
			v := entry.Field(g.index)
			return leaves[v.Type()].text(v.Interface())
		}
	}
	return ""
}
