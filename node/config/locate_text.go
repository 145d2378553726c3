package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// What the locator passes over: strings, blanks, comments.

// basicString is "…" with escapes.
func (l *locator) basicString() string {
	var b strings.Builder
	for l.pos++; l.pos < len(l.src); {
		c := l.src[l.pos]
		l.pos++
		switch c {
		case '"':
			return b.String()
		case '\n', '\r':
			l.pos--
			l.stop("a string ends on its line")
			return ""
		case '\\':
			b.WriteRune(l.escape())
		default:
			b.WriteByte(c)
		}
	}
	l.stop("the string that begins here does not end")
	return ""
}

var escapes = map[byte]rune{'b': '\b', 't': '\t', 'n': '\n', 'f': '\f', 'r': '\r', 'e': 0x1b, '"': '"', '\\': '\\'}

// escape is what follows a backslash.
func (l *locator) escape() rune {
	c := l.peek()
	if r, ok := escapes[c]; ok {
		l.pos++
		return r
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if from := l.pos + 1; digits > 0 && from+digits <= len(l.src) {
		if n, err := strconv.ParseUint(l.src[from:from+digits], 16, 32); err == nil && utf8.ValidRune(rune(n)) {
			l.pos = from + digits
			return rune(n)
		}
	}
	l.stop("there is no such escape in a string")
	return 0
}

// literalString is '…', without escapes.
func (l *locator) literalString() string {
	rest := l.src[l.pos+1:]
	end := strings.IndexAny(rest, "'\n")
	if end < 0 || rest[end] == '\n' {
		l.stop("a string ends on its line")
		return ""
	}
	l.pos += end + 2
	return rest[:end]
}

// multiline is a string in triple quotes. One or two quotes before the closing
// three are part of it.
func (l *locator) multiline(q string) {
	from := l.line
	for l.pos += 3; l.pos < len(l.src); l.pos++ {
		switch c := l.src[l.pos]; {
		case c == '\n':
			l.line++
		case c == '\\' && q == `"`:
			if l.pos++; l.peek() == '\n' {
				l.line++
			}
		case strings.HasPrefix(l.src[l.pos:], q+q+q):
			run := len(l.src[l.pos:]) - len(strings.TrimLeft(l.src[l.pos:], q))
			l.pos += min(run, 5)
			return
		}
	}
	l.line = from
	l.stop("the string that begins here does not end")
}

// space skips blanks within a line.
func (l *locator) space() {
	for l.peek() == ' ' || l.peek() == '\t' {
		l.pos++
	}
}

// blank skips blanks, line ends and comments.
func (l *locator) blank() {
	for l.pos < len(l.src) {
		switch l.src[l.pos] {
		case '\n':
			l.line++
		case ' ', '\t', '\r':
		case '#':
			l.comment()
			continue
		default:
			return
		}
		l.pos++
	}
}

func (l *locator) comment() {
	if n := strings.IndexByte(l.src[l.pos:], '\n'); n >= 0 {
		l.pos += n
	} else {
		l.pos = len(l.src)
	}
}

func (l *locator) endOfLine() {
	l.space()
	if l.peek() == '#' {
		l.comment()
	}
	if l.peek() == '\r' {
		l.pos++
	}
	if l.pos < len(l.src) && l.src[l.pos] != '\n' {
		l.stop("the line should end here")
	}
}

// peek returns 0 at the end; the text itself holds no zero.
func (l *locator) peek() byte {
	if l.pos < len(l.src) {
		return l.src[l.pos]
	}
	return 0
}

func (l *locator) take(c byte) bool {
	if l.peek() == c && l.pos < len(l.src) {
		l.pos++
		return true
	}
	return false
}

// stop ends the reading; the first reason counts.
func (l *locator) stop(why string) {
	if l.fault == "" {
		l.fault, l.ended = why, l.pos >= len(l.src)
		l.pos = min(l.pos, len(l.src))
		l.src = l.src[:l.pos] // so that every loop ends
	}
}
