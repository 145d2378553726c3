package foreign

import (
	"strings"
)

// A statement is a line of words, and the block behind it if there is one.
//
//	virtual_server 203.0.113.10 80 {
//	    lb_algo rr
//	}
type statement struct {
	line  int
	words []string
	block []statement
}

// name is the statement's first word.
func (s *statement) name() string { return s.words[0] }

// rest is what follows it.
func (s *statement) rest() []string { return s.words[1:] }

// arg is the word that follows it, "" when there is none.
func (s *statement) arg() string {
	if len(s.words) < 2 {
		return ""
	}
	return s.words[1]
}

// deepest is how far blocks may nest: keepalived has four levels.
const deepest = 16

// A reader takes keepalived's text apart.
type reader struct {
	site  *Site
	lines []string
	at    int               // the next line
	left  []string          // words of the present line that are still to come
	known map[string]string // $NAME, by NAME
}

// read returns the statements of a whole text.
func read(text string, site *Site) []statement {
	r := &reader{site: site, lines: strings.Split(text, "\n"), known: map[string]string{}}
	var all []statement
	for {
		more := r.block(0)
		all = append(all, more...)
		if r.at >= len(r.lines) && len(r.left) == 0 {
			return all
		}
	}
}

// block reads statements up to the brace that closes it, or the end.
func (r *reader) block(depth int) (all []statement) {
	for {
		words, ended := r.next()
		switch {
		case ended:
			if depth > 0 {
				r.site.note(r.at, "a block is not closed")
			}
			return all
		case words[0] == "}":
			r.left = words[1:]
			if depth == 0 {
				r.site.note(r.at, "a brace closes no block")
			}
			return all
		case words[0] == "{":
			// Of a statement in the line before.
			r.left = words[1:]
			inner := r.deeper(depth)
			if len(all) > 0 {
				all[len(all)-1].block = append(all[len(all)-1].block, inner...)
			}
			continue
		}
		s := statement{line: r.at}
		n := 0
		for n < len(words) && words[n] != "{" && words[n] != "}" {
			n++
		}
		s.words = words[:n]
		r.left = words[n:]
		if n < len(words) && words[n] == "{" {
			r.left = words[n+1:]
			s.block = r.deeper(depth)
			if s.block == nil {
				s.block = []statement{}
			}
		}
		all = append(all, s)
	}
}

func (r *reader) deeper(depth int) []statement {
	inner := r.block(depth + 1)
	if depth+1 < deepest {
		return inner
	}
	return nil
}

// next returns the words that come next, up to the end of their line.
func (r *reader) next() (words []string, ended bool) {
	if len(r.left) > 0 {
		words, r.left = r.left, nil
		return words, false
	}
	for r.at < len(r.lines) {
		line := r.lines[r.at]
		r.at++
		for strings.HasSuffix(line, "\\") && r.at < len(r.lines) { // a long one
			line = strings.TrimSuffix(line, "\\") + " " + r.lines[r.at]
			r.at++
		}
		words = r.substituted(split(line))
		switch {
		case len(words) == 0:
		case r.define(words):
		case strings.HasPrefix(words[0], "@"):
			r.site.note(r.at, "a line for some hosts only (%s): not carried over", words[0])
		default:
			return words, false
		}
	}
	return nil, true
}

// split takes a line apart: words, quoted ones whole, braces by themselves, up to
// a comment.
func split(line string) (words []string) {
	word, quoted, inWord := strings.Builder{}, false, false
	end := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	for _, c := range line {
		switch {
		case c == '"':
			quoted, inWord = !quoted, true
		case quoted:
			word.WriteRune(c)
		case c == ' ' || c == '\t' || c == '\r':
			end()
		case !inWord && (c == '#' || c == '!'):
			return words
		case (c == '{' || c == '}') && !strings.HasPrefix(word.String(), "$"):
			end()
			words = append(words, string(c))
		default:
			word.WriteRune(c)
			inWord = true
			if c == '}' { // of ${NAME}
				continue
			}
		}
	}
	end()
	return words
}

// define takes $NAME=VALUE.
func (r *reader) define(words []string) bool {
	name, value, ok := strings.Cut(words[0], "=")
	if !ok || !strings.HasPrefix(name, "$") {
		return false
	}
	r.known[strings.Trim(name[1:], "{}")] = strings.Join(append([]string{value}, words[1:]...), " ")
	return true
}

// substituted is words with what was defined in the place of its name.
func (r *reader) substituted(words []string) []string {
	if len(r.known) == 0 || len(words) > 0 && strings.HasPrefix(words[0], "$") && strings.Contains(words[0], "=") {
		return words
	}
	var all []string
	for _, w := range words {
		name, ok := strings.CutPrefix(w, "$")
		value, known := r.known[strings.Trim(name, "{}")]
		if ok && known {
			all = append(all, strings.Fields(value)...)
		} else {
			all = append(all, w)
		}
	}
	return all
}
