package main

import (
	"context"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"

	"fleetlb/node/admin"
)

// group is a command that only has others under it.
func group(name, short string) *cobra.Command {
	return &cobra.Command{Use: name, GroupID: groupAct, Short: short, Args: cobra.ArbitraryArgs, RunE: chooseCommand}
}

func (a *app) serverVerbs() *cobra.Command {
	g := group("server", "Drain, weigh, add and delete servers")
	g.AddCommand(
		a.serverVerb("drain", "Give a server no new connections; keep those it has",
			(*admin.Client).DrainServer),
		a.serverVerb("ready", "Give a drained server connections again",
			(*admin.Client).ReadyServer),
		a.serverWeight(),
		a.serverAdd(),
		a.serverVerb("delete", "Take a server out of its service at run time",
			(*admin.Client).DeleteServer),
	)
	return g
}

type serverAction func(*admin.Client, context.Context, string, netip.AddrPort) error

// serverVerb is a verb on one server of one service, or of every service that
// has it: a machine that goes down for maintenance goes down for all.
func (a *app) serverVerb(verb, short string, do serverAction) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " [SERVICE] IP:PORT",
		Short: short,
		Long:  short + ".\n\nWithout SERVICE: in every service that has the server.",
		Args:  usage(1, 2, "[SERVICE] IP:PORT"), ValidArgsFunction: a.completeServer(true),
		RunE: func(c *cobra.Command, args []string) error {
			return a.onServers(c, args, do)
		},
	}
}

// onServers does something to the server that args name.
func (a *app) onServers(c *cobra.Command, args []string, do serverAction) error {
	server, err := parseServer(c, args[len(args)-1])
	if err != nil {
		return err
	}
	return a.act(c, func(ctx context.Context, d *admin.Client) error {
		if len(args) == 2 {
			return do(d, ctx, args[0], server)
		}
		services, err := servicesOf(ctx, c, d, server)
		if err != nil {
			return err
		}
		for _, service := range services {
			if err := do(d, ctx, service, server); err != nil {
				return err
			}
		}
		return nil
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
	return &cobra.Command{
		Use:   "weight [SERVICE] IP:PORT WEIGHT",
		Short: "Set a server's weight at run time",
		Long: `Set a server's weight. 0 gives it no new connections, as ipvsadm users know it.

Without SERVICE: in every service that has the server.`,
		Args: usage(2, 3, "[SERVICE] IP:PORT WEIGHT"), ValidArgsFunction: a.completeServer(true),
		RunE: func(c *cobra.Command, args []string) error {
			last := len(args) - 1
			weight, err := parseWeight(c, args[last])
			if err != nil {
				return err
			}
			return a.onServers(c, args[:last], func(d *admin.Client, ctx context.Context, service string, server netip.AddrPort) error {
				return d.SetWeight(ctx, service, server, weight)
			})
		},
	}
}

func (a *app) serverAdd() *cobra.Command {
	var weight int
	c := &cobra.Command{
		Use:   "add SERVICE IP:PORT",
		Short: "Add a server to a service at run time",
		Args:  usage(2, 2, "SERVICE IP:PORT"), ValidArgsFunction: a.completeServer(false),
	}
	c.Flags().IntVar(&weight, "weight", 1, "its weight")
	c.RegisterFlagCompletionFunc("weight", words())
	c.RunE = func(c *cobra.Command, args []string) error {
		server, err := parseServer(c, args[1])
		if err != nil {
			return err
		}
		spec := admin.ServerSpec{Address: server}
		if c.Flags().Changed("weight") {
			if _, err := parseWeight(c, strconv.Itoa(weight)); err != nil {
				return err
			}
			spec.Weight = &weight
		}
		return a.act(c, func(ctx context.Context, d *admin.Client) error {
			return d.AddServer(ctx, args[0], spec)
		})
	}
	return c
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
