package ipvs

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"

	"fleetlb/node/admin"
)

// A Fault is a line of rules that makes no sense.
type Fault struct {
	Line int
	Text string
}

// Read takes rules as a restore does, without a director: what services there
// would be of an empty table, each followed by its servers, and what would be
// refused. Names are the system's.
func Read(ctx context.Context, rules io.Reader) (settings []admin.Setting, faults []Fault) {
	t := &table{}
	r := &Runner{Program: "ipvsadm", Stderr: io.Discard, out: bufio.NewWriter(io.Discard), names: SystemNames(), table: t}
	in := bufio.NewScanner(rules)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		args := strings.Fields(in.Text())
		if len(args) > 0 && args[0] == "ipvsadm" {
			args = args[1:]
		}
		if len(args) == 0 || bytes.HasPrefix(in.Bytes(), []byte("#")) {
			continue
		}
		if err := r.rule(ctx, args); err != nil {
			faults = append(faults, Fault{n, strings.TrimSpace(err.Error()) + ": " + in.Text()})
		}
	}
	if err := in.Err(); err != nil {
		faults = append(faults, Fault{0, err.Error()})
	}
	for _, v := range t.services {
		settings = append(settings, admin.Setting{Service: v.name, Set: v.set})
		for _, s := range v.servers {
			settings = append(settings, admin.Setting{Service: v.name, Server: s.at, Set: s.set})
		}
	}
	return settings, faults
}

// rule does one line to the table.
func (r *Runner) rule(ctx context.Context, args []string) error {
	q, err := parse(r.Program, args)
	if err != nil {
		return err
	}
	switch q.command {
	case add, edit, remove, addServer, editServer, dropServer, flush, setTimeouts:
	default:
		return refuse("it is no rule")
	}
	if err := q.check(); err != nil {
		return err
	}
	edits, err := r.edits(ctx, q)
	for i := range edits {
		if edits[i].Service == "" {
			return refuse("timeouts are those of each service here: timeouts.established and the like")
		}
		r.table.follow(&edits[i])
	}
	return err
}
