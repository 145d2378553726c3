package node

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"fleetlb/node/config"
)

// A journal is where a director logs. Level and format follow the configuration
// while it runs.
type journal struct {
	out     io.Writer
	current atomic.Pointer[slog.Handler]
}

func newJournal(out io.Writer, n *config.Node) *journal {
	j := &journal{out: out}
	j.follow(n)
	return j
}

// follow makes the journal as the configuration wants it.
func (j *journal) follow(n *config.Node) {
	var level slog.Level
	level.UnmarshalText([]byte(n.LogLevel)) // verified
	o := &slog.HandlerOptions{Level: level}
	h := slog.Handler(slog.NewTextHandler(j.out, o))
	if n.LogFormat == "json" {
		h = slog.NewJSONHandler(j.out, o)
	}
	j.current.Store(&h)
}

func (j *journal) now() slog.Handler { return *j.current.Load() }

func (j *journal) Enabled(ctx context.Context, l slog.Level) bool { return j.now().Enabled(ctx, l) }

func (j *journal) Handle(ctx context.Context, r slog.Record) error { return j.now().Handle(ctx, r) }

// What is derived from a journal stays as the journal was then.

func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler { return j.now().WithAttrs(attrs) }

func (j *journal) WithGroup(name string) slog.Handler { return j.now().WithGroup(name) }
