package main

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fleetlb/node/admin"
)

func (a *app) serviceVerbs() *cobra.Command {
	g := group("service", "Add and delete services")
	g.AddCommand(a.serviceAdd(), &cobra.Command{
		Use:   "delete SERVICE",
		Short: "Delete a service at run time",
		Args:  usage(1, 1, "one SERVICE"), ValidArgsFunction: a.completeServer(false),
		RunE: func(c *cobra.Command, args []string) error {
			return a.act(c, func(ctx context.Context, d *admin.Client) error {
				return d.DeleteService(ctx, args[0])
			})
		},
	})
	return g
}

func (a *app) serviceAdd() *cobra.Command {
	var vip, sorry string
	var servers []string
	var spec admin.ServiceSpec
	var check admin.CheckSpec
	c := &cobra.Command{
		Use:   "add SERVICE --vip IP:PORT",
		Short: "Add a service at run time",
		Long: `Add a service. What is not said has the default of the configuration file, whose
rules apply.`,
		Example: `  fleetlb service add web --vip 203.0.113.10:80 --scheduler wrr \
      --server 10.3.0.11:8080 --server 10.3.0.12:8080=3 \
      --check http --check-path /healthz --check-status 200-299,404`,
		Args: usage(1, 1, "one SERVICE and its --vip"), ValidArgsFunction: nothing,
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&vip, "vip", "", "the VIP and port, IP:PORT (required)")
	flags.StringVar(&spec.Protocol, "protocol", "", "tcp or udp")
	flags.StringVar(&spec.Mode, "mode", "", "fullnat, nat, dr or tun")
	flags.StringVar(&spec.Scheduler, "scheduler", "", "such as wrr, wlc or mh")
	flags.IntVar(&spec.Quorum, "quorum", 0, "healthy servers needed to announce the VIP")
	flags.StringVar(&sorry, "sorry-server", "", "stands in when no server is up, IP:PORT")
	flags.StringArrayVar(&servers, "server", nil, "a server, IP:PORT or IP:PORT=WEIGHT; may be repeated")
	flags.StringVar(&check.Type, "check", "", "tcp, http, https, udp, dns, ping, exec or none")
	flags.StringVar(&check.Interval, "check-interval", "", "from one check to the next, such as 2s")
	flags.StringVar(&check.Timeout, "check-timeout", "", "for one check")
	flags.IntVar(&check.Rise, "check-rise", 0, "good results in a row that bring a server up")
	flags.IntVar(&check.Fall, "check-fall", 0, "bad results in a row that take it down")
	flags.Uint16Var(&check.Port, "check-port", 0, "the port to check, if not the server's own")
	flags.StringVar(&check.Method, "check-method", "", "http: the method")
	flags.StringVar(&check.Path, "check-path", "", "http: the path")
	flags.StringVar(&check.Host, "check-host", "", "http: the Host header")
	flags.StringSliceVar(&check.Status, "check-status", nil, "http: good statuses, such as 200 or 200-299")
	flags.StringVar(&check.Expect, "check-expect", "", "text the answer must contain")
	flags.StringVar(&check.Query, "check-query", "", "dns: the name to ask for")
	flags.StringArrayVar(&check.Command, "check-command", nil, "exec: the program, and again for each argument")
	flags.VisitAll(func(f *pflag.Flag) { c.RegisterFlagCompletionFunc(f.Name, words(choices[f.Name]...)) })

	c.RunE = func(c *cobra.Command, args []string) (err error) {
		spec.Name = args[0]
		if spec.VIP, err = parsePlace(c, "vip", vip); err != nil {
			return err
		}
		if sorry != "" {
			if spec.SorryServer, err = parsePlace(c, "sorry-server", sorry); err != nil {
				return err
			}
		}
		for _, s := range servers {
			one, err := parseServerSpec(c, s)
			if err != nil {
				return err
			}
			spec.Servers = append(spec.Servers, one)
		}
		if err := wholeCheck(c, &check); err != nil {
			return err
		}
		if check.Type != "" {
			spec.Check = &check
		}
		return a.act(c, func(ctx context.Context, d *admin.Client) error { return d.AddService(ctx, spec) })
	}
	return c
}

var choices = map[string][]string{
	"protocol": {"tcp", "udp"},
	"mode":     {"fullnat", "nat", "dr", "tun"},
	"scheduler": {"rr", "wrr", "lc", "wlc", "sed", "nq", "dh", "sh", "lblc", "lblcr", "mh",
		"fo", "ovf", "twos"},
	"check": {"tcp", "http", "https", "udp", "dns", "ping", "exec", "none"},
}

// wholeCheck refuses the particulars of a check that has no type.
func wholeCheck(c *cobra.Command, check *admin.CheckSpec) error {
	if check.Type != "" {
		return nil
	}
	var given []string
	c.Flags().Visit(func(f *pflag.Flag) {
		if strings.HasPrefix(f.Name, "check-") {
			given = append(given, f.Name)
		}
	})
	if len(given) == 0 {
		return nil
	}
	return misused("%s--%s wants a --check of which type", nounOf(c), slices.Min(given))
}

func parsePlace(c *cobra.Command, flag, s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, misused("%swant --%s IP:PORT", nounOf(c), flag)
	}
	p, err := netip.ParseAddrPort(s)
	if err != nil {
		return p, misused("%s--%s %q is not IP:PORT", nounOf(c), flag, s)
	}
	return p, nil
}

// parseServerSpec reads IP:PORT or IP:PORT=WEIGHT.
func parseServerSpec(c *cobra.Command, s string) (admin.ServerSpec, error) {
	at, weight, weighed := strings.Cut(s, "=")
	server, err := parseServer(c, at)
	spec := admin.ServerSpec{Address: server}
	if err == nil && weighed {
		var w int
		w, err = parseWeight(c, weight)
		spec.Weight = &w
	}
	return spec, err
}
