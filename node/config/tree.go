package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A tree is a table as a file would write it: what stands behind each key, and
// the tables below.
type tree struct {
	keys   map[string]string // as written behind the equals sign
	tables map[string]*tree
	list   []*tree // of a service: its servers
}

func newTree() *tree { return &tree{keys: map[string]string{}, tables: map[string]*tree{}} }

// treeOf writes a table with every default filled in.
func treeOf(v reflect.Value, pick string) *tree {
	t, fields := newTree(), fieldsOf(v.Type())
	pick = pickOf(fields, v, pick)
	for i := range fields {
		f := &fields[i]
		below := v.Field(f.index)
		if !f.exists(pick) {
			continue
		}
		if text, ok := inline(below); ok {
			t.keys[f.key] = text
			continue
		}
		if below.Kind() == reflect.Pointer {
			below = below.Elem() // invalid where it was nil
		}
		switch {
		case !below.IsValid() || element(below.Type()) == nil:
		case below.Kind() == reflect.Slice:
			for j := range below.Len() {
				t.list = append(t.list, treeOf(below.Index(j), pick))
			}
		default:
			t.tables[f.key] = treeOf(below, pick)
		}
	}
	return t
}

func pickOf(fields []field, v reflect.Value, pick string) string {
	for i := range fields {
		if f := &fields[i]; f.picks {
			pick = v.Field(f.index).String()
		}
	}
	return pick
}

// serviceTree writes a service. A server's own check says only what the service's
// does not, so that it follows what is changed there.
func serviceTree(s *Service) *tree {
	t := treeOf(reflect.ValueOf(s).Elem(), "")
	for i := range s.Servers {
		own := s.Servers[i].Check
		if own == nil {
			continue
		}
		check := t.list[i].tables["check"]
		begins := s.Check.overriding(own.Type, nil)
		for key, text := range treeOf(reflect.ValueOf(&begins).Elem(), "").keys {
			if check.keys[key] == text && (key != "type" || own.Type == s.Check.Type) {
				delete(check.keys, key)
			}
		}
	}
	return t
}

// set puts what was said of a dotted key where it belongs, or takes it away when
// nothing was. A key that the language does not have stays one, for the decoder
// to complain about.
func (t *tree) set(of reflect.Type, path, word string) error {
	key, rest, deeper := strings.Cut(path, ".")
	var here *field
	for i, f := range fieldsOf(of) {
		if f.key == key {
			here = &fieldsOf(of)[i]
		}
	}
	if deeper {
		switch {
		case here == nil:
			key, rest = path, "" // unknown as a whole
		case here.id != "":
			return fmt.Errorf("%s is a list of tables; each is added and edited by itself", key)
		case element(of.Field(here.index).Type) == nil:
			return fmt.Errorf("%s is no table: it has no %s", key, rest)
		default:
			if t.tables[key] == nil {
				t.tables[key] = newTree()
			}
			return t.tables[key].set(element(of.Field(here.index).Type), rest, word)
		}
	}
	if word == "" {
		delete(t.keys, key)
		delete(t.tables, key)
		return nil
	}
	text := quote(word)
	if here != nil {
		if e := element(of.Field(here.index).Type); e != nil && here.id == "" {
			return fmt.Errorf("%s is a table; say which of its keys, such as %s.%s", key, key, keysOf(e)[0])
		} else if e != nil {
			return fmt.Errorf("%s is a list of tables; each is added and edited by itself", key)
		}
		var err error
		if text, err = literal(of.Field(here.index).Type, word); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	t.keys[key] = text
	return nil
}

// literal is how a file would write what a command says in one word. Lists are
// said with commas, or as a file has them.
func literal(t reflect.Type, word string) (string, error) {
	if _, isLeaf := leaves[t]; isLeaf {
		switch t.Kind() {
		case reflect.Bool:
			if word == "true" || word == "false" {
				return word, nil
			}
		case reflect.Int, reflect.Uint16, reflect.Uint32:
			if n, err := strconv.ParseInt(word, 10, 64); err == nil {
				return strconv.FormatInt(n, 10), nil
			}
		}
		return quote(word), nil
	}
	switch {
	case t.Kind() == reflect.Pointer && element(t) == nil:
		return literal(t.Elem(), word)
	case word[0] == '[' && t.Kind() == reflect.Slice, word[0] == '{' && t.Kind() == reflect.Map:
		raw, err := decodeTOML("it = " + word)
		if err != nil || len(raw) != 1 || strings.ContainsAny(word, "\r\n") {
			return "", fmt.Errorf("%s is not what a file could say", show(word))
		}
		return word, nil
	case t.Kind() == reflect.Slice && element(t) == nil:
		var items []string
		for item := range strings.SplitSeq(word, ",") {
			text, err := literal(t.Elem(), strings.TrimSpace(item))
			if err != nil {
				return "", err
			}
			items = append(items, text)
		}
		return "[" + strings.Join(items, ", ") + "]", nil
	}
	return quote(word), nil
}

// prune takes away what does not go with the governing words any longer, unless
// it has just been said: then somebody shall hear of it.
func (t *tree) prune(of reflect.Type, prefix, pick string, said map[string]string) {
	fields := fieldsOf(of)
	for i := range fields {
		if text, ok := t.keys[fields[i].key]; ok && fields[i].picks {
			pick, _ = strconv.Unquote(text)
		}
	}
	for i := range fields {
		f := &fields[i]
		path := dotted(prefix, f.key)
		if _, kept := said[path]; !f.exists(pick) && !kept {
			delete(t.keys, f.key)
		}
		below := t.tables[f.key]
		if below != nil && element(of.Field(f.index).Type) != nil {
			below.prune(element(of.Field(f.index).Type), path, pick, said)
		}
	}
}

// print writes a tree as the table of a name.
func (t *tree) print(b *strings.Builder, name string) {
	for _, key := range sortedKeys(t.keys) {
		fmt.Fprintf(b, "%s = %s\n", bareKey(key), t.keys[key])
	}
	for _, key := range sortedKeys(t.tables) {
		fmt.Fprintf(b, "[%s.%s]\n", name, bareKey(key))
		t.tables[key].print(b, name+"."+bareKey(key))
	}
	for _, item := range t.list {
		fmt.Fprintf(b, "[[%s.server]]\n", name)
		item.print(b, name+".server")
	}
}

// words is the opposite of set: every key by its path, as a command would say it.
func (t *tree) words(prefix string, into map[string]string) {
	for key, text := range t.keys {
		into[dotted(prefix, key)] = wordOf(text)
	}
	for key, below := range t.tables {
		below.words(dotted(prefix, key), into)
	}
}

// wordOf is the opposite of literal.
func wordOf(text string) string {
	if inner, ok := strings.CutPrefix(text, `"`); ok && strings.Count(text, `"`) == 2 && !strings.Contains(text, `\`) {
		return strings.TrimSuffix(inner, `"`)
	}
	if strings.Trim(text, "0123456789") == "" || text == "true" || text == "false" {
		return text
	}
	raw, err := decodeTOML("it = " + text)
	if err != nil {
		return text
	}
	switch v := raw["it"].(type) {
	case string:
		return v
	case []any:
		var items []string
		for _, item := range v {
			s, isString := item.(string)
			if isString && (s == "" || strings.ContainsAny(s, `,[]"`) || strings.TrimSpace(s) != s) {
				return text
			}
			if !isString {
				s = fmt.Sprint(item)
			}
			items = append(items, s)
		}
		return strings.Join(items, ",")
	case map[string]any:
		if len(v) == 0 {
			return ""
		}
	}
	return text
}

// indexOf finds the server of an address.
func (t *tree) indexOf(address string) int {
	return slices.IndexFunc(t.list, func(s *tree) bool { return s.keys["address"] == address })
}
