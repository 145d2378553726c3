package ipvs

import (
	"fmt"
	"slices"
	"strings"
)

// A failure is how a command ends that does not succeed: what is said, and the
// exit code. ipvsadm exits 2 where it did not understand, and -1, which a shell
// sees as 255, where the kernel refused.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

const (
	misused = 2
	refused = 255
)

func misuse(format string, args ...any) error { return &failure{misused, fmt.Sprintf(format, args...)} }
func refuse(format string, args ...any) error { return &failure{refused, fmt.Sprintf(format, args...)} }

// A request is one command line, before anybody has looked at what its words say.
type request struct {
	command command
	role    string // master or backup, of the daemon commands
	words   map[option]string
	kind    string   // how the service was named: tcp, udp, sctp or fwmark
	six     bool     // -6
	rest    []string // what belongs to no option
}

func (r *request) has(o option) bool { _, ok := r.words[o]; return ok }

// parse reads a command line. Options may be joined ("-Ln"), and their words
// joined to them ("-w1", "--weight=1").
func parse(program string, args []string) (*request, error) {
	r := &request{words: map[option]string{}}
	l := &line{args: args}
	for {
		said, err := l.next(r.command)
		if err != nil && r.command == "" {
			return nil, tryHelp(program)
		}
		if err != nil {
			return nil, err
		}
		if said == nil {
			break
		}
		if said.command == "" && r.command == "" {
			return nil, tryHelp(program)
		}
		if err := r.take(said); err != nil {
			return nil, err
		}
	}
	if r.command == "" {
		return nil, tryHelp(program)
	}
	r.rest = l.rest
	return r, nil
}

func tryHelp(program string) error {
	return refuse("Try `%s -h' or '%s --help' for more information.", program, program)
}

// take notes what was said.
func (r *request) take(s *said) error {
	switch {
	case s.command != "" && r.command != "":
		// ipvsadm looks for a command in the first place alone.
		return misuse("invalid option `%s'", s.as)
	case s.command != "":
		r.command, r.role = s.command, s.word
		if s.word != "" && s.word != "master" && s.word != "backup" {
			what := map[command]string{startDaemon: "start-daemon parameter", stopDaemon: "start_daemon"}[s.command]
			return misuse("illegal %s specified", what)
		}
		return nil
	case s.spelling.value == "6":
		if r.kind != "fwmark" {
			return misuse("-6 used before -f\n")
		}
		r.six = true
		return nil
	case s.option == "":
		return nil // --sort is the default
	case r.has(s.option):
		return misuse("multiple '%s' options specified", s.option)
	}
	r.words[s.option] = s.word
	if s.option == optService {
		r.kind = s.value
	} else if s.value != "" {
		r.words[s.option] = s.value
	}
	return nil
}

// A said option, or command, with its word.
type said struct {
	*spelling
	as   string // as it was written
	word string
}

// A line is words under way.
type line struct {
	args  []string
	rest  []string
	short string // what is left of joined letters
}

// next returns what comes next, nil at the end.
func (l *line) next(after command) (*said, error) {
	for l.short == "" {
		if len(l.args) == 0 {
			return nil, nil
		}
		arg := l.args[0]
		l.args = l.args[1:]
		switch {
		case arg == "--":
			l.rest = append(l.rest, l.args...)
			l.args = nil
		case strings.HasPrefix(arg, "--"):
			return l.long(arg)
		case len(arg) > 1 && arg[0] == '-':
			l.short = arg[1:]
		default:
			l.rest = append(l.rest, arg)
		}
	}
	letter := l.short[0]
	l.short = l.short[1:]
	as := "-" + string([]byte{letter})
	i := slices.IndexFunc(spellings, func(s spelling) bool {
		return s.short == letter && letter != 0 && (letter != 'b' || (s.option == optForward) == onServer(after))
	})
	if i < 0 {
		return nil, refuse("%s: unknown option", as)
	}
	s := &said{spelling: &spellings[i], as: as}
	if s.spelling.word != none && l.short != "" {
		s.word = strings.TrimPrefix(l.short, "=")
		l.short = ""
		return s, nil
	}
	return s, l.word(s)
}

func onServer(c command) bool { return c == addServer || c == editServer }

func (l *line) long(arg string) (*said, error) {
	name, word, joined := strings.Cut(arg[2:], "=")
	i := slices.IndexFunc(spellings, func(s spelling) bool { return s.long == name })
	switch {
	case i < 0:
		return nil, refuse("%s: unknown option", arg)
	case joined && spellings[i].word == none:
		return nil, refuse("%s: option does not take an argument", arg)
	case joined:
		return &said{&spellings[i], arg, word}, nil
	}
	s := &said{spelling: &spellings[i], as: arg}
	return s, l.word(s)
}

// word takes the word that follows an option. One that may be left out is, where
// an option follows.
func (l *line) word(s *said) error {
	switch {
	case s.spelling.word == none:
	case len(l.args) > 0 && (s.spelling.word == needed || !strings.HasPrefix(l.args[0], "-")):
		s.word = l.args[0]
		l.args = l.args[1:]
	case s.spelling.word == needed:
		return refuse("%s: missing argument", s.as)
	}
	return nil
}
