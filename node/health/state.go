package health

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// state is what a target's results so far amount to.
type state struct {
	checked bool
	passing bool   // by rise and fall alone
	held    bool   // by damping
	streak  int    // results in a row that contradict passing
	last    string // what was wrong with the last result, empty if nothing
	since   time.Time

	falls     []time.Time // the latest, while not held; at most FlapCount
	heldUntil time.Time

	checks, failures uint64
	took             time.Duration
}

var unknown = state{last: "not checked yet"}

func (s *state) up() bool       { return s.passing && !s.held }
func (s *state) flapping() bool { return s.passing && s.held }

// restart is the state under a new check of the same server: what was known
// holds, what was half counted does not.
func (s *state) restart() state {
	n := *s
	n.streak = 0
	return n
}

// assume makes a target that is never checked up, and reports whether it was
// not.
func (s *state) assume(now time.Time) bool {
	was := s.up()
	*s = state{checked: true, passing: true, last: "not checked", since: s.since}
	if !was {
		s.since = now
	}
	return !was
}

// observe enters the result of one check, nil for a good one, and reports
// whether the verdict changed.
func (s *state) observe(c *Check, err error, took time.Duration, now time.Time) bool {
	first, wasUp, wasFlapping := !s.checked, s.up(), s.flapping()
	s.checked = true
	s.checks++
	s.took = took
	s.last = ""
	if err != nil {
		s.failures++
		s.last = printable(err.Error())
	}
	if s.count(c, err == nil, first) && !s.passing && !first {
		s.fell(c, now)
	}
	if s.held && (c.FlapCount == 0 || !now.Before(s.heldUntil)) {
		s.held = false
	}
	if first || wasUp != s.up() {
		s.since = now
		return true
	}
	return wasFlapping != s.flapping()
}

// count applies rise and fall and reports whether passing changed.
func (s *state) count(c *Check, good, first bool) bool {
	if first {
		s.passing = good
		return true
	}
	if good == s.passing {
		s.streak = 0
		return false
	}
	s.streak++
	if s.streak < s.needed(c) {
		return false
	}
	s.passing, s.streak = good, 0
	return true
}

// needed is how many results in a row it takes to change sides.
func (s *state) needed(c *Check) int {
	if s.passing {
		return c.Fall
	}
	return c.Rise
}

// fell notes one fall and holds the server if there were too many.
func (s *state) fell(c *Check, now time.Time) {
	if c.FlapCount == 0 {
		return
	}
	s.falls = append(s.falls, now)
	for now.Sub(s.falls[0]) > c.FlapWindow {
		s.falls = s.falls[1:]
	}
	if s.held || len(s.falls) >= c.FlapCount {
		s.held = true
		s.heldUntil = now.Add(c.FlapHold)
		s.falls = nil
	}
}

func (s *state) verdict(c *Check) Verdict {
	return Verdict{
		Up:       s.up(),
		Checked:  s.checked,
		Flapping: s.flapping(),
		Since:    s.since,
		Reason:   s.reason(c),
		Checks:   s.checks,
		Failures: s.failures,
		Duration: s.took,
	}
}

// reason says in one line why the verdict is what it is, or is about to change.
func (s *state) reason(c *Check) string {
	switch {
	case s.flapping() && s.last == "":
		return fmt.Sprintf("flapping: passes its checks, held down until it was steady for %v", c.FlapHold)
	case s.last != "" && s.passing && s.streak > 0:
		return fmt.Sprintf("%s (%d of %d)", s.last, s.streak, c.Fall)
	case s.last == "" && !s.passing && s.checked:
		return fmt.Sprintf("passes again (%d of %d)", s.streak, c.Rise)
	}
	return s.last
}

// printable makes one short line of a reason, parts of which came from outside:
// it goes to logs and terminals.
func printable(reason string) string {
	const most = 200
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > most {
			return -1
		}
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, reason)
}
