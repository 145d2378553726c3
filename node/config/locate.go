package config

import (
	"fmt"
	"strconv"
	"strings"
)

// A place is where a value stands. Places form the tree that the values form:
// a table's by its keys, a list's by its items. The TOML library tells neither
// for a key that it has no use for, nor for a value that is merely wrong.
//
// A nil place is an absent one; all methods allow it.
type place struct {
	file  string
	line  int // of the key, the item or the header; from 1
	keys  map[string]*place
	items []*place
	bad   bool // refused already: whoever looks later stays silent
	value bool // it stands behind an equals sign: nothing can be added to it
}

// at follows keys downwards.
func (p *place) at(keys ...string) *place {
	for _, k := range keys {
		if p == nil {
			return nil
		}
		p = p.keys[k]
	}
	return p
}

// item is the i-th of a list.
func (p *place) item(i int) *place {
	if p == nil || i >= len(p.items) {
		return p // the list as a whole is the next best answer
	}
	return p.items[i]
}

// good reports that the file has the key and that its value was accepted.
func (p *place) good(key string) bool {
	child := p.at(key)
	return child != nil && !child.bad
}

// mention says where p is, behind a word that it explains.
func (p *place) mention() string {
	if p.file == "" {
		return ""
	}
	return fmt.Sprintf(" (%s:%d)", p.file, p.line)
}

// deepest is how far tables and lists may nest, and how many parts a key may
// have: the language needs five, and what reads TOML after us recurses.
const deepest = 32

// A locator reads TOML for its keys alone. Where the text is no TOML it stops;
// the library says it better.
type locator struct {
	file  string
	src   string
	pos   int
	line  int
	depth int
	fault string // why it stopped
	deep  bool   // it stopped because of deepest
	ended bool   // it stopped at the end of the text
}

// locate returns the places in src, which is text (see notText). When it stopped
// early, fault says where, and deep that nobody else should try.
func locate(file, src string) (root *place, fault Error, deep bool) {
	l := &locator{file: file, src: src, line: 1}
	root = l.table(1)
	l.document(root)
	if l.fault != "" {
		fault = Error{file, l.line, l.fault}
	}
	return root, fault, l.deep
}

func (l *locator) table(line int) *place {
	return &place{file: l.file, line: line, keys: make(map[string]*place)}
}

// document is lines: headers, and keys of the table that the last one opened.
func (l *locator) document(root *place) {
	current := root
	for l.blank(); l.fault == "" && l.pos < len(l.src); l.blank() {
		if l.src[l.pos] == '[' {
			current = l.header(root)
		} else {
			l.pair(current)
		}
		l.endOfLine()
	}
}

// header is [a.b] or [[a.b]]; it returns the table that it opens.
func (l *locator) header(root *place) *place {
	line := l.line
	l.pos++
	many := l.take('[')
	parts := l.key()
	if !l.take(']') || many && !l.take(']') {
		l.stop("a table's name ends with ] or ]], as it began")
	}
	if l.fault != "" {
		return root
	}
	parent := l.descend(root, parts[:len(parts)-1], line)
	last := parts[len(parts)-1]
	if many {
		all := parent.keys[last]
		if all == nil {
			all = &place{file: l.file, line: line}
			parent.keys[last] = all
		}
		all.items = append(all.items, l.table(line))
		return all.items[len(all.items)-1]
	}
	opened := l.descend(parent, []string{last}, line)
	opened.line = line // an earlier [a.b] may have made a
	return opened
}

// descend goes down from p, making tables that are not there yet. In a list of
// tables it goes to the last one.
func (l *locator) descend(p *place, parts []string, line int) *place {
	for _, part := range parts {
		next := p.keys[part]
		if next == nil {
			next = l.table(line)
			p.keys[part] = next
		}
		if next.value {
			l.twice(part, next)
			return l.table(line)
		}
		if n := len(next.items); n > 0 {
			next = next.items[n-1]
		}
		if next.keys == nil {
			next.keys = make(map[string]*place) // no TOML: a value taken for a table
		}
		p = next
	}
	return p
}

// pair is key = value.
func (l *locator) pair(into *place) {
	line := l.line
	parts := l.key()
	if !l.take('=') {
		l.stop("a key is followed by =")
		return
	}
	l.space()
	value := l.value(line)
	into = l.descend(into, parts[:len(parts)-1], line)
	last := parts[len(parts)-1]
	if before := into.keys[last]; before != nil {
		l.twice(last, before)
		return
	}
	into.keys[last] = value
}

// twice complains about a key that has a value already. The library lets
// a.b = 1 be followed by a = 2, and drops the latter.
func (l *locator) twice(key string, before *place) {
	l.stop(show(key) + " is already set on line " + strconv.Itoa(before.line))
}

// key is a, "a b" or a."b".c. Unless it stopped there is at least one part.
func (l *locator) key() []string {
	var parts []string
	for {
		l.space()
		parts = append(parts, l.part())
		l.space()
		if len(parts) > deepest {
			l.deep = true
			l.stop("a key has more than " + strconv.Itoa(deepest) + " parts")
		}
		if l.fault != "" || !l.take('.') {
			return parts
		}
	}
}

func (l *locator) part() string {
	switch c := l.peek(); {
	case c == '"':
		return l.basicString()
	case c == '\'':
		return l.literalString()
	}
	from := l.pos
	for bare(l.peek()) {
		l.pos++
	}
	if l.pos == from {
		l.stop("a key is expected here")
	}
	return l.src[from:l.pos]
}

func bare(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// value skips a value and returns its place.
func (l *locator) value(line int) *place {
	p := &place{file: l.file, line: line, value: true}
	switch c := l.peek(); {
	case strings.HasPrefix(l.src[l.pos:], `"""`):
		l.multiline(`"`)
	case strings.HasPrefix(l.src[l.pos:], `'''`):
		l.multiline(`'`)
	case c == '"':
		l.basicString()
	case c == '\'':
		l.literalString()
	case c == '[':
		l.nested(func() { p.items = l.list() })
	case c == '{':
		l.nested(func() { p.keys = l.inlineTable() })
	default: // a number, a date, a word: up to what can follow a value
		from := l.pos
		for l.pos < len(l.src) && !strings.ContainsRune(",]}#\n\r", rune(l.src[l.pos])) {
			l.pos++
		}
		if l.pos == from {
			l.stop("a value is expected here")
		}
	}
	return p
}

func (l *locator) nested(body func()) {
	if l.depth++; l.depth > deepest {
		l.deep = true
		l.stop("lists and tables nest more than " + strconv.Itoa(deepest) + " deep")
		return
	}
	from := l.line
	l.pos++ // the bracket
	body()
	l.depth--
	if l.fault != "" && l.ended {
		l.line, l.fault = from, "the bracket that opens here does not close"
	}
}

func (l *locator) list() []*place {
	var items []*place
	for l.blank(); l.fault == "" && !l.take(']'); l.blank() {
		items = append(items, l.value(l.line))
		l.comma(']')
	}
	return items
}

func (l *locator) inlineTable() map[string]*place {
	t := l.table(l.line)
	for l.blank(); l.fault == "" && !l.take('}'); l.blank() {
		l.pair(t)
		l.comma('}')
	}
	return t.keys
}

// comma is what stands between items and may stand after the last.
func (l *locator) comma(end byte) {
	l.blank()
	if l.peek() != end && !l.take(',') {
		l.stop("a comma or " + string(end) + " is expected here")
	}
}
