package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"
)

// screen is where the story is told, in colour if it is a terminal.
type screen struct {
	w      io.Writer
	colour bool
	step   int
}

func newScreen(f *os.File) *screen {
	return &screen{w: f, colour: term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""}
}

// SGR codes.
const (
	bold  = "1"
	green = "1;32"
	red   = "1;31"
	dim   = "2"
)

func (s *screen) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// title opens a step of the story.
func (s *screen) title(text string) {
	s.step++
	fmt.Fprintf(s.w, "\n%s\n", s.paint(bold, fmt.Sprintf("%d. %s", s.step, text)))
}

// say tells the reader something.
func (s *screen) say(format string, args ...any) { fmt.Fprintf(s.w, format+"\n", args...) }

func (s *screen) ok(format string, args ...any) {
	fmt.Fprintf(s.w, "\n%s\n", s.paint(green, fmt.Sprintf(format, args...)))
}

func (s *screen) fail(format string, args ...any) {
	fmt.Fprintf(s.w, "\n%s\n", s.paint(red, fmt.Sprintf(format, args...)))
}

// command shows a command as it was typed, and what it printed.
func (s *screen) command(typed, printed string) {
	fmt.Fprintf(s.w, "   %s\n", s.paint(dim, "$ "+typed))
	for line := range strings.Lines(printed) {
		fmt.Fprintf(s.w, "   %s", line)
	}
}

// table prints rows in aligned columns; the first row is the heading.
func (s *screen) table(rows ...[]string) {
	t := tabwriter.NewWriter(s.w, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, "   "+strings.Join(row, "\t"))
	}
	t.Flush()
}
