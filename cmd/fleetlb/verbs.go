package main

import (
	"context"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fleetlb/node/admin"
)

// group is a command that only has others under it.
func group(name, short string) *cobra.Command {
	return &cobra.Command{Use: name, GroupID: groupAct, Short: short, Args: cobra.ArbitraryArgs, RunE: chooseCommand}
}

func (a *app) serverVerbs() *cobra.Command {
	g := group("server", "Drain, weigh, add, edit and delete servers")
	g.AddCommand(
		a.serverVerb("drain", "Give a server no new connections; keep those it has"),
		a.serverVerb("ready", "Give a drained server connections again"),
		a.serverWeight(),
		a.serverAdd(),
		a.serverEdit(),
		a.serverVerb("delete", "Take a server out of its service at run time"),
	)
	return g
}

// serverVerb is a verb on one server of one service, or of every service that
// has it: a machine that goes down for maintenance goes down for all.
func (a *app) serverVerb(verb, short string) *cobra.Command {
	c := &cobra.Command{
		Use:   verb + " [SERVICE] IP:PORT",
		Short: short,
		Long:  short + ".\n\nWithout SERVICE: in every service that has the server.",
		Args:  usage(1, 2, "[SERVICE] IP:PORT"), ValidArgsFunction: a.completeServer(true),
	}
	fleet := fleetFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.onServers(c, args, admin.Edit{Verb: verb, Fleet: *fleet})
	}
	return c
}

// onServers makes an edit of the server that args name, in the one service or in
// all that have it.
func (a *app) onServers(c *cobra.Command, args []string, e admin.Edit) (err error) {
	if e.Server, err = parseServer(c, args[len(args)-1]); err != nil {
		return err
	}
	return a.act(c, func(ctx context.Context, d *admin.Client) error {
		services := args[:len(args)-1]
		if len(services) == 0 {
			if services, err = servicesOf(ctx, c, d, e.Server); err != nil {
				return err
			}
		}
		var edits []admin.Edit
		for _, e.Service = range services {
			edits = append(edits, e)
		}
		return d.Edit(ctx, edits)
	})
}

func servicesOf(ctx context.Context, c *cobra.Command, d *admin.Client, server netip.AddrPort) (names []string, err error) {
	all, err := d.Servers(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.Address == server {
			names = append(names, s.Service)
		}
	}
	if len(names) == 0 {
		return nil, admin.Errorf(admin.NotFound, "%sno service has server %v", nounOf(c), server)
	}
	return names, nil
}

func (a *app) serverWeight() *cobra.Command {
	c := &cobra.Command{
		Use:   "weight [SERVICE] IP:PORT WEIGHT",
		Short: "Set a server's weight at run time",
		Long: `Set a server's weight. 0 gives it no new connections, as ipvsadm users know it.

Without SERVICE: in every service that has the server.`,
		Args: usage(2, 3, "[SERVICE] IP:PORT WEIGHT"), ValidArgsFunction: a.completeServer(true),
	}
	fleet := fleetFlag(c)
	c.SetFlagErrorFunc(negative)
	c.RunE = func(c *cobra.Command, args []string) error {
		last := len(args) - 1
		if _, err := netip.ParseAddrPort(args[last]); err == nil {
			return misused("%swant [SERVICE] IP:PORT WEIGHT", nounOf(c))
		}
		if _, err := parseWeight(c, args[last]); err != nil {
			return err
		}
		return a.onServers(c, args[:last], admin.Edit{Verb: "weight", Set: map[string]string{"weight": args[last]}, Fleet: *fleet})
	}
	return c
}

var negativeNumber = regexp.MustCompile(`^unknown shorthand flag: '\d' in (-\d+)$`)

// negative takes -1 for a number that is wrong, not for a flag that is unknown.
func negative(c *cobra.Command, err error) error {
	if m := negativeNumber.FindStringSubmatch(err.Error()); m != nil {
		_, err := parseWeight(c, m[1])
		return err
	}
	return c.Root().FlagErrorFunc()(c, err)
}

func (a *app) serverAdd() *cobra.Command {
	c := &cobra.Command{
		Use:   "add SERVICE IP:PORT [KEY=VALUE ...]",
		Short: "Add a server to a service at run time",
		Long:  "Add a server. What is not said has the default of the configuration file.\n\n" + keysHelp,
		Args:  usage(2, 1<<20, "SERVICE IP:PORT"), ValidArgsFunction: a.completeServer(false),
	}
	words, fleet := serverFlags(c), fleetFlag(c)
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		e := admin.Edit{Verb: "add", Service: args[0], Fleet: *fleet}
		if e.Server, err = parseServer(c, args[1]); err != nil {
			return err
		}
		if e.Set, err = words(args[2:]); err != nil {
			return err
		}
		return a.edit(c, e)
	}
	return c
}

func (a *app) serverEdit() *cobra.Command {
	c := &cobra.Command{
		Use:   "edit [SERVICE] IP:PORT KEY=VALUE ...",
		Short: "Change a server at run time; what is not named stays",
		Long: "Change a server. What is not named stays as it is.\n\n" +
			"Without SERVICE: in every service that has the server.\n\n" + keysHelp,
		Example: `  fleetlb server edit web 10.3.0.11:8080 weight=3 upper_threshold=1000
  fleetlb server edit 10.3.0.11:8080 check.port=8081`,
		Args: usage(1, 1<<20, "[SERVICE] IP:PORT and what to change"), ValidArgsFunction: a.completeServer(true),
	}
	words, fleet := serverFlags(c), fleetFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		subject := slices.IndexFunc(args, func(s string) bool { return strings.Contains(s, "=") })
		if subject < 0 {
			subject = len(args)
		}
		if subject < 1 || subject > 2 {
			return misused("%swant [SERVICE] IP:PORT KEY=VALUE ...", nounOf(c))
		}
		set, err := words(args[subject:])
		if err != nil {
			return err
		}
		if len(set) == 0 {
			return misused("%swant KEY=VALUE: what to change", nounOf(c))
		}
		return a.onServers(c, args[:subject], admin.Edit{Verb: "edit", Set: set, Fleet: *fleet})
	}
	return c
}

// serverFlags is what flags and arguments say of a server's keys.
func serverFlags(c *cobra.Command) func(args []string) (map[string]string, error) {
	weight := c.Flags().String("weight", "", "its weight")
	c.RegisterFlagCompletionFunc("weight", words())
	return func(args []string) (map[string]string, error) {
		set, err := assignments(c, args)
		if err == nil && c.Flags().Changed("weight") {
			set["weight"] = *weight
		}
		if word, said := set["weight"]; err == nil && said && word != "" {
			_, err = parseWeight(c, word)
		}
		return set, err
	}
}

func (a *app) nodeVerbs() *cobra.Command {
	g := group("node", "Drain this director, or let it serve again")
	verb := func(name, short, long string, do func(*admin.Client, context.Context) error) *cobra.Command {
		return &cobra.Command{
			Use: name, Short: short, Long: long,
			Args: usage(0, 0, ""), ValidArgsFunction: nothing,
			RunE: func(c *cobra.Command, _ []string) error {
				return a.act(c, func(ctx context.Context, d *admin.Client) error { return do(d, ctx) })
			},
		}
	}
	g.AddCommand(
		verb("drain", "Withdraw this director's routes and keep forwarding what it has",
			"Withdraw the VIPs this director announces. It keeps forwarding its sessions, and\nwhatever still arrives, until it is told to stop or to undrain.",
			(*admin.Client).DrainNode),
		verb("undrain", "Announce again what was withdrawn by drain", "", (*admin.Client).UndrainNode),
	)
	return g
}

func (a *app) reload() *cobra.Command {
	return &cobra.Command{
		Use: "reload", GroupID: groupAct,
		Short: "Read the configuration file again and apply the difference",
		Long: `Read the configuration file again. It is checked first: a file with a mistake
changes nothing, and every mistake is listed. Otherwise only the difference is
applied, and printed; sessions it does not concern do not notice.`,
		Args: usage(0, 0, ""), ValidArgsFunction: nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.act(c, func(ctx context.Context, d *admin.Client) error {
				changes, err := d.Reload(ctx)
				if err != nil {
					return err
				}
				return a.print(changed(changes))
			})
		},
	}
}

func parseServer(c *cobra.Command, s string) (netip.AddrPort, error) {
	server, err := netip.ParseAddrPort(s)
	if err != nil {
		return server, misused("%sserver %q is not IP:PORT", nounOf(c), s)
	}
	return server, nil
}

func parseWeight(c *cobra.Command, s string) (int, error) {
	weight, err := strconv.Atoi(s)
	if err != nil || weight < 0 || weight > 65535 {
		return 0, misused("%sweight %q is not a number from 0 to 65535", nounOf(c), s)
	}
	return weight, nil
}
