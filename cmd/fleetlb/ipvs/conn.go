package ipvs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"fleetlb/node/admin"
)

// connections prints sessions as they come, as the kernel does. Where a service
// is FULLNAT there is a fourth end, the local one, where DPVS has it.
func (r *Runner) connections(ctx context.Context, q *request) error {
	t, err := r.known(ctx)
	if err != nil {
		return err
	}
	numeric := q.has(optNumeric)
	local := slices.ContainsFunc(t.services, func(v *virtual) bool {
		return v.set["mode"] == "fullnat" || slices.ContainsFunc(v.servers, func(s *real) bool { return v.mode(s) == "fullnat" })
	})
	row := func(cells ...string) {
		fmt.Fprintf(r.out, "%-3s %-6s %-11s %-18s %-18s ", cells[0], cells[1], cells[2], cells[3], cells[4])
		if local {
			fmt.Fprintf(r.out, "%-18s ", cells[5])
		}
		if q.has(optPersistentConn) && len(cells) > 7 {
			fmt.Fprintf(r.out, "%-18s %-16s %s\n", cells[6], cells[7], cells[8])
			return
		}
		fmt.Fprintln(r.out, cells[6])
	}
	header := []string{"pro", "expire", "state", "source", "virtual", "local", "destination"}
	if q.has(optPersistentConn) {
		header = append(header, "pe name", "pe_data") // no session has any
	}
	begun := false
	for s, err := range r.Director.Sessions(ctx, admin.SessionFilter{}) {
		if err != nil {
			return err
		}
		if !begun {
			fmt.Fprintln(r.out, "IPVS connection entries")
			row(header...)
			begun = true
		}
		ends := make([]string, 0, 4)
		for _, a := range []struct {
			valid bool
			name  func() string
		}{
			{true, func() string { return r.called(ctx, s.Client, s.Protocol, numeric) }},
			{true, func() string { return r.called(ctx, s.VIP, s.Protocol, numeric) }},
			{s.Local.IsValid(), func() string { return r.called(ctx, s.Local, s.Protocol, numeric) }},
			{true, func() string { return r.called(ctx, s.Server, s.Protocol, numeric) }},
		} {
			if a.valid {
				ends = append(ends, a.name())
			} else {
				ends = append(ends, "-")
			}
		}
		expire := fmt.Sprintf("%02d:%02d", s.ExpiresS/60, s.ExpiresS%60)
		row(append([]string{strings.ToUpper(s.Protocol), expire, strings.ToUpper(s.State)}, ends...)...)
	}
	if !begun {
		fmt.Fprintln(r.out, "IPVS connection entries")
		row(header...)
	}
	return nil
}
