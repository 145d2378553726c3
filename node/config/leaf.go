package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A leaf is a type of value that stands behind one key: how it is read, and how
// it is written. Everything else in the language is tables and lists of leaves.
type leaf struct {
	want string // how an operator would call it
	like string // and what it looks like: examples, quoted
	// read returns the value, or a complaint that continues "key …".
	read func(raw any) (any, string)
	text func(v any) string // as said to operators
	toml func(v any) string // as written in a file
}

// What read may complain of for the decoder to make a sentence of, which knows
// what a good value of the key looks like.
const (
	wrongType = "\x00" // the TOML type is another
	wrongForm = "\x01"
	noPort    = "\x02" // an address where one with a port is wanted
)

// says makes the sentence. like is an example of the key's own; "": it has none.
func (l leaf) says(complaint string, raw any, like string) string {
	examples := l.like
	if like != "" {
		examples = quote(like)
	}
	want := l.want
	if examples != "" {
		want += " such as " + examples
	}
	switch complaint {
	case wrongType:
		return "wants " + want + ", not " + kind(raw)
	case wrongForm:
		return show(raw) + " is not " + want
	case noPort:
		a, _ := netip.ParseAddr(raw.(string))
		port := uint16(80)
		if own, err := netip.ParseAddrPort(like); err == nil {
			port = own.Port()
		}
		return show(raw) + " has no port; write " + quote(netip.AddrPortFrom(a.WithZone("").Unmap(), port).String())
	}
	return complaint
}

func leafOf[T any](want, like string, read func(any) (T, string), text func(T) string, quoted bool) (reflect.Type, leaf) {
	l := leaf{
		want: want, like: like,
		read: func(raw any) (any, string) { v, complaint := read(raw); return v, complaint },
		text: func(v any) string { return text(v.(T)) },
	}
	l.toml = l.text
	if quoted {
		l.toml = func(v any) string { return quote(l.text(v)) }
	}
	return reflect.TypeFor[T](), l
}

var leaves = make(map[reflect.Type]leaf)

func init() {
	add := func(t reflect.Type, l leaf) { leaves[t] = l }
	add(leafOf("a string", "", readString, quote, false))
	add(leafOf("true or false", "", readBool, strconv.FormatBool, false))
	add(leafOf("an integer", "", readInt[int], showInt[int], false))
	add(leafOf("an integer", "", readInt[uint16], showInt[uint16], false))
	add(leafOf("an integer", "", readInt[uint32], showInt[uint32], false))
	add(leafOf(`a duration`, `"2s"`, readDuration, durationText, true))
	add(leafOf(`an address`, `"10.1.0.1" or "2001:db8::1"`, readAddr, netip.Addr.String, true))
	add(leafOf(`an address and port`, `"10.3.0.11:8080" or "[2001:db8::11]:8080"`, readAddrPort, netip.AddrPort.String, true))
	add(leafOf(`a prefix`, `"10.2.1.0/28" or "2001:db8:2:1::/124"`, readPrefix, netip.Prefix.String, true))
	add(leafOf(`a range of ports`, `"1024-65535"`, readPortRange, PortRange.String, true))
	add(leafOf(`an address, ports and perhaps a protocol`, `"203.0.113.10:443" or "203.0.113.10:5000-5999/udp"`, readListener, Listener.String, true))

	t, status := leafOf(`a status`, `200 or "200-399"`, readStatus, StatusRange.String, true)
	status.toml = func(v any) string {
		if r := v.(StatusRange); r.First != r.Last {
			return quote(r.String())
		}
		return status.text(v)
	}
	add(t, status)
}

func readString(raw any) (string, string) {
	if s, ok := raw.(string); ok {
		return s, ""
	}
	return "", wrongType
}

func readBool(raw any) (bool, string) {
	if b, ok := raw.(bool); ok {
		return b, ""
	}
	return false, wrongType
}

// readInt leaves the range to the field's bounds, which lie within T's.
func readInt[T int | uint16 | uint32](raw any) (T, string) {
	if n, ok := raw.(int64); ok {
		return T(n), ""
	}
	return 0, wrongType
}

func showInt[T int | uint16 | uint32](n T) string { return strconv.FormatInt(int64(n), 10) }

func readPortRange(raw any) (PortRange, string) {
	s, ok := raw.(string)
	if !ok {
		return PortRange{}, wrongType
	}
	lo, hi, _ := strings.Cut(s, "-")
	first, err1 := strconv.ParseUint(lo, 10, 16)
	last, err2 := strconv.ParseUint(hi, 10, 16)
	switch {
	case err1 != nil || err2 != nil || first == 0:
		return PortRange{}, wrongForm
	case first > last:
		return PortRange{}, fmt.Sprintf(`%s runs backwards; did you mean "%d-%d"?`, show(s), last, first)
	}
	return PortRange{uint16(first), uint16(last)}, ""
}

func readStatus(raw any) (StatusRange, string) {
	lo, hi := "", ""
	switch v := raw.(type) {
	case int64:
		lo = strconv.FormatInt(v, 10)
		hi = lo
	case string:
		var ranged bool
		if lo, hi, ranged = strings.Cut(v, "-"); !ranged {
			hi = lo
		}
	default:
		return StatusRange{}, wrongType
	}
	first, err1 := strconv.ParseUint(lo, 10, 16)
	last, err2 := strconv.ParseUint(hi, 10, 16)
	if err1 != nil || err2 != nil || first < 100 || last > 599 || first > last {
		return StatusRange{}, show(raw) + ` is not a status from 100 to 599, or a range such as "200-399"`
	}
	return StatusRange{int(first), int(last)}, ""
}

// show quotes what the file says, shortened to a length that fits a line.
func show(raw any) string {
	switch v := raw.(type) {
	case string:
		const most = 60
		if r := []rune(v[:min(len(v), 4*most)]); len(r) > most {
			v = string(r[:most]) + "…"
		}
		return strconv.Quote(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	}
	return "a list"
}

// kind is show with the TOML type said, for complaints about types.
func kind(raw any) string {
	switch raw.(type) {
	case string:
		return "the string " + show(raw)
	case int64:
		return "the integer " + show(raw)
	case float64:
		return "the number " + show(raw)
	}
	return show(raw)
}
