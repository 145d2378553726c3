package ipvs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"fleetlb/node/admin"
)

// save prints the lines that restore reads.
func (r *Runner) save(ctx context.Context, numeric bool) error {
	t, err := r.known(ctx)
	if err != nil {
		return err
	}
	services := slices.Clone(t.services)
	slices.SortStableFunc(services, (*virtual).compare)
	for _, v := range services {
		name := ""
		letter := map[string]string{"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}[v.protocol()]
		if mark := v.mark(); mark == 0 {
			name = letter + " " + r.called(ctx, v.at(), v.protocol(), numeric)
		} else if name = fmt.Sprintf("-f %d", mark); v.six() {
			name += " -6"
		}
		fmt.Fprintf(r.out, "-A %s%s -s %s%s\n", name, v.savedListens(), v.set["scheduler"], v.savedFlags())
		servers := slices.Clone(v.servers)
		slices.SortStableFunc(servers, func(a, b *real) int { return a.at.Compare(b.at) })
		for _, s := range servers {
			fmt.Fprintf(r.out, "-a %s -r %s %s -w %d%s\n", name, r.called(ctx, s.at, v.protocol(), numeric),
				forwards[v.mode(s)][1], s.weight(), v.savedServer(s))
		}
	}
	return nil
}

// savedListens is what a service listens at beside its address.
func (v *virtual) savedListens() (all string) {
	if v.mark() != 0 {
		all += " --vip " + v.set["vip"] + "/" + v.protocol()
	}
	if vips := v.set["vips"]; vips != "" {
		all += " --vips " + vips
	}
	if ports := v.set["ports"]; ports != "" {
		all += " --ports " + ports
	}
	return all
}

func (v *virtual) savedFlags() (all string) {
	if seconds := v.persistent(); seconds != 0 {
		all += fmt.Sprintf(" -p %d", seconds)
		if bits, coarse := v.mask(); coarse {
			all += " -M " + maskText(bits, v.six())
		}
	}
	if v.onePacket() {
		all += " -o"
	}
	if flags := v.flags(); flags != "" {
		all += " -b " + flags
	}
	return all
}

// savedServer is what ipvsadm says of tunnels, and of thresholds what it forgets
// to say.
func (v *virtual) savedServer(s *real) (all string) {
	if v.mode(s) == "tun" {
		typ, port := v.tunnel(s)
		if all = " --tun-type " + typ; port != 0 {
			all += fmt.Sprintf(" --tun-port %d --tun-nocsum", port)
		}
	}
	if n := s.number("upper_threshold"); n != 0 {
		all += fmt.Sprintf(" -x %d", n)
	}
	if n := s.number("lower_threshold"); n != 0 {
		all += fmt.Sprintf(" -y %d", n)
	}
	return all
}

// A pending line of restore has been read and not yet sent.
type pending struct {
	edits []admin.Edit
}

// atOnce is how many lines are sent together: each request has the director look
// at its whole configuration.
const atOnce = 1000

// restore takes each line of standard input for a command line, with "ipvsadm" in
// front or without. A line that fails does not keep the others from being done,
// and the exit code is that of the last one that failed.
func (r *Runner) restore(ctx context.Context, q *request) error {
	if r.Stdin == nil {
		return tryHelp(r.Program)
	}
	r.fleet = q.has(optFleet)
	in := bufio.NewScanner(r.Stdin)
	in.Buffer(nil, 1<<20)
	r.Stdin = nil // a restore within would never end
	var last error
	note := func(err error) {
		if err != nil {
			last = &failure{r.complain(err), ""}
		}
	}
	for in.Scan() {
		if bytes.HasPrefix(in.Bytes(), []byte("#")) {
			continue
		}
		args := strings.Fields(in.Text())
		if len(args) > 0 && args[0] == "ipvsadm" {
			args = args[1:]
		}
		if len(args) > 0 {
			note(r.deferred(ctx, args, note))
		}
		if len(r.pending) >= atOnce {
			r.send(ctx, note)
		}
	}
	r.send(ctx, note)
	if err := in.Err(); err != nil {
		return misuse("standard input: %v", err)
	}
	return last
}

// deferred does one line of a restore: what is to be changed waits for company,
// and is known to the lines that follow.
func (r *Runner) deferred(ctx context.Context, args []string, note func(error)) error {
	q, err := parse(r.Program, args)
	if err != nil {
		return err
	}
	switch q.command {
	case add, edit, remove, addServer, editServer, dropServer, flush, setTimeouts:
	default:
		r.send(ctx, note)
		return r.line(ctx, args)
	}
	if err := q.check(); err != nil {
		return err
	}
	edits, err := r.edits(ctx, q)
	if err != nil || len(edits) == 0 {
		return err
	}
	for i := range edits {
		if r.table != nil {
			r.table.follow(&edits[i])
		}
	}
	r.pending = append(r.pending, pending{edits})
	return nil
}

// send has the director do what is pending, in as few requests as it takes to
// find out what it refuses.
func (r *Runner) send(ctx context.Context, note func(error)) {
	all := r.pending
	r.pending = nil
	if len(all) == 0 {
		return
	}
	if r.bisect(ctx, all, note) {
		r.table = nil // what was refused is not there: ask again
	}
}

func (r *Runner) bisect(ctx context.Context, lines []pending, note func(error)) (failed bool) {
	var edits []admin.Edit
	for _, l := range lines {
		edits = append(edits, l.edits...)
	}
	err := r.Director.Edit(ctx, edits)
	var e *admin.Error
	switch {
	case err == nil:
		return false
	case len(lines) == 1 || errors.As(err, &e) && e.Kind == admin.Unavailable:
		note(err)
		return true
	}
	half := len(lines) / 2
	first := r.bisect(ctx, lines[:half], note)
	return r.bisect(ctx, lines[half:], note) || first
}
