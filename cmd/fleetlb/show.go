package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fleetlb/node/admin"
)

// A view is an answer ready to be printed either way.
type view struct {
	objects []any
	table   func(w io.Writer)
}

// viewOf is a list as a table with one row for each object.
func viewOf[T any](list []T, columns string, row func(T) []string) view {
	return view{objects: anys(list), table: func(w io.Writer) {
		t := newTable(w, strings.Fields(columns)...)
		for _, o := range list {
			t.row(row(o)...)
		}
		t.Flush()
	}}
}

func anys[T any](list []T) []any {
	all := make([]any, len(list))
	for i := range list {
		all[i] = list[i]
	}
	return all
}

// noun makes a command that prints, and can be watched.
func (a *app) noun(c *cobra.Command, read func(context.Context, *admin.Client, []string) (view, error)) *cobra.Command {
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations["watch"] = "yes"
	if c.Args == nil {
		c.Args = usage(0, 0, "")
	}
	if c.ValidArgsFunction == nil {
		c.ValidArgsFunction = nothing
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.watch(c.Context(), func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, readPatience)
			defer cancel()
			v, err := read(ctx, a.director(), args)
			if err != nil {
				return err
			}
			return a.print(v)
		})
	}
	return c
}

// print writes a view the way the operator asked for.
func (a *app) print(v view) error {
	if a.output == "table" {
		v.table(a.stdout)
		return nil
	}
	array := a.array()
	for _, o := range v.objects {
		if err := array.add(o); err != nil {
			return err
		}
	}
	array.end()
	return nil
}

// An array is a JSON array under way.
type array struct {
	w                 io.Writer
	open, next, close string
	n                 int
}

// array puts each object on a line of its own, as good for grep as for jq; under
// --watch, each answer.
func (a *app) array() *array {
	if a.interval != 0 {
		return &array{w: a.stdout, open: "[", next: ",", close: "]\n"}
	}
	return &array{w: a.stdout, open: "[\n  ", next: ",\n  ", close: "\n]\n"}
}

func (a *array) add(object any) error {
	b, err := json.Marshal(object)
	if err != nil {
		return err
	}
	before := a.next
	if a.n == 0 {
		before = a.open
	}
	a.n++
	fmt.Fprintf(a.w, "%s%s", before, b)
	return nil
}

func (a *array) end() {
	if a.n == 0 {
		fmt.Fprintln(a.w, "[]")
		return
	}
	fmt.Fprint(a.w, a.close)
}

// A table aligns columns.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer, columns ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	if len(columns) > 0 {
		t.row(columns...)
	}
	return t
}

// row writes cells, empty ones as "-" lest columns be miscounted. Tabs and line
// ends inside a cell would break the table, so they do not get there.
func (t table) row(cells ...string) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		if c == "" {
			c = "-"
		}
		fmt.Fprint(t, strings.Map(visible, c))
	}
	fmt.Fprintln(t)
}

func visible(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
