package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
)

// Marshal writes the effective configuration as TOML: every default filled in,
// every included file's services in place, secrets as the names of the files
// that hold them. Loading what it writes gives an equal Config.
func Marshal(c *Config) []byte {
	p := &printer{}
	for _, f := range c.Files {
		fmt.Fprintf(&p.out, "# from %s\n", strings.Map(printable, f))
	}
	p.table("", reflect.ValueOf(c).Elem(), "")
	return p.out.Bytes()
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
}

type printer struct{ out bytes.Buffer }

// table writes the keys of a table, then the tables in it, as TOML wants it.
func (p *printer) table(name string, v reflect.Value, pick string) {
	fields := fieldsOf(v.Type())
	for i := range fields {
		if f := &fields[i]; f.picks {
			pick = v.Field(f.index).String()
		}
	}
	for i := range fields {
		f := &fields[i]
		if text, ok := inline(v.Field(f.index)); ok && f.exists(pick) && dotted(name, f.key) != "include" {
			fmt.Fprintf(&p.out, "%s = %s\n", f.key, text)
		}
	}
	for i := range fields {
		f := &fields[i]
		if element(v.Field(f.index).Type()) != nil && f.exists(pick) && dotted(name, f.key) != "edit" {
			p.tables(dotted(name, f.key), v.Field(f.index), pick)
		}
	}
}

func (p *printer) tables(name string, v reflect.Value, pick string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			p.tables(name, v.Elem(), pick)
		}
	case reflect.Slice:
		for i := range v.Len() {
			fmt.Fprintf(&p.out, "\n[[%s]]\n", name)
			p.table(name, v.Index(i), pick)
		}
	default:
		fmt.Fprintf(&p.out, "\n[%s]\n", name)
		p.table(name, v, pick)
	}
}

// inline returns what stands after the equals sign; not ok for what is a table
// of its own, and for what is not set and has no way to say so.
func inline(v reflect.Value) (string, bool) {
	if l, isLeaf := leaves[v.Type()]; isLeaf {
		if unset, ok := v.Interface().(interface{ IsValid() bool }); ok && !unset.IsValid() {
			return "", false
		}
		return l.toml(v.Interface()), true
	}
	if element(v.Type()) != nil {
		return "", false
	}
	var items []string
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "", false
		}
		return inline(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			text, _ := inline(v.Index(i))
			items = append(items, text)
		}
		return "[" + strings.Join(items, ", ") + "]", true
	}
	words := v.Interface().(map[string]string)
	if len(words) == 0 {
		return "{}", true
	}
	for _, k := range sortedKeys(words) {
		items = append(items, bareKey(k)+" = "+quote(words[k]))
	}
	return "{ " + strings.Join(items, ", ") + " }", true
}

func bareKey(k string) string {
	for i := range len(k) {
		if !bare(k[i]) {
			return quote(k)
		}
	}
	if k == "" {
		return quote(k)
	}
	return k
}

// quote writes a TOML basic string. (Go's escapes are not TOML's.)
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
