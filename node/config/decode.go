package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

var configType = reflect.TypeFor[Config]()

// A scope says where in the configuration a value is, in the words of errors.
type scope struct {
	noun string // `service "web": server 2`
	path string // `service.server.check`: the same for all services
	sub  string // tables entered since the noun, dotted: `check`
}

func (s scope) prefix() string {
	switch {
	case s.noun == "" && s.sub == "":
		return ""
	case s.noun == "":
		return s.sub + ": "
	case s.sub == "":
		return s.noun + ": "
	}
	return s.noun + ": " + s.sub + ": "
}

func dotted(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

// complain is fault with the scope's nouns before it.
func (l *loader) complain(s scope, p *place, format string, args ...any) {
	l.fault(p, "%s%s", s.prefix(), fmt.Sprintf(format, args...))
}

// decode fills into, which holds the defaults, from a table. pick is the word
// that governs which keys exist here.
func (l *loader) decode(s scope, p *place, raw map[string]any, into reflect.Value, pick string) {
	fields := fieldsOf(into.Type())
	for i := range fields {
		if f := &fields[i]; f.picks {
			pick = picked(f, raw, into)
		}
	}
	for _, key := range sortedKeys(raw) {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.key == key }) {
			l.unknown(s, into.Type(), p.at(key), key)
		}
	}
	for i := range fields {
		f := &fields[i]
		value, said := raw[f.key]
		switch {
		case !said && f.need:
			l.complain(s, p, "%s is missing", f.key)
		case !said:
		case !f.exists(pick):
			l.misplaced(s, p, f, raw, pick, into.Type())
		default:
			l.field(s, p.at(f.key), f, value, into.Field(f.index), pick)
		}
	}
}

// picked is the word of the governing field: what the file says, if that is one
// of the words there are, or the default.
func picked(f *field, raw map[string]any, into reflect.Value) string {
	said, ok := raw[f.key]
	if !ok {
		return into.Field(f.index).String()
	}
	if w, ok := said.(string); ok && slices.Contains(f.in.words, w) {
		return w
	}
	return "" // wrong: complained about when it is decoded
}

// misplaced complains about a key that only another type of the table has.
func (l *loader) misplaced(s scope, p *place, f *field, raw map[string]any, pick string, t reflect.Type) {
	child := p.at(f.key)
	if f.except {
		l.complain(s, child, "%s is not for %s", f.key, list(f.only, "or"))
		return
	}
	hint := ""
	for _, g := range fieldsOf(t) {
		if _, said := raw[g.key]; g.picks && !said {
			hint = fmt.Sprintf("; did you mean %s = %q?", g.key, f.only[0])
		}
	}
	l.complain(s, child, "%s is for %s, not for %s%s", f.key, list(f.only, "and"), pick, hint)
}

// unknown complains about a key that the table does not have.
func (l *loader) unknown(s scope, t reflect.Type, p *place, key string) {
	full := dotted(s.sub, key)
	hint := ""
	if w := nearest(key, keysOf(t)); w != "" {
		hint = fmt.Sprintf("; did you mean %q?", dotted(s.sub, w))
	} else if at := whereabouts(key); slices.Contains(at, key) {
		hint = fmt.Sprintf("; %q stands at the top of the file, before the first [table]", key)
	} else if len(at) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", at[0])
	}
	noun := ""
	if s.noun != "" {
		noun = s.noun + ": "
	}
	l.fault(p, "%sunknown key %s%s", noun, show(full), hint)
}

// field decodes one value into its field.
func (l *loader) field(s scope, p *place, f *field, raw any, into reflect.Value, pick string) {
	t := into.Type()
	if _, isLeaf := leaves[t]; isLeaf {
		l.leaf(s, p, f, raw, into)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		if _, isLeaf := leaves[t.Elem()]; isLeaf {
			v := reflect.New(t.Elem())
			l.leaf(s, p, f, raw, v.Elem())
			into.Set(v)
			return
		}
		v := reflect.New(t.Elem())
		l.sub(s, p, f, raw, v.Elem(), pick)
		into.Set(v)
	case reflect.Struct:
		l.sub(s, p, f, raw, into, pick)
	case reflect.Map:
		l.words(s, p, f, raw, into)
	case reflect.Slice:
		if element(t) != nil {
			l.tables(s, p, f, raw, into, pick)
		} else {
			l.list(s, p, f, raw, into)
		}
	}
}

// leaf decodes a single value and holds it to its bounds.
func (l *loader) leaf(s scope, p *place, f *field, raw any, into reflect.Value) {
	kindOf := leaves[into.Type()]
	v, complaint := kindOf.read(raw)
	if a, ok := v.(netip.AddrPort); ok && complaint == "" && a.Port() == 0 && !f.anyPort {
		complaint = "port 0 is not between 1 and 65535"
	}
	switch {
	case complaint != "" && f.key == "address" && strings.HasPrefix(complaint, "port "):
		l.complain(s, p, "%s", complaint)
		return
	case complaint != "":
		l.complain(s, p, "%s %s", f.key, kindOf.says(complaint, raw, f.like))
		return
	}
	if complaint = f.in.refuse(raw, v); complaint != "" {
		l.complain(s, p, "%s %s", f.key, complaint)
		return
	}
	if name, ok := v.(string); ok && f.path && name != "" {
		v = l.fromFile(p, name)
	}
	into.Set(reflect.ValueOf(v))
}

// refuse says why the value is out of bounds; "" when it is not.
func (b bounds) refuse(raw, v any) string {
	if b.ranged {
		if d, ok := v.(time.Duration); ok {
			if int64(d) < b.lo || int64(d) > b.hi {
				return fmt.Sprintf("%s is not between %s and %s", durationText(d),
					durationText(time.Duration(b.lo)), durationText(time.Duration(b.hi)))
			}
			return ""
		}
		if n := raw.(int64); n < b.lo || n > b.hi {
			return fmt.Sprintf("%d is not between %d and %d", n, b.lo, b.hi)
		}
		return ""
	}
	if w, ok := v.(string); ok && len(b.words) > 0 && !slices.Contains(b.words, w) {
		return show(w) + " is not " + list(b.words, "or") + meant(w, b.words)
	}
	return ""
}

// fromFile makes a file name absolute, seen from the file that names it.
func (l *loader) fromFile(p *place, name string) string {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(p.file), name)
	}
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	return name
}

// sub decodes a table within a table.
func (l *loader) sub(s scope, p *place, f *field, raw any, into reflect.Value, pick string) {
	table, ok := raw.(map[string]any)
	if !ok {
		l.complain(s, p, "%s wants a table, not %s", f.key, kind(raw))
		return
	}
	l.fresh(into, table)
	l.decode(scope{s.noun, dotted(s.path, f.key), dotted(s.sub, f.key)}, p, table, into, pick)
}

// tables decodes a list of tables.
func (l *loader) tables(s scope, p *place, f *field, raw any, into reflect.Value, pick string) {
	all, ok := tables(raw)
	if !ok {
		l.complain(s, p, "%s wants [[%s]] tables, not %s", f.key, dotted(s.path, f.key), kind(raw))
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(all), len(all)))
	for i, table := range all {
		v := into.Index(i)
		l.fresh(v, table)
		inner := scope{noun: s.prefix() + called(f, table, i), path: dotted(s.path, f.key)}
		l.decode(inner, p.item(i), table, v, pick)
	}
	if len(all) == 0 {
		into.SetZero()
	}
}

// called names an entry of a list: by what the operator calls it, or else by
// its number.
func called(f *field, table map[string]any, i int) string {
	for _, key := range []string{"name", "address"} {
		if w, ok := table[key].(string); ok && w != "" && f.key != "server" {
			if key == "name" {
				w = show(w)
			} else if _, complaint := readAddr(w); complaint != "" {
				break
			}
			return f.key + " " + w
		}
	}
	return f.key + " " + strconv.Itoa(i+1)
}

// list decodes a list of leaves.
func (l *loader) list(s scope, p *place, f *field, raw any, into reflect.Value) {
	items, ok := raw.([]any)
	if !ok {
		hint := ""
		if _, complaint := leaves[into.Type().Elem()].read(raw); complaint == "" {
			hint = "; write [" + show(raw) + "]"
		}
		l.complain(s, p, "%s wants a list, not %s%s", f.key, kind(raw), hint)
		return
	}
	if len(items) == 0 {
		into.SetZero()
		return
	}
	out := reflect.MakeSlice(into.Type(), len(items), len(items))
	for i, item := range items {
		at := p.item(i)
		l.leaf(s, at, f, item, out.Index(i))
		if at.bad {
			p.bad = true
		}
	}
	into.Set(out)
}

// words decodes a table whose keys the operator chooses.
func (l *loader) words(s scope, p *place, f *field, raw any, into reflect.Value) {
	table, ok := raw.(map[string]any)
	if !ok {
		l.complain(s, p, "%s wants a table, not %s", f.key, kind(raw))
		return
	}
	words := make(map[string]string, len(table))
	for _, key := range sortedKeys(table) {
		w, ok := table[key].(string)
		if !ok {
			l.complain(s, p.at(key), "%s: %s wants a string, not %s", f.key, key, kind(table[key]))
			p.bad = true
		}
		words[key] = w
	}
	if len(words) == 0 {
		words = nil
	}
	into.Set(reflect.ValueOf(words))
}

// fresh puts the defaults into a table about to be decoded.
func (l *loader) fresh(into reflect.Value, table map[string]any) {
	word := func(key, otherwise string) string {
		if w, ok := table[key].(string); ok {
			return w
		}
		return otherwise
	}
	switch v := into.Addr().Interface().(type) {
	case *BGP:
		*v = defaultBGP()
	case *Neighbor:
		*v = defaultNeighbor()
	case *Gossip:
		*v = defaultGossip()
	case *VRRP:
		*v = defaultVRRP()
	case *Service:
		*v = defaultService(word("protocol", "tcp"))
		l.check = &v.Check
	case *Server:
		*v = defaultServer()
	case *Check:
		switch {
		case v == l.check: // the service's own
			*v = defaultCheck(word("type", v.Type))
		case l.check != nil: // a server's: begins as the service's, decoded before
			*v = l.check.overriding(word("type", l.check.Type), table)
		}
	}
}
