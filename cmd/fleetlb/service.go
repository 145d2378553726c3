package main

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fleetlb/node/admin"
)

func (a *app) serviceVerbs() *cobra.Command {
	g := group("service", "Add, edit and delete services")
	remove := &cobra.Command{
		Use:   "delete SERVICE",
		Short: "Delete a service at run time",
		Args:  usage(1, 1, "one SERVICE"), ValidArgsFunction: a.completeServer(false),
	}
	fleet := fleetFlag(remove)
	remove.RunE = func(c *cobra.Command, args []string) error {
		return a.edit(c, admin.Edit{Verb: "delete", Service: args[0], Fleet: *fleet})
	}
	g.AddCommand(a.serviceAdd(), a.serviceEdit(), remove)
	return g
}

// fleetFlag is on every command that changes the services.
func fleetFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("fleet", false, "on all directors of the fleet, not on this one alone")
}

// edit changes the services, all at once.
func (a *app) edit(c *cobra.Command, edits ...admin.Edit) error {
	return a.act(c, func(ctx context.Context, d *admin.Client) error { return d.Edit(ctx, edits) })
}

const keysHelp = `KEY=VALUE is any key of the configuration file's table, those of tables below it
with a dot: check.path=/healthz timeouts.established=15m. Lists are said with
commas. KEY= takes a key back to its default.`

func (a *app) serviceAdd() *cobra.Command {
	var servers []string
	c := &cobra.Command{
		Use:   "add SERVICE --vip IP:PORT [KEY=VALUE ...]",
		Short: "Add a service at run time",
		Long: `Add a service. What is not said has the default of the configuration file, whose
rules apply.

` + keysHelp,
		Example: `  fleetlb service add web --vip 203.0.113.10:80 --scheduler wrr \
      --server 10.3.0.11:8080 --server 10.3.0.12:8080=3 \
      --check http --check-path /healthz --check-status 200-299,404
  fleetlb service add dns vip=203.0.113.53:53 protocol=udp timeouts.udp=10s`,
		Args: usage(1, 1<<20, "one SERVICE and its --vip"), ValidArgsFunction: nothing,
	}
	set := serviceFlags(c)
	c.Flags().StringArrayVar(&servers, "server", nil, "a server, IP:PORT or IP:PORT=WEIGHT; may be repeated")
	fleet := fleetFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		words, err := set.words(c, args[1:])
		if err != nil {
			return err
		}
		if words["vip"] == "" {
			return misused("%swant --vip IP:PORT", nounOf(c))
		}
		edits := []admin.Edit{{Verb: "add", Service: args[0], Set: words, Fleet: *fleet}}
		for _, s := range servers {
			one, err := parseServerSpec(c, s)
			if err != nil {
				return err
			}
			one.Service, one.Fleet = args[0], *fleet
			edits = append(edits, one)
		}
		return a.edit(c, edits...)
	}
	return c
}

func (a *app) serviceEdit() *cobra.Command {
	c := &cobra.Command{
		Use:   "edit SERVICE KEY=VALUE ...",
		Short: "Change a service at run time; what is not named stays",
		Long: `Change a service. What is not named stays as it is.

` + keysHelp,
		Example: `  fleetlb service edit web scheduler=mh scheduler_flags=mh-port,mh-fallback
  fleetlb service edit web check.path=/healthz check.interval=
  fleetlb service edit web --sorry-server 10.3.0.99:80`,
		Args: usage(1, 1<<20, "one SERVICE and what to change"), ValidArgsFunction: a.completeServer(false),
	}
	set := serviceFlags(c)
	fleet := fleetFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		words, err := set.words(c, args[1:])
		if err != nil {
			return err
		}
		if len(words) == 0 {
			return misused("%swant KEY=VALUE: what to change", nounOf(c))
		}
		return a.edit(c, admin.Edit{Verb: "edit", Service: args[0], Set: words, Fleet: *fleet})
	}
	return c
}

// A keyFlag is a flag that sets a key.
type keyFlag struct{ flag, key, help string }

// keyFlags are for what is said most often. Every key can be said by its name.
type keyFlags []keyFlag

var ofService = keyFlags{
	{"vip", "vip", "the VIP and port, IP:PORT"},
	{"protocol", "protocol", "tcp or udp"},
	{"mode", "mode", "fullnat, nat, dr or tun"},
	{"scheduler", "scheduler", "such as wrr, wlc or mh"},
	{"quorum", "quorum", "healthy servers needed to announce the VIP"},
	{"sorry-server", "sorry_server", "stands in when no server is up, IP:PORT"},
	{"persistence", "persistence", "how long a client keeps its server, such as 300s"},
	{"check", "check.type", "tcp, http, https, udp, dns, ping, exec or none"},
	{"check-interval", "check.interval", "from one check to the next, such as 2s"},
	{"check-timeout", "check.timeout", "for one check"},
	{"check-rise", "check.rise", "good results in a row that bring a server up"},
	{"check-fall", "check.fall", "bad results in a row that take it down"},
	{"check-port", "check.port", "the port to check, if not the server's own"},
	{"check-method", "check.method", "http: the method"},
	{"check-path", "check.path", "http: the path"},
	{"check-host", "check.host", "http: the Host header"},
	{"check-status", "check.status", "http: good statuses, such as 200 or 200-299,404"},
	{"check-expect", "check.expect", "text the answer must contain"},
	{"check-query", "check.dns_name", "dns: the name to ask for"},
}

// places are the keys whose value can be looked at before anybody is asked.
var places = []string{"vip", "sorry_server"}

func serviceFlags(c *cobra.Command) keyFlags {
	flags := c.Flags()
	flags.SortFlags = false
	for _, f := range ofService {
		flags.String(f.flag, "", f.help)
	}
	flags.StringArray("check-command", nil, "exec: the program, and again for each argument")
	flags.VisitAll(func(f *pflag.Flag) { c.RegisterFlagCompletionFunc(f.Name, words(choices[f.Name]...)) })
	return ofService
}

var choices = map[string][]string{
	"protocol": {"tcp", "udp"},
	"mode":     {"fullnat", "nat", "dr", "tun"},
	"scheduler": {"rr", "wrr", "lc", "wlc", "sed", "nq", "dh", "sh", "lblc", "lblcr", "mh",
		"fo", "ovf", "twos"},
	"check": {"tcp", "http", "https", "udp", "dns", "ping", "exec", "none"},
}

// words is what flags and arguments say of the keys.
func (k keyFlags) words(c *cobra.Command, args []string) (map[string]string, error) {
	set, err := assignments(c, args)
	if err != nil {
		return nil, err
	}
	for _, f := range k {
		if given := c.Flags().Lookup(f.flag); given.Changed {
			set[f.key] = given.Value.String()
		}
	}
	if command, _ := c.Flags().GetStringArray("check-command"); len(command) > 0 {
		list, err := json.Marshal(command) // what JSON says of strings, TOML says too
		if err != nil {
			return nil, misused("%s--check-command: %v", nounOf(c), err)
		}
		set["check.command"] = string(list)
	}
	for _, f := range k {
		if word := set[f.key]; word != "" && slices.Contains(places, f.key) {
			if _, err := netip.ParseAddrPort(word); err != nil {
				return nil, misused("%s--%s %q is not IP:PORT", nounOf(c), f.flag, word)
			}
		}
	}
	return set, wholeCheck(c, set)
}

// assignments reads KEY=VALUE.
func assignments(c *cobra.Command, args []string) (map[string]string, error) {
	set := map[string]string{}
	for _, arg := range args {
		key, word, ok := strings.Cut(arg, "=")
		key = strings.ReplaceAll(key, "-", "_")
		if _, twice := set[key]; !ok || key == "" || twice {
			if twice {
				return nil, misused("%s%s is said twice", nounOf(c), key)
			}
			return nil, misused("%s%q is not KEY=VALUE", nounOf(c), arg)
		}
		set[key] = word
	}
	return set, nil
}

// wholeCheck refuses the particulars of a new service's check that has no type.
func wholeCheck(c *cobra.Command, set map[string]string) error {
	if c.Name() != "add" || set["check.type"] != "" {
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

// parseServerSpec reads IP:PORT or IP:PORT=WEIGHT.
func parseServerSpec(c *cobra.Command, s string) (admin.Edit, error) {
	at, weight, weighed := strings.Cut(s, "=")
	server, err := parseServer(c, at)
	e := admin.Edit{Verb: "add", Server: server}
	if err == nil && weighed {
		if _, err = parseWeight(c, weight); err == nil {
			e.Set = map[string]string{"weight": weight}
		}
	}
	return e, err
}
