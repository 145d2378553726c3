package config

import (
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A field is one key of a table, as its struct tag declares it.
type field struct {
	index   int
	key     string
	in      bounds
	need    bool     // the table is worthless without it
	restart bool     // a reload cannot change it
	path    bool     // names a file, seen from the directory of the file it stands in
	picks   bool     // its word decides which of the fields with only there are
	only    []string // the words with which this field exists; nil: always
	except  bool     // only lists the words with which it does not
	id      string   // entries of the list are told apart by this key
	anyPort bool     // an address and port whose port may be 0
	like    string   // what a good value looks like, where examples of its type would mislead
}

// bounds is what a value may be.
type bounds struct {
	words  []string
	ranged bool
	lo, hi int64 // integers, or nanoseconds
}

// exists reports whether the field is there when the governing word is pick. A
// word nobody knows is complained about elsewhere and forbids nothing.
func (f *field) exists(pick string) bool {
	if f.only == nil || pick == "" {
		return true
	}
	for _, w := range f.only {
		if w == pick {
			return !f.except
		}
	}
	return f.except
}

var schemas sync.Map // reflect.Type → []field

// fieldsOf returns the keys of a table, in the order of the struct.
func fieldsOf(t reflect.Type) []field {
	if fs, ok := schemas.Load(t); ok {
		return fs.([]field)
	}
	var fs []field
	for i := range t.NumField() {
		sf := t.Field(i)
		key := sf.Tag.Get("toml")
		if key == "" || key == "-" {
			continue
		}
		f := field{index: i, key: key, id: sf.Tag.Get("id"), like: sf.Tag.Get("like")}
		_, f.need = sf.Tag.Lookup("need")
		_, f.restart = sf.Tag.Lookup("restart")
		_, f.path = sf.Tag.Lookup("path")
		_, f.picks = sf.Tag.Lookup("picks")
		_, f.anyPort = sf.Tag.Lookup("anyport")
		only := sf.Tag.Get("only")
		only, f.except = strings.CutPrefix(only, "!")
		f.only = strings.Fields(only)
		if len(f.only) == 0 {
			f.only = nil
		}
		f.in = boundsOf(sf.Tag.Get("in"), sf.Type)
		fs = append(fs, f)
	}
	schemas.Store(t, fs)
	return fs
}

func boundsOf(tag string, t reflect.Type) bounds {
	lo, hi, ranged := strings.Cut(tag, "..")
	if !ranged {
		return bounds{words: strings.Fields(tag)}
	}
	number := func(s string) int64 {
		if t == reflect.TypeFor[time.Duration]() {
			d, err := time.ParseDuration(s)
			if err != nil {
				panic(err)
			}
			return int64(d)
		}
		n, err := strconv.ParseInt(s, 0, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	return bounds{ranged: true, lo: number(lo), hi: number(hi)}
}

// keysOf returns the names alone, for suggestions.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// element returns the struct a field holds one or many of, or nil.
func element(t reflect.Type) reflect.Type {
	if _, leaf := leaves[t]; leaf {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return element(t.Elem())
	case reflect.Struct:
		return t
	}
	return nil
}

// whereabouts returns the dotted paths at which the language has the key.
func whereabouts(key string) []string {
	var paths []string
	var walk func(t reflect.Type, prefix string)
	walk = func(t reflect.Type, prefix string) {
		for _, f := range fieldsOf(t) {
			if f.key == key {
				paths = append(paths, prefix+f.key)
			}
			if e := element(t.Field(f.index).Type); e != nil {
				walk(e, prefix+f.key+".")
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
	return paths
}
