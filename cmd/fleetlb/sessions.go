package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fleetlb/node/admin"
)

// sorted is how many sessions are held and sorted before they are printed.
// Beyond that many, they come in sorted lots of that size: a million of them
// would fill a gigabyte here.
const sorted = 100_000

func (a *app) sessions() *cobra.Command {
	var client, server string
	var filter admin.SessionFilter
	c := &cobra.Command{
		Use: "sessions", GroupID: groupLook,
		Short: "Connections and the servers they were given",
		Long: `Sessions by protocol, VIP and client.

LOCAL is the address and port that stand in for the client towards the server.
HOME is the director that LOCAL belongs to; ROLE says what this director is to the
session: its home, one that has adopted it because its packets came here, or one
that keeps a replica. EXPIRES is when it ends if nothing more is heard. With --all
every director of the fleet is asked, and NODE is the one that says so.`,
		Example: `  fleetlb sessions --service web --state established
  fleetlb sessions --client 198.51.100.0/24 --limit 20 -w
  fleetlb -o json sessions --server 10.3.0.11 | jq length`,
		Args: usage(0, 0, ""), ValidArgsFunction: nothing,
		Annotations: map[string]string{"watch": "yes"},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&filter.Service, "service", "", "only of this service")
	flags.StringVar(&client, "client", "", "only of this client: an address or a prefix")
	flags.StringVar(&server, "server", "", "only with this server: an address, or IP:PORT")
	flags.StringVar(&filter.State, "state", "", "only in this state, such as established")
	flags.StringVar(&filter.Role, "role", "", "only those to which the director is home, adopted or replica")
	flags.BoolVar(&filter.All, "all", false, "of every director of the fleet; NODE says of which")
	flags.IntVar(&filter.Limit, "limit", 0, "at most this many; 0 is all")
	c.RegisterFlagCompletionFunc("service", a.completeService)
	c.RegisterFlagCompletionFunc("server", a.completeAnyServer)
	c.RegisterFlagCompletionFunc("client", words())
	c.RegisterFlagCompletionFunc("limit", words())
	c.RegisterFlagCompletionFunc("role", words("home", "adopted", "replica"))
	c.RegisterFlagCompletionFunc("state", words(admin.SessionStates...))

	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if client != "" {
			if filter.Client, err = admin.ParseClient(client); err != nil {
				return misused("sessions: %v", err)
			}
		}
		if server != "" {
			if filter.Server, err = admin.ParseServer(server); err != nil {
				return misused("sessions: %v", err)
			}
		}
		if filter.Role != "" && !slices.Contains(roles, filter.Role) {
			return misused("sessions: role %q is none of %s", filter.Role, strings.Join(roles, ", "))
		}
		if filter.State != "" && !slices.Contains(admin.SessionStates, filter.State) {
			return misused("sessions: state %q is none of %s", filter.State, strings.Join(admin.SessionStates, ", "))
		}
		if filter.Limit < 0 {
			return misused("sessions: limit %d is less than none", filter.Limit)
		}
		return a.watch(c.Context(), func(ctx context.Context) error { return a.printSessions(ctx, filter) })
	}
	return c
}

func (a *app) printSessions(ctx context.Context, filter admin.SessionFilter) error {
	out := a.sessionPrinter(filter.All)
	var lot []admin.Session
	for s, err := range a.director().Sessions(ctx, filter) {
		if err != nil {
			return err
		}
		if len(lot) == sorted {
			if err := out.print(lot); err != nil {
				return err
			}
			lot = lot[:0]
		}
		lot = append(lot, s)
	}
	if err := out.print(lot); err != nil {
		return err
	}
	out.end()
	return nil
}

// A sessionPrinter prints lots one after the other as though they were one.
type sessionPrinter struct {
	table *table
	array *array
	nodes bool // also which director says so
}

// roles are what a director can be to a session.
var roles = []string{"home", "adopted", "replica"}

func (a *app) sessionPrinter(nodes bool) sessionPrinter {
	if a.output == "json" {
		return sessionPrinter{array: a.array()}
	}
	columns := []string{"PROTOCOL", "STATE", "CLIENT", "VIP", "LOCAL", "SERVER",
		"HOME", "ROLE", "EXPIRES", "PKTS-IN", "PKTS-OUT", "IN", "OUT"}
	if nodes {
		columns = append([]string{"NODE"}, columns...)
	}
	t := newTable(a.stdout, columns...)
	return sessionPrinter{table: &t, nodes: nodes}
}

func (p *sessionPrinter) print(lot []admin.Session) error {
	slices.SortFunc(lot, admin.CompareSessions)
	for i := range lot {
		s := &lot[i]
		if p.array != nil {
			if err := p.array.add(s); err != nil {
				return err
			}
			continue
		}
		row := []string{s.Protocol, s.State, place(s.Client), place(s.VIP), place(s.Local), place(s.Server),
			s.Home, s.Role, ago(s.ExpiresS), count(s.PacketsIn), count(s.PacketsOut), size(s.BytesIn), size(s.BytesOut)}
		if p.nodes {
			row = append([]string{s.Node}, row...)
		}
		p.table.row(row...)
	}
	if p.table != nil {
		return p.table.Flush()
	}
	return nil
}

func (p *sessionPrinter) end() {
	if p.array != nil {
		p.array.end()
	}
}
