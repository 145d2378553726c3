package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// An Edit is one thing done to the services at run time, in the words of the
// file: a verb, what it is done to, and the keys it sets. As a value it can be
// written down, sent to another director and applied there.
type Edit struct {
	Verb    string            `toml:"verb" in:"add edit delete" need:"" json:"verb"`
	Service string            `toml:"service" json:"service"`        // "": the timeouts of all that have the default ones
	Server  netip.AddrPort    `toml:"server" json:"server,omitzero"` // invalid: of the service itself
	Set     map[string]string `toml:"set" json:"set,omitempty"`      // "check.path" = "/"; "" takes a key back to its default

	// Lenient makes nothing of what is absent or present already: an addition
	// then replaces, and the rest is passed over.
	Lenient bool `toml:"-" json:"-"`
}

// Subject is what the edit is about: "web", or "web/10.3.0.11:8080".
func (c *Edit) Subject() string {
	if c.Server.IsValid() {
		return c.Service + "/" + c.Server.String()
	}
	return c.Service
}

// String is the edit in operator words.
func (c Edit) String() string {
	what := "service " + c.Service
	switch {
	case c.Server.IsValid():
		what = "server " + c.Service + " " + c.Server.String()
	case c.Service == "":
		what = "all services with the default"
	}
	if c.Verb == "forget" {
		return "what was changed by command is forgotten"
	}
	verb := c.Verb
	said := make([]string, 0, len(c.Set))
	for _, key := range sortedKeys(c.Set) {
		switch word := c.Set[key]; {
		case c.Verb == "add" && key == "vip":
			verb += " " + word + "/" + cmp.Or(c.Set["protocol"], "tcp")
		case c.Verb == "add" && key == "protocol":
		case word == "":
			said = append(said, key+" as by default")
		case key == "drain" && word == "true":
			said = append(said, "drain")
		case key == "drain" && word == "false":
			said = append(said, "ready")
		default:
			said = append(said, key+" "+word)
		}
	}
	all := strings.Join(said, ", ")
	switch {
	case c.Verb == "edit":
		return what + ": " + all
	case all == "":
		return what + ": " + verb
	}
	return what + ": " + verb + ", " + all
}

// Absent is the error of an edit of what is not there.
type Absent string

func (e Absent) Error() string { return string(e) }

// Present is the error of an addition of what is there already.
type Present string

func (e Present) Error() string { return string(e) }

var (
	serviceType = reflect.TypeFor[Service]()
	serverType  = reflect.TypeFor[Server]()
)

// Revise applies edits that are all of one service, in order. The service
// given, nil when there is none of the name, is not changed; nil is returned when
// there is none afterwards. Whether the result can stand among others is for
// Verify to say. The services there are, by name, are for guesses at what was
// meant.
func Revise(s *Service, edits []Edit, names []string) (*Service, error) {
	var t *tree
	if s != nil {
		t = serviceTree(s)
	}
	for i := range edits {
		var err error
		if t, err = t.revise(&edits[i], names); err != nil {
			return nil, err
		}
	}
	if t == nil {
		return nil, nil
	}
	var text strings.Builder
	t.print(&text, "service")
	revised, err := ReadService(text.String())
	if err != nil {
		return nil, err
	}
	return &revised, nil
}

// revise applies one edit to the tree of a service, nil for none.
func (t *tree) revise(c *Edit, names []string) (*tree, error) {
	switch {
	case t == nil && c.Lenient && (c.Verb != "add" || c.Server.IsValid()):
		return nil, nil
	case t == nil && (c.Verb != "add" || c.Server.IsValid()):
		return nil, Absent(fmt.Sprintf("there is no service %q%s", c.Service, meant(c.Service, names)))
	case c.Server.IsValid():
		return t, t.reviseServer(c)
	case c.Verb == "delete":
		return nil, nil
	case c.Verb == "add" && t != nil && !c.Lenient:
		return nil, Present(fmt.Sprintf("there is a service %q already", c.Service))
	case c.Verb == "add":
		t = newTree()
		if c.Service != "" {
			t.keys["name"] = quote(c.Service)
		}
	}
	return t, t.say(serviceType, fmt.Sprintf("service %q", c.Service), "name", c)
}

func (t *tree) reviseServer(c *Edit) error {
	address := quote(c.Server.String())
	i := t.indexOf(address)
	switch {
	case i >= 0 && c.Verb == "add" && c.Lenient:
		t.list[i] = newTree()
		t.list[i].keys["address"] = address
	case i < 0 && c.Verb != "add" && c.Lenient:
		return nil
	case i >= 0 && c.Verb == "add":
		return Present(fmt.Sprintf("service %q has server %s already", c.Service, c.Server))
	case i < 0 && c.Verb != "add":
		return Absent(fmt.Sprintf("service %q has no server %s", c.Service, c.Server))
	case c.Verb == "delete":
		t.list = slices.Delete(t.list, i, i+1)
		return nil
	case c.Verb == "add":
		added := newTree()
		added.keys["address"] = address
		i, t.list = len(t.list), append(t.list, added)
	}
	return t.list[i].say(serverType, fmt.Sprintf("service %q: server %s", c.Service, c.Server), "address", c)
}

// say sets the keys of one table. What tells it apart from others stays.
func (t *tree) say(of reflect.Type, noun, id string, c *Edit) error {
	for _, path := range sortedKeys(c.Set) {
		if path == id {
			return fmt.Errorf("%s: its %s stays; delete it and add another", noun, id)
		}
		if err := t.set(of, path, c.Set[path]); err != nil {
			return fmt.Errorf("%s: %w", noun, err)
		}
	}
	t.prune(of, "", "", c.Set)
	return nil
}

// Words is every key of the service, as an edit would say it, and of each of
// its servers.
func (s *Service) Words() (service map[string]string, servers []map[string]string) {
	t := treeOf(reflect.ValueOf(s).Elem(), "")
	service = map[string]string{}
	t.words("", service)
	for _, one := range t.list {
		server := map[string]string{}
		one.words("", server)
		servers = append(servers, server)
	}
	return service, servers
}

// Defaulted returns those of the keys set that the service has, and leaves at
// their defaults.
func (s *Service) Defaulted(set map[string]string) map[string]string {
	d := defaultService(s.Protocol)
	has, _ := s.Words()
	by, _ := d.Words()
	set = maps.Clone(set)
	maps.DeleteFunc(set, func(key, _ string) bool { word, ok := has[key]; return !ok || word != by[key] })
	return set
}

// DefaultTimeouts are those of a service that says nothing, as an edit would say
// them.
func DefaultTimeouts() map[string]string {
	all := map[string]string{}
	for _, protocol := range []string{"tcp", "udp"} {
		s := defaultService(protocol)
		words, _ := s.Words()
		for key, word := range words {
			if strings.HasPrefix(key, "timeouts.") {
				all[key] = word
			}
		}
	}
	return all
}

// Meant ends a complaint about word with the one of the words that was probably
// meant, or with nothing.
func Meant(word string, words []string) string { return meant(word, words) }
