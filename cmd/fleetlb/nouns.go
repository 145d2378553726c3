package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"fleetlb/node/admin"
)

// nouns are the commands that print, in the order of their help.
func (a *app) nouns() []*cobra.Command {
	bgp := &cobra.Command{
		Use: "bgp", GroupID: groupLook,
		Short: "BGP neighbours and the routes announced to them",
		Args:  cobra.ArbitraryArgs, RunE: chooseCommand,
	}
	bgp.AddCommand(a.neighbors(), a.routes())
	return []*cobra.Command{
		a.status(), a.services(), a.servers(), a.traffic(), a.health(), a.sessions(), a.persistence(),
		a.nodesNoun(), a.vrrp(), bgp, a.pool(), a.drops(), a.config(),
	}
}

func (a *app) status() *cobra.Command {
	return a.noun(&cobra.Command{
		Use: "status", GroupID: groupLook,
		Short: "The director at a glance",
	}, func(ctx context.Context, d *admin.Client, _ []string) (view, error) {
		s, err := d.Status(ctx)
		return view{anys([]admin.Status{s}), func(w io.Writer) { printStatus(w, &s) }}, err
	})
}

func printStatus(w io.Writer, s *admin.Status) {
	t := newTable(w)
	t.row("node", s.Node+", "+s.State)
	t.row("process", fmt.Sprintf("%d, version %s, up %s", s.PID, s.Version, ago(s.UptimeS)))
	t.row("config", fmt.Sprintf("%s, loaded %s ago (%s)", s.ConfigFile, ago(s.ConfigAgeS), digests(s.ConfigDigest, s.RunningDigest)))
	if s.ReloadError != "" {
		t.row("", "the last reload was refused: "+s.ReloadError)
	}
	t.row("dataplane", fmt.Sprintf("%d workers on %s, steering %s, offload %s",
		s.Workers, strings.Join(s.Interfaces, ", "), s.Steering, s.Offload))
	t.row("services", fmt.Sprintf("%d of %d up", s.ServicesUp, s.Services))
	t.row("servers", fmt.Sprintf("%d of %d up", s.ServersUp, s.Servers))
	t.row("sessions", fmt.Sprintf("%s of at most %s%s, %s opened", thousands(s.SessionsHome), thousands(s.MaxSessions),
		ofOthers(s.Sessions-s.SessionsHome), count(s.Opened)))
	t.row("inbound", fmt.Sprintf("%s packets, %s", count(s.PacketsIn), size(s.BytesIn)))
	t.row("outbound", fmt.Sprintf("%s packets, %s", count(s.PacketsOut), size(s.BytesOut)))
	t.row("dropped", fmt.Sprintf("%s packets", count(s.Dropped)))
	t.row("bgp", fmt.Sprintf("%d of %d neighbours established, %d routes", s.Established, s.Neighbors, s.Routes))
	t.Flush()
}

// ofOthers adds the sessions that are here for the sake of other directors, and
// have room of their own.
func ofOthers(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and %s of other directors", thousands(n))
}

// digests are of the file, and of what runs where that is not the same.
func digests(file, running string) string {
	if running == file || running == "" {
		return file
	}
	return file + ", by command " + running
}

func (a *app) services() *cobra.Command {
	return a.noun(&cobra.Command{
		Use: "services [SERVICE]", GroupID: groupLook,
		Short: "Services: VIP, port and protocol, and what they carry",
		Long: `Services, by name.

UP is healthy servers of all servers. STATE is up, down (no server for new
connections) or sorry (only the sorry server is left). ANNOUNCED says whether
the VIP is announced on the service's behalf, which takes QUORUM healthy servers.`,
		Args: usage(0, 1, "at most one SERVICE"), ValidArgsFunction: a.completeServer(false),
	}, func(ctx context.Context, d *admin.Client, args []string) (view, error) {
		list, err := d.Services(ctx, first(args))
		return viewOf(list, "NAME VIP PROTOCOL MODE SCHEDULER STATE UP QUORUM ANNOUNCED ACTIVE INACTIVE CONNECTIONS IN OUT",
			func(s admin.Service) []string {
				return []string{s.Name, listens(&s), s.Protocol, s.Mode, s.Scheduler, s.State,
					fmt.Sprintf("%d/%d", s.ServersUp, s.Servers), number(s.Quorum), yes(s.Announced),
					number(s.Active), number(s.Inactive), count(s.Connections), size(s.BytesIn), size(s.BytesOut)}
			}), err
	})
}

func (a *app) servers() *cobra.Command {
	return a.noun(&cobra.Command{
		Use: "servers [SERVICE]", GroupID: groupLook,
		Short: "Servers, of one service or of all",
		Long: `Servers by service and address.

STATE is up, down, draining (keeps its sessions, gets no new ones), overloaded (at
its upper threshold) or sorry (the server that stands in when no other is up). ACTIVE and INACTIVE count sessions as
ipvsadm does: inactive ones are on their way out. REASON is what the health
checks have against a server.`,
		Args: usage(0, 1, "at most one SERVICE"), ValidArgsFunction: a.completeServer(false),
	}, func(ctx context.Context, d *admin.Client, args []string) (view, error) {
		service := first(args)
		list, err := d.Servers(ctx, service)
		if err != nil {
			return view{}, err
		}
		reasons := map[string]string{}
		if a.output == "table" {
			checks, err := d.Health(ctx, service)
			if err != nil {
				return view{}, err
			}
			for _, h := range checks {
				reasons[h.Service+" "+h.Address.String()] = h.Reason
			}
		}
		return viewOf(list, "SERVICE ADDRESS MODE WEIGHT STATE ACTIVE INACTIVE REASON", func(s admin.Server) []string {
			return []string{s.Service, place(s.Address), s.Mode, number(s.Weight), s.State,
				number(s.Active), number(s.Inactive), reasons[s.Service+" "+s.Address.String()]}
		}), nil
	})
}

func (a *app) health() *cobra.Command {
	return a.noun(&cobra.Command{
		Use: "health [SERVICE]", GroupID: groupLook,
		Short: "What the health checks say, and why",
		Long: `Health checks by service and server.

STATE is up, down, unchecked (no result yet) or flapping: it passes its checks and
is held down because it fell too often lately.`,
		Args: usage(0, 1, "at most one SERVICE"), ValidArgsFunction: a.completeServer(false),
	}, func(ctx context.Context, d *admin.Client, args []string) (view, error) {
		list, err := d.Health(ctx, first(args))
		return viewOf(list, "SERVICE ADDRESS CHECK STATE SINCE CHECKS FAILURES LAST REASON", func(h admin.Health) []string {
			return []string{h.Service, place(h.Address), h.Check, h.State, ago(h.SinceS),
				count(h.Checks), count(h.Failures), took(h.DurationUS), h.Reason}
		}), err
	})
}

func (a *app) persistence() *cobra.Command {
	return a.noun(&cobra.Command{
		Use: "persistence [SERVICE]", GroupID: groupLook,
		Short: "Client networks and the servers they keep",
		Long: `Client networks that have a server to themselves for longer than a connection,
by service and address.

EXPIRES is how long it takes until a network may be given another server, once
none of the SESSIONS on this director holds it any longer.`,
		Args: usage(0, 1, "at most one SERVICE"), ValidArgsFunction: a.completeServer(false),
	}, func(ctx context.Context, d *admin.Client, args []string) (view, error) {
		list, err := d.Persistence(ctx, first(args))
		return viewOf(list, "SERVICE CLIENT SERVER EXPIRES SESSIONS", func(p admin.Persistence) []string {
			return []string{p.Service, prefix(p.Client), place(p.Server), ago(p.ExpiresS), number(p.Sessions)}
		}), err
	})
}

// listens is a service's VIP with its ports, and how many others it has.
func listens(s *admin.Service) string {
	text := place(s.VIP)
	if s.Ports != "" {
		text = strings.TrimSuffix(text, "0") + s.Ports
	}
	if n := len(s.VIPs); n > 0 {
		text += fmt.Sprintf("+%d", n)
	}
	return text
}

func (a *app) nodesNoun() *cobra.Command {
	return a.noun(&cobra.Command{
		Use: "nodes", GroupID: groupLook,
		Short: "The directors of the fleet",
		Long: `The directors of the fleet, as this one knows them.

STATE is serving, syncing (it has just started or woken, learns the sessions and
announces nothing yet), draining, leaving, left (by its own will) or dead. SLOTS is
how many of the 256 slots it holds replicas of, of those that it shall. LAG is how
long another director took to acknowledge its news, lately; AT-RISK how many of its
sessions none has acknowledged yet; VIPS how many VIPs it answers for where they are
on a LAN. PROBLEM is why it does not fit into the fleet.`,
	}, func(ctx context.Context, d *admin.Client, _ []string) (view, error) {
		list, err := d.Nodes(ctx)
		return viewOf(list, "NAME ADDRESS STATE SINCE SESSIONS SLOTS LAG AT-RISK VIPS CONFIG VERSION PROBLEM", func(n admin.Node) []string {
			return []string{n.Name, place(n.Address), n.State, ago(n.SinceS), number(n.Sessions),
				fmt.Sprintf("%d/%d", n.Slots, n.SlotsOf), fmt.Sprintf("%dms", n.SyncLagMS), number(n.AtRisk), number(n.VIPs),
				n.ConfigDigest, n.Version, n.Problem}
		}), err
	})
}

func (a *app) vrrp() *cobra.Command {
	return a.noun(&cobra.Command{
		Use: "vrrp", GroupID: groupLook,
		Short: "VIPs on a LAN that are held in turn with other routers",
		Long: `VIPs on a LAN that are held in turn with other routers, by group.

STATE is active (this director holds the VIPs), backup, or init: it takes no part,
because it drains, no service of the group has its quorum, or for the PROBLEM that
is named. HOLDER is the router that holds them, with its priority. TAKEN is how
often this director has taken them over, REASON why the state changed last.`,
	}, func(ctx context.Context, d *admin.Client, _ []string) (view, error) {
		list, err := d.VRRP(ctx)
		return viewOf(list, "NAME INTERFACE ID VIPS STATE SINCE PRIORITY HOLDER INTERVAL TAKEN REASON PROBLEM", func(g admin.VRRP) []string {
			holder, vips := "", make([]string, len(g.VIPs))
			if g.Active.IsValid() {
				holder = fmt.Sprintf("%s (%d)", g.Active, g.ActivePriority)
			}
			for i, a := range g.VIPs {
				vips[i] = a.String()
			}
			return []string{g.Name, g.Interface, number(g.ID), strings.Join(vips, " "), g.State, ago(g.SinceS), number(g.Priority),
				holder, fmt.Sprintf("%dms", g.IntervalMS), count(g.Transitions), g.Reason, g.Problem}
		}), err
	})
}

func (a *app) neighbors() *cobra.Command {
	return a.noun(&cobra.Command{
		Use:   "neighbors",
		Short: "The routers this director talks to",
	}, func(ctx context.Context, d *admin.Client, _ []string) (view, error) {
		list, err := d.Neighbors(ctx)
		return viewOf(list, "ADDRESS ASN STATE UPTIME ANNOUNCED BFD", func(n admin.Neighbor) []string {
			return []string{n.Address.String(), number(n.ASN), n.State, ago(n.UptimeS), number(n.Announced), n.BFD}
		}), err
	})
}

func (a *app) routes() *cobra.Command {
	return a.noun(&cobra.Command{
		Use:   "routes",
		Short: "The prefixes this director wants traffic for",
		Long: `Prefixes this director announces, and what for. NEIGHBORS is how many routers
have been sent the route.`,
	}, func(ctx context.Context, d *admin.Client, _ []string) (view, error) {
		list, err := d.Routes(ctx)
		return viewOf(list, "PREFIX FOR PREPEND MED COMMUNITIES NEIGHBORS", func(r admin.Route) []string {
			return []string{prefix(r.Prefix), r.For, number(r.Prepend), number(r.MED),
				strings.Join(r.Communities, " "), number(r.Neighbors)}
		}), err
	})
}

func (a *app) pool() *cobra.Command {
	return a.noun(&cobra.Command{
		Use: "pool", GroupID: groupLook,
		Short: "Local addresses and how many of their ports are in use",
		Long: `Local addresses, which stand in for clients towards the servers.

Every server has all PORTS of an address to itself, so TAKEN, the ports in use
towards the BUSIEST server, says how near the end is.`,
	}, func(ctx context.Context, d *admin.Client, _ []string) (view, error) {
		list, err := d.Pool(ctx)
		return viewOf(list, "ADDRESS PORTS SESSIONS BUSIEST TAKEN", func(p admin.Pool) []string {
			return []string{p.Address.String(), number(p.Ports), number(p.Sessions), place(p.BusiestServer), number(p.BusiestPorts)}
		}), err
	})
}

func (a *app) drops() *cobra.Command {
	return a.noun(&cobra.Command{
		Use: "drops", GroupID: groupLook,
		Short: "Dropped packets, by reason",
	}, func(ctx context.Context, d *admin.Client, _ []string) (view, error) {
		list, err := d.Drops(ctx)
		return viewOf(list, "REASON PACKETS", func(d admin.Drop) []string {
			return []string{d.Reason, number(d.Packets)}
		}), err
	})
}

func (a *app) config() *cobra.Command {
	c := a.noun(&cobra.Command{
		Use: "config", GroupID: groupLook,
		Short: "The running configuration, every default filled in",
		Long: `The running configuration as TOML, with every default filled in and with the
changes made by command since it was loaded, which are also listed at the top.`,
	}, func(ctx context.Context, d *admin.Client, _ []string) (view, error) {
		c, err := d.Config(ctx)
		return view{anys([]admin.Config{c}), func(w io.Writer) {
			fmt.Fprintf(w, "# %s, loaded %s ago (%s)\n", c.File, ago(c.AgeS), digests(c.Digest, c.Running))
			for _, change := range c.Runtime {
				fmt.Fprintf(w, "# changed since: %s\n", change)
			}
			fmt.Fprintf(w, "\n%s\n", strings.Trim(c.TOML, "\n"))
		}}, err
	})
	c.AddCommand(a.configSave(), a.configRevert())
	return c
}

func (a *app) configSave() *cobra.Command {
	return &cobra.Command{
		Use:   "save",
		Short: "Write what was changed by command into a file that a restart reads",
		Long: `Write what was changed by command into fleetlb-saved.toml, in the directory of the
first include pattern that reads it there, and reload. The operator's own files
stay as they are; what was saved is laid over them. A file of that name which
config save did not write, or which has been changed since, is left alone.`,
		Args: usage(0, 0, ""), ValidArgsFunction: nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.act(c, func(ctx context.Context, d *admin.Client) error {
				file, err := d.Save(ctx)
				if err == nil {
					fmt.Fprintln(a.stdout, file)
				}
				return err
			})
		},
	}
}

func (a *app) configRevert() *cobra.Command {
	c := &cobra.Command{
		Use:   "revert",
		Short: "Forget what was changed by command: back to what the files say",
		Long: `Forget what was changed by command on this director alone; with --fleet what was
changed on all. What config save has written is in a file, and stays.`,
		Args: usage(0, 0, ""), ValidArgsFunction: nothing,
	}
	fleet := fleetFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.edit(c, admin.Edit{Verb: "forget", Fleet: *fleet})
	}
	return c
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func prefix(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}
