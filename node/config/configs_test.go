package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const examples = "../../configs/"

// TestExamples loads every file in configs/ that is not included by another,
// beside the keys that are not to be had from there.
func TestExamples(t *testing.T) {
	dir := t.TempDir() + "/"
	if err := os.CopyFS(dir, os.DirFS(examples)); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"fleet/gossip.key", strings.Repeat("A", 43)+"=\n", 0o600)
	files, _ := filepath.Glob(dir + "*.toml")
	fleet, _ := filepath.Glob(dir + "*/*.toml")
	if len(files) < 5 || len(fleet) < 2 {
		t.Fatal(files, fleet)
	}
	for _, file := range append(files, fleet...) {
		t.Run(strings.TrimPrefix(file, dir), func(t *testing.T) {
			c, err := Load(file, Host{})
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Warnings) > 0 {
				t.Errorf("warnings: %v", c.Warnings)
			}
			again(t, c)
		})
	}
}

// off is a setting that is written as a comment: # and a key without a blank.
var off = regexp.MustCompile(`(?m)^(\s*)#([a-z][a-z0-9_]* = )`)

// TestExamplesSwitchedOff turns on, one at a time, what stands there as a
// comment.
func TestExamplesSwitchedOff(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/bgp.key", "sesame\n", 0o600)
	write(t, dir+"/gossip.key", strings.Repeat("A", 43)+"=\n", 0o600)
	files, _ := filepath.Glob(examples + "*.toml")
	tried := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range off.FindAllSubmatchIndex(text, -1) {
			tried++
			on := string(text[:m[3]]) + string(text[m[4]:])
			path := filepath.Join(dir, filepath.Base(file))
			write(t, path, on, 0o644)
			if _, err := Load(path, Host{}); err != nil {
				t.Errorf("%s: with %q: %v", file, text[m[4]:m[5]], err)
			}
		}
	}
	if tried < 8 {
		t.Errorf("only %d settings are switched off", tried)
	}
}

// TestReference: configs/reference.toml has every key there is, and where there
// is a default that is what it has.
func TestReference(t *testing.T) {
	text, err := os.ReadFile(examples + "reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "on.toml")
	write(t, path, off.ReplaceAllString(string(text), "$1$2"), 0o644)
	l := &loader{}
	_, places, ok := l.parse(path, []byte(off.ReplaceAllString(string(text), "$1$2")))
	if !ok {
		t.Fatal(l.faults)
	}
	said := make(map[string]bool)
	collect(places, "", said)
	var walk func(typ reflect.Type, prefix string)
	walk = func(typ reflect.Type, prefix string) {
		for _, f := range fieldsOf(typ) {
			name := dotted(prefix, f.key)
			if !said[name] && !strings.HasPrefix(name, "service.server.check.") {
				t.Errorf("no %s", name)
			}
			if e := element(typ.Field(f.index).Type); e != nil {
				walk(e, name)
			}
		}
	}
	walk(configType, "")

	c := must(t, examples+"reference.toml")
	c.Node.Name, c.Node.Interfaces, c.Fullnat.LocalAddresses = "", nil, nil
	d := defaultConfig("")
	held := c.VRRP[0]
	held.Name, held.Interface, held.ID, held.VIPs = "", "", 0, nil
	s := c.Services[0]
	s.Name, s.VIP, s.Servers = "", d.Admin.Metrics, nil
	s.Check, s.Servers = Check{}, nil
	web := defaultService("tcp")
	web.Check = Check{}
	n := c.BGP.Neighbors[0]
	n.Address, n.ASN = defaultNeighbor().Address, 0
	for _, tt := range []struct{ got, want any }{
		{c.Node, d.Node}, {c.Fullnat, d.Fullnat}, {c.Dataplane, d.Dataplane}, {c.Admin, d.Admin},
		{c.BGP.ListenPort, defaultBGP().ListenPort}, {n, defaultNeighbor()}, {c.Gossip.Replicas, defaultGossip().Replicas}, {held, defaultVRRP()},
		{s, web}, {c.Services[0].Check, defaultCheck("http")}, {c.Services[1].Check, defaultCheck("https")},
		{c.Services[2].Check, defaultCheck("tcp")}, {c.Services[3].Timeouts, defaultTimeouts("udp")},
		{c.Services[4].Check.DNSType, defaultCheck("dns").DNSType},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("got  %+v\nwant %+v", tt.got, tt.want)
		}
	}
}

// collect notes the dotted paths of all keys below p.
func collect(p *place, path string, said map[string]bool) {
	for key, child := range p.keys {
		said[dotted(path, key)] = true
		collect(child, dotted(path, key), said)
	}
	for _, item := range p.items {
		collect(item, path, said)
	}
}
