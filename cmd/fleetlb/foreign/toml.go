package foreign

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Keys in the order a reader looks for them; others follow.
var first = []string{"name", "address", "vip", "ports", "vips", "tag", "protocol", "mode", "tunnel", "tunnel_port", "scheduler", "scheduler_flags",
	"one_packet", "quorum", "hysteresis", "sorry_server", "persistence", "persistence_prefix4", "persistence_prefix6",
	"weight", "upper_threshold", "lower_threshold", "type", "path"}

// plain are the keys whose values stand without quotes.
var plain = []string{"tag", "tunnel_port", "one_packet", "quorum", "hysteresis", "persistence_prefix4", "persistence_prefix6", "weight",
	"upper_threshold", "lower_threshold", "inhibit_on_failure", "fall", "rise", "port", "tls_verify"}

// lists are the keys whose values are several, said with commas.
var lists = []string{"scheduler_flags", "vips", "status"}

// TOML writes a site as a director's whole configuration: what a director needs
// and was not said has a value to be looked at. blocks are its local addresses,
// if there shall be any.
func (s *Site) TOML(from string, blocks []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# From %s, by fleetlb import.\n\n[node]\n", visible(from))
	node, interfaces, look := s.Node, s.Interfaces, ""
	if node == "" {
		node, look = "director", "   # unique in the fleet: say yours"
	}
	fmt.Fprintf(&b, "name = %s%s\n", quoted(node), look)
	look = ""
	if len(interfaces) == 0 {
		interfaces, look = []string{"eth0"}, "   # where clients' and servers' frames arrive: say yours"
	}
	fmt.Fprintf(&b, "interfaces = %s%s\n", quotedList(interfaces), look)
	if len(blocks) > 0 {
		fmt.Fprintf(&b, "\n[fullnat]\nlocal_addresses = %s\n", quotedList(blocks))
	}
	for i := range s.Groups {
		s.Groups[i].toml(&b)
	}
	for i := range s.Services {
		v := &s.Services[i]
		b.WriteString("\n[[service]]\n")
		table(&b, "", "service", with(v.Set, "name", v.Name))
		for _, r := range v.Servers {
			b.WriteString("\n  [[service.server]]\n")
			table(&b, "  ", "service.server", with(r.Set, "address", r.Address))
		}
	}
	return b.String()
}

func with(set map[string]string, key, word string) map[string]string {
	set = maps.Clone(set)
	if set == nil {
		set = map[string]string{}
	}
	set[key] = word
	return set
}

// table writes the keys of one table, and its check below.
func table(b *strings.Builder, indent, name string, set map[string]string) {
	check := map[string]string{}
	own := map[string]string{}
	for key, word := range set {
		if inner, ok := strings.CutPrefix(key, "check."); ok {
			check[inner] = word
		} else {
			own[key] = word
		}
	}
	keys := func(indent string, set map[string]string) {
		for _, key := range ordered(set) {
			fmt.Fprintf(b, "%s%s = %s\n", indent, key, value(key, set[key]))
		}
	}
	keys(indent, own)
	if len(check) > 0 {
		fmt.Fprintf(b, "\n%s  [%s.check]\n", indent, name)
		keys(indent+"  ", check)
	}
}

func ordered(set map[string]string) []string {
	rank := func(key string) int {
		if i := slices.Index(first, key); i >= 0 {
			return i
		}
		return len(first)
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// value writes a word as its key wants it.
func value(key, word string) string {
	switch {
	case slices.Contains(plain, key) && isPlain(word):
		return word
	case slices.Contains(lists, key):
		return quotedList(strings.Split(word, ","))
	case key == "command" && strings.HasPrefix(word, "["):
		return word
	}
	return quoted(word)
}

// isPlain says whether a word is a number or a truth value that TOML takes.
func isPlain(word string) bool {
	if word == "true" || word == "false" || word == "0" {
		return true
	}
	return word != "" && word[0] != '0' && len(word) < 19 && strings.Trim(word, "0123456789") == ""
}

// quoted is a TOML string: what JSON says of strings TOML says too, but for DEL.
func quoted(word string) string {
	text, _ := json.Marshal(strings.ToValidUTF8(word, "?"))
	return strings.ReplaceAll(string(text), "\x7f", `\u007f`)
}

func quotedList(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, quoted(strings.TrimSpace(w)))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// Fullnat says whether a service needs local addresses.
func (s *Site) Fullnat() bool {
	return slices.ContainsFunc(s.Services, func(v Service) bool {
		return v.Set["mode"] == "fullnat" || slices.ContainsFunc(v.Servers, func(r Server) bool { return r.Set["mode"] == "fullnat" })
	})
}
