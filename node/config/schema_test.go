package config

import (
	"math"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"
)

// TestLanguage holds the types to what the code that walks them takes for
// granted.
func TestLanguage(t *testing.T) {
	key := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for _, f := range fieldsOf(typ) {
			sf, name := typ.Field(f.index), dotted(path, f.key)
			base := sf.Type
			if base.Kind() == reflect.Pointer {
				base = base.Elem()
			}
			if !key.MatchString(f.key) {
				t.Errorf("%s: not a key", name)
			}
			if element(sf.Type) != nil {
				if sf.Type.Kind() == reflect.Slice && f.id == "" {
					t.Errorf("%s: entries have no id", name)
				}
				walk(element(sf.Type), name)
				continue
			}
			_, isLeaf := leaves[base]
			if base.Kind() == reflect.Slice {
				_, isLeaf = leaves[base.Elem()]
			}
			if !isLeaf && base != reflect.TypeFor[map[string]string]() {
				t.Errorf("%s: nobody reads a %v", name, sf.Type)
			}
			limits := map[reflect.Type][2]int64{
				reflect.TypeFor[int]():           {math.MinInt32, math.MaxInt32},
				reflect.TypeFor[uint16]():        {0, math.MaxUint16},
				reflect.TypeFor[uint32]():        {0, math.MaxUint32},
				reflect.TypeFor[time.Duration](): {0, math.MaxInt64},
			}
			if limit, ok := limits[base]; ok && (!f.in.ranged || f.in.lo < limit[0] || f.in.hi > limit[1] || f.in.lo > f.in.hi) {
				t.Errorf("%s: bounds %+v do not suit %v", name, f.in, base)
			}
			if f.picks && (base.Kind() != reflect.String || len(f.in.words) == 0) {
				t.Errorf("%s: picks, and is no choice of words", name)
			}
		}
	}
	walk(configType, "")
}

// TestOnlyKnowsItsWords: what "only" names is what the governing key allows.
func TestOnlyKnowsItsWords(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[Service](), reflect.TypeFor[Check](), reflect.TypeFor[Timeouts]()} {
		governing := typ
		if typ == reflect.TypeFor[Timeouts]() {
			governing = reflect.TypeFor[Service]()
		}
		i := slices.IndexFunc(fieldsOf(governing), func(f field) bool { return f.picks })
		for _, f := range fieldsOf(typ) {
			for _, w := range f.only {
				if !slices.Contains(fieldsOf(governing)[i].in.words, w) {
					t.Errorf("%v: %s: only with %q, which there is not", typ, f.key, w)
				}
			}
		}
	}
}

// TestDefaultsAreLegal: every default lies within its own bounds, and what does
// not exist for a type is zero.
func TestDefaultsAreLegal(t *testing.T) {
	values := []any{defaultConfig("f"), ptr(defaultBGP()), ptr(defaultNeighbor()), ptr(defaultGossip()), ptr(defaultServer()),
		ptr(defaultService("tcp")), ptr(defaultService("udp"))}
	for _, typ := range []string{"tcp", "http", "https", "udp", "dns", "ping", "exec", "none"} {
		values = append(values, ptr(defaultCheck(typ)))
	}
	for _, v := range values {
		legal(t, reflect.ValueOf(v).Elem(), "")
	}
}

func ptr[T any](v T) *T { return &v }

func legal(t *testing.T, v reflect.Value, pick string) {
	t.Helper()
	for _, f := range fieldsOf(v.Type()) {
		if f.picks {
			pick = v.Field(f.index).String()
		}
	}
	for _, f := range fieldsOf(v.Type()) {
		x := v.Field(f.index)
		switch {
		case !f.exists(pick) && !x.IsZero():
			t.Errorf("%v.%s: %v, and does not exist with %q", v.Type(), f.key, x, pick)
		case !f.exists(pick) || f.need || x.Kind() == reflect.Pointer:
		case x.Kind() == reflect.Struct && element(x.Type()) != nil:
			legal(t, x, pick)
		case f.in.ranged && x.CanInt() && (x.Int() < f.in.lo || x.Int() > f.in.hi),
			f.in.ranged && x.CanUint() && (int64(x.Uint()) < f.in.lo || int64(x.Uint()) > f.in.hi),
			len(f.in.words) > 0 && !slices.Contains(f.in.words, x.String()):
			t.Errorf("%v.%s: default %v is not allowed", v.Type(), f.key, x)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"rr", "wrr", "lc", "wlc", "weight", "warn", "established", "sh", "lblc", "lblcr"}
	for word, want := range map[string]string{
		"wieght": "weight", "Weight": "weight", "weigth": "weight", "weights": "weight", "weit": "weight",
		"wrrr": "wrr", "rrr": "rr", "wcl": "wlc", "warning": "warn", "estab": "established", "LC": "lc",
		"x": "", "": "", "maglev": "", "lblcrr": "lblcr", "wight of the whole": "",
	} {
		if got := nearest(word, words); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1},
		{"kitten", "sitting", 3}, {"weight", "wieght", 1}, {"ca", "abc", 3},
	} {
		if got := distance(tt.a, tt.b); got != tt.want || distance(tt.b, tt.a) != tt.want {
			t.Errorf("%q, %q: got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestDuration(t *testing.T) {
	tests := []struct {
		raw       any
		want      time.Duration
		complaint string
	}{
		{"2s", 2 * time.Second, ""},
		{"1m30s", 90 * time.Second, ""},
		{"500ms", 500 * time.Millisecond, ""},
		{"1.5h", 90 * time.Minute, ""},
		{"0s", 0, ""},
		{int64(9), 0, `9 has no unit; write "9s"`},
		{1.5, 0, `1.5 has no unit; write "1.5s"`},
		{"9", 0, `"9" is not a duration; did you mean "9s"?`},
		{"2 seconds", 0, `"2 seconds" is not a duration; did you mean "2s"?`},
		{"2min", 0, `"2min" is not a duration; did you mean "2m"?`},
		{"100 msec", 0, `"100 msec" is not a duration; did you mean "100ms"?`},
		{"3hrs", 0, `"3hrs" is not a duration; did you mean "3h"?`},
		{"1.5d", 0, `"1.5d" is not a duration; did you mean "36h"?`},
		{"soon", 0, `"soon" is not a duration; write it as "2s", "1m30s" or "500ms"`},
		{"", 0, `"" is not a duration; write it as "2s", "1m30s" or "500ms"`},
		{"99999999999h", 0, `"99999999999h" is not a duration; write it as "2s", "1m30s" or "500ms"`},
		{true, 0, wrongType},
	}
	for _, tt := range tests {
		got, complaint := readDuration(tt.raw)
		if got != tt.want || complaint != tt.complaint {
			t.Errorf("%v: got %v, %q; want %v, %q", tt.raw, got, complaint, tt.want, tt.complaint)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Second: "10s",
		time.Hour + time.Second: "1h0m1s", 20 * time.Minute: "20m", 100 * time.Hour: "100h", 1500 * time.Microsecond: "1.5ms",
	} {
		if got := durationText(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
		if back, err := time.ParseDuration(durationText(d)); err != nil || back != d {
			t.Errorf("%v: %q reads as %v, %v", d, durationText(d), back, err)
		}
	}
}
