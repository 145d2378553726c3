package config

import (
	"fmt"
	"slices"
	"strings"
)

// An Error is one thing that is wrong, and where.
type Error struct {
	File string // "": it was not read from one
	Line int    // from 1; 0: the file as a whole
	Text string
}

func (e Error) Error() string {
	switch {
	case e.File == "":
		return e.Text
	case e.Line == 0:
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Errors is all that is wrong, in the order of the files and their lines.
type Errors []Error

func (es Errors) Error() string {
	var b strings.Builder
	for i, e := range es {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Error())
	}
	return b.String()
}

// sorted puts the errors in reading order, files in that of order, and says
// each once.
func (es Errors) sorted(order []string) Errors {
	rank := make(map[string]int, len(order))
	for i, f := range order {
		rank[f] = i
	}
	slices.SortStableFunc(es, func(a, b Error) int {
		if a.File != b.File {
			return rank[a.File] - rank[b.File]
		}
		return a.Line - b.Line
	})
	return slices.Compact(es)
}
