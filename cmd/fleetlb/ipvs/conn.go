package ipvs

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"fleetlb/node/admin"
)

// connections prints sessions as they come, as the kernel does, and then what
// persistence remembers, which IPVS calls templates and lists as connections of no
// state. Where a service is FULLNAT there is a fourth end, the local one, where
// DPVS has it.
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
		row(append([]string{strings.ToUpper(s.Protocol), expires(s.ExpiresS), stateOf(&s)}, ends...)...)
	}
	if !begun {
		fmt.Fprintln(r.out, "IPVS connection entries")
		row(header...)
	}
	templates, err := r.Director.Persistence(ctx, "")
	if err != nil {
		return err
	}
	for _, p := range templates {
		i := slices.IndexFunc(t.services, func(v *virtual) bool { return v.name == p.Service })
		if i < 0 {
			continue // it went a moment ago
		}
		v := t.services[i]
		protocol, at := strings.ToUpper(v.protocol()), v.at()
		if v.mark() != 0 { // where IPVS has the mark for an address
			protocol = "IP"
		}
		client := netip.AddrPortFrom(p.Client.Addr(), 0)
		row(protocol, expires(p.ExpiresS), "NONE", r.called(ctx, client, v.protocol(), numeric),
			r.called(ctx, at, v.protocol(), numeric), "-", r.called(ctx, p.Server, v.protocol(), numeric))
	}
	return nil
}

// stateOf is a session's state as IPVS calls it, which has a single one for UDP.
func stateOf(s *admin.Session) string {
	if s.Protocol == "udp" {
		return "UDP"
	}
	return strings.ToUpper(s.State)
}

func expires(seconds int64) string { return fmt.Sprintf("%02d:%02d", seconds/60, seconds%60) }
