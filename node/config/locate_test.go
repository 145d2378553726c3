package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestLocate(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"keys and tables",
			"a = 1\n\n[b]\nc = 2 # x\n[b.d]\n  e = 3\n",
			"a:1 b:3 b.c:4 b.d:5 b.d.e:6"},
		{"a table made by the one below it, then by itself",
			"[a.b]\nc = 1\n[a]\nd = 2\n",
			"a:3 a.b:1 a.b.c:2 a.d:4"},
		{"arrays of tables, and tables of the last one",
			"[[s]]\nn = 1\n[[s.v]]\nx = 1\n[[s.v]]\nx = 2\n[[s]]\n[s.c]\ny = 3\n",
			"s:1 s[0]:1 s[0].n:2 s[0].v:3 s[0].v[0]:3 s[0].v[0].x:4 s[0].v[1]:5 s[0].v[1].x:6 s[1]:7 s[1].c:8 s[1].c.y:9"},
		{"dotted and quoted keys",
			"a . \"b.c\" = 1\n'd e'.f = 2\n\"\\u00e9\" = 3\n",
			"a:1 a.b.c:1 d e:2 d e.f:2 é:3"},
		{"quoted and spaced headers",
			"[ a . 'b' ]\nc = 1\n[[ \"x y\" ]]\n",
			"a:1 a.b:1 a.b.c:2 x y:3 x y[0]:3"},
		{"lists over several lines",
			"a = [\n  1, # [\n  2,\n\n  [3,\n4],\n]\nb = 1\n",
			"a:1 a[0]:2 a[1]:3 a[2]:5 a[2][0]:5 a[2][1]:6 b:8"},
		{"inline tables",
			"a = { b = 1, c.d = [ { e = 2 } ] }\nf = {}\n",
			"a:1 a.b:1 a.c:1 a.c.d:1 a.c.d[0]:1 a.c.d[0].e:1 f:2"},
		{"inline tables over several lines, as TOML 1.1 has them",
			"a = {\n b = 1, # }\n c = 2,\n}\nd = 1\n",
			"a:1 a.b:2 a.c:3 d:5"},
		{"strings that look like TOML",
			"a = \"[x]\\\"\\n\"\nb = '[y] # \\'\nc = \"\"\"\n[z]\nq = 1 \\\"\"\"\\\n\"\"\"\"\"\nd = '''\n''a'''''\ne = 1\n",
			"a:1 b:2 c:3 d:7 e:9"},
		{"windows line ends", "a = 1\r\n[b]\r\nc = [\r\n1]\r\n", "a:1 b:2 b.c:3 b.c[0]:4"},
		{"dates, floats and words", "a = 1979-05-27 07:32:00Z\nb = -1.5e3\nc = true#x\n", "a:1 b:2 c:3"},
		{"no line end at the end", "a = 1", "a:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root, fault, _ := locate("f", tt.src)
			if fault.Text != "" {
				t.Fatal(fault)
			}
			if got := strings.Join(flat(root, ""), " "); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			if _, err := decodeTOML(tt.src); err != nil {
				t.Errorf("the library disagrees: %v", err)
			}
		})
	}
}

// flat lists the places below p as path:line, depth first.
func flat(p *place, path string) []string {
	var all []string
	for _, key := range sortedKeys(p.keys) {
		child, name := p.keys[key], strings.TrimPrefix(path+"."+key, ".")
		all = append(append(all, fmt.Sprintf("%s:%d", name, child.line)), flat(child, name)...)
	}
	for i, child := range p.items {
		name := fmt.Sprintf("%s[%d]", path, i)
		all = append(append(all, fmt.Sprintf("%s:%d", name, child.line)), flat(child, name)...)
	}
	return all
}

func TestLocateStops(t *testing.T) {
	for _, tt := range []struct {
		src, want string
		deep      bool
	}{
		{"a = " + strings.Repeat("[", 33), "f:1: lists and tables nest more than 32 deep", true},
		{"x = 1\na = " + strings.Repeat("{a=", 33), "f:2: lists and tables nest more than 32 deep", true},
		{"a" + strings.Repeat(".a", 32) + " = 1", "f:1: a key has more than 32 parts", true},
		{"[a" + strings.Repeat(".a", 32) + "]", "f:1: a key has more than 32 parts", true},
		{"a\n", "f:1: a key is followed by =", false},
		{"\n\na = \n", "f:3: a value is expected here", false},
		{"a = \"\"\"\n\n", "f:1: the string that begins here does not end", false},
		{"a.b = 1\na = 2", `f:2: "a" is already set on line 1`, false},
		{"a = {}\na.b = 1", `f:2: "a" is already set on line 1`, false},
		{"a = [{}]\n[a.b]", `f:2: "a" is already set on line 1`, false},
		{"a = 1\n\na = 1", `f:3: "a" is already set on line 1`, false},
		{"a = 1 2 ]", "f:1: the line should end here", false},
	} {
		_, fault, deep := locate("f", tt.src)
		if got := fault.Error(); got != tt.want || deep != tt.deep {
			t.Errorf("%.40q: got %q, %v; want %q, %v", tt.src, got, deep, tt.want, tt.deep)
		}
	}
}

// FuzzLocate holds the locator to the library: whatever the library reads, the
// locator finds the same tables, keys and list items in, and on the same lines.
func FuzzLocate(f *testing.F) {
	for _, src := range []string{
		"a = 1\n[b]\nc = [ {d = 1}, {d = 2} ]\n[[e]]\n[e.f]\n\"g h\".'i' = '''\nx'''''\n",
		"a = \"\"\"\\\"\"\"\"\"\"\nb = {c.d = 1,\n}\n",
		"[[a]]\n[[a.b]]\nc = 1979-05-27 07:32:00\n",
		"\"\\U0001F600\" = \"\\x41\\e\"\n",
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if notText("f", []byte(src)).Text != "" {
			return
		}
		places, fault, deep := locate("f", src)
		if deep {
			return
		}
		raw, err := decodeTOML(src)
		if err != nil {
			if strings.Contains(err.Error(), "gave up") {
				t.Logf("library: %v", err)
			}
			return
		}
		if strings.Contains(fault.Text, "is already set") {
			return // the library lets a.b = 1 be followed by a = 2
		}
		if strings.Contains(src, `\\""""""`) {
			return // six quotes end no string; after \\ the library thinks they do
		}
		if fault.Text != "" {
			t.Fatalf("the library reads it, and the locator says %v", fault)
		}
		same(t, "", raw, places)
		lines := strings.Count(src, "\n") + 1
		inText(t, strings.Split(src, "\n"), places, lines)
		positions(t, src, places)
	})
}

// same checks that the values and the places form one tree.
func same(t *testing.T, path string, raw any, p *place) {
	t.Helper()
	if p == nil {
		t.Fatalf("%s: no place", path)
	}
	switch v := raw.(type) {
	case map[string]any:
		if len(v) != len(p.keys) {
			t.Fatalf("%s: keys %q at places %q", path, sortedKeys(v), sortedKeys(p.keys))
		}
		for key, value := range v {
			same(t, path+"."+key, value, p.keys[key])
		}
	case []map[string]any:
		if len(v) != len(p.items) {
			t.Fatalf("%s: %d tables at %d places", path, len(v), len(p.items))
		}
		for i, value := range v {
			same(t, fmt.Sprintf("%s[%d]", path, i), value, p.items[i])
		}
	case []any:
		if len(v) != len(p.items) {
			t.Fatalf("%s: %d items at %d places", path, len(v), len(p.items))
		}
		for i, value := range v {
			same(t, fmt.Sprintf("%s[%d]", path, i), value, p.items[i])
		}
	default:
		if len(p.keys)+len(p.items) > 0 {
			t.Fatalf("%s: a value at a place with places in it", path)
		}
	}
}

// inText checks that the line a place names holds its key.
func inText(t *testing.T, text []string, p *place, lines int) {
	t.Helper()
	for key, child := range p.keys {
		if child.line < 1 || child.line > lines {
			t.Fatalf("key %q on line %d of %d", key, child.line, lines)
		}
		if line := text[child.line-1]; !strings.Contains(line, key) && !strings.Contains(line, `\`) {
			t.Fatalf("key %q is not on line %d: %s", key, child.line, line)
		}
		inText(t, text, child, lines)
	}
	for _, child := range p.items {
		inText(t, text, child, lines)
	}
}

// A refusal takes no value, so that the library says where it found the key.
type refusal struct{}

func (*refusal) UnmarshalTOML(any) error { return errors.New("no") }

// positions compares the lines of the top-level keys with the library's own.
func positions(t *testing.T, src string, places *place) {
	t.Helper()
	var top map[string]toml.Primitive
	md, err := toml.Decode(src, &top)
	if err != nil || strings.Contains(src, `"""`) || strings.Contains(src, "'''") {
		return // it remembers the end of such strings
	}
	for key, value := range top {
		p := places.keys[key]
		if len(p.items) > 0 || len(p.keys) > 0 {
			continue // the library remembers the last of several headers
		}
		var pe toml.ParseError
		if err := md.PrimitiveDecode(value, new(refusal)); errors.As(err, &pe) && pe.Position.Line > 0 && pe.Position.Line != p.line {
			t.Fatalf("key %q on line %d; the library says %d", key, p.line, pe.Position.Line)
		}
	}
}
