package ipvs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"fleetlb/node/admin"
)

// A Director is what is asked and told; [admin.Client] is one.
type Director interface {
	Settings(ctx context.Context, service string) ([]admin.Setting, error)
	Traffic(ctx context.Context, service string) ([]admin.Traffic, error)
	Sessions(context.Context, admin.SessionFilter) iter.Seq2[admin.Session, error]
	Persistence(ctx context.Context, service string) ([]admin.Persistence, error)
	Edit(context.Context, []admin.Edit) error
	Zero(ctx context.Context, service string) error
}

// A Runner is one run of the program.
type Runner struct {
	Program  string // what it was called
	Director Director
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	Names    Names // nil: the system's

	names   Names
	out     *bufio.Writer
	table   *table    // nil: not asked for yet
	pending []pending // of restore
	fleet   bool      // of restore: all that follows
}

// Run does what the arguments say and returns the exit code. Without any it
// lists.
func (r *Runner) Run(ctx context.Context, args []string) int {
	r.out = bufio.NewWriter(r.Stdout)
	if r.names = r.Names; r.names == nil {
		r.names = SystemNames()
	}
	if len(args) == 0 {
		args = []string{"-L"}
	}
	err := r.line(ctx, args)
	if flushed := r.out.Flush(); err == nil {
		err = flushed
	}
	return r.complain(err)
}

// complain says what went wrong and returns the exit code.
func (r *Runner) complain(err error) int {
	if err == nil {
		return 0
	}
	text, code := err.Error(), refused
	var f *failure
	var e *admin.Error
	switch {
	case errors.As(err, &f):
		code = f.code
	case errors.As(err, &e) && e.Kind == admin.Unavailable:
		text, code = "Can't initialize ipvs: "+e.Cause, misused
	case errors.As(err, &e):
		text = e.Cause
	}
	if text != "" {
		fmt.Fprintln(r.Stderr, text)
	}
	return code
}

// line is one command line.
func (r *Runner) line(ctx context.Context, args []string) error {
	q, err := parse(r.Program, args)
	if err != nil {
		return err
	}
	switch q.command {
	case help:
		fmt.Fprint(r.out, usage(r.Program))
		return nil
	case version:
		fmt.Fprint(r.out, versionLine)
		return nil
	}
	if err := q.check(); err != nil {
		return err
	}
	switch q.command {
	case restore:
		return r.restore(ctx, q)
	case startDaemon, stopDaemon:
		return misuse("there is no sync daemon to start or stop: the directors of a fleet keep each other's sessions by themselves ([gossip] in the configuration)")
	case list:
		return r.list(ctx, q)
	case save:
		return r.save(ctx, q.has(optNumeric))
	case zero:
		return r.zero(ctx, q)
	}
	edits, err := r.edits(ctx, q)
	if err != nil || len(edits) == 0 {
		return err
	}
	return r.Director.Edit(ctx, edits)
}

// known is the director's table, asked for once.
func (r *Runner) known(ctx context.Context) (*table, error) {
	if r.table != nil {
		return r.table, nil
	}
	t, err := load(ctx, r.Director)
	r.table = t
	return t, err
}

func (r *Runner) zero(ctx context.Context, q *request) error {
	if !q.has(optService) {
		return r.Director.Zero(ctx, "")
	}
	w, err := r.wanted(ctx, q)
	if err != nil {
		return err
	}
	t, err := r.known(ctx)
	if err != nil {
		return err
	}
	v := t.find(w)
	if v == nil {
		return refuse("No such service")
	}
	return r.Director.Zero(ctx, v.name)
}
