package main

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleetlb/cmd/version"
	"fleetlb/node/admin"
)

// app is one run of the program.
type app struct {
	stdout *bufio.Writer
	stderr io.Writer

	socket   string
	output   string
	interval interval
}

const (
	groupLook = "look"
	groupAct  = "act"
	groupWhy  = "why"
)

func (a *app) root() *cobra.Command {
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:   "fleetlb",
		Short: "Look at and steer a fleetlb director",
		Long: `fleetlb looks at and steers the fleetlb director on this machine.

Nouns print, verbs change. A verb that succeeds says nothing. Errors go to
standard error as "fleetlb: noun: cause"; the exit code is 0 when it is done,
1 when it was refused or failed, 2 when the command was not understood.`,
		Example: `  fleetlb status
  fleetlb servers web
  fleetlb sessions --client 198.51.100.0/24 -w
  fleetlb server drain web 10.3.0.11:8080
  fleetlb explain tcp 198.51.100.7:4711 203.0.113.10:80
  fleetlb -o json services | jq '.[] | select(.state != "up").name'`,
		Args:              cobra.ArbitraryArgs,
		RunE:              chooseCommand,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: a.checkFlags,
		Version:           version.String(),
	}
	root.SetVersionTemplate("fleetlb {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return misused("%s%s", nounOf(c), oneLine(err.Error()))
	})
	root.AddGroup(
		&cobra.Group{ID: groupLook, Title: "Look at:"},
		&cobra.Group{ID: groupAct, Title: "Change:"},
		&cobra.Group{ID: groupWhy, Title: "Understand:"},
	)
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVar(&a.socket, "socket", "", "the director's socket (default $FLEETLB_SOCKET, else "+admin.DefaultSocket+")")
	flags.StringVarP(&a.output, "output", "o", "table", "how to print: table or json")
	flags.VarP(&a.interval, "watch", "w", "print again every so often, until interrupted")
	flags.Lookup("watch").NoOptDefVal = "2s"
	root.RegisterFlagCompletionFunc("output", words("table", "json"))
	root.RegisterFlagCompletionFunc("watch", words())

	root.AddCommand(a.nouns()...)
	root.AddCommand(a.serverVerbs(), a.serviceVerbs(), a.nodeVerbs(), a.keyring(), a.reload(), a.ipvs())
	root.AddCommand(a.explain(), a.doctor(), a.importer(), a.version(), a.completion())
	root.InitDefaultVersionFlag()
	root.SetHelpCommand(help(root))
	root.CompletionOptions.DisableDefaultCmd = true // it takes any shell for none
	root.SetUsageTemplate(usageTemplate)
	return root
}

// usageTemplate is cobra's without what repeats itself.
const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}
{{if .HasExample}}
Examples:
{{.Example}}
{{end}}{{if .HasAvailableSubCommands}}{{$cmds := .Commands}}{{if eq (len .Groups) 0}}
Commands:{{range $cmds}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{else}}{{range $group := .Groups}}
{{.Title}}{{range $cmds}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Global flags:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableSubCommands}}
{{.CommandPath}} COMMAND --help says more.
{{end}}`

// checkFlags refuses what no command understands.
func (a *app) checkFlags(c *cobra.Command, _ []string) error {
	if a.output != "table" && a.output != "json" {
		return misused("output: %q is neither table nor json", a.output)
	}
	if a.interval != 0 && c.Annotations["watch"] == "" && c.Runnable() {
		return misused("%sthere is nothing to watch", nounOf(c))
	}
	return nil
}

// director is the one this run talks to.
func (a *app) director() *admin.Client {
	return admin.NewClient(cmp.Or(a.socket, os.Getenv("FLEETLB_SOCKET"), admin.DefaultSocket))
}

// Patience with a director that is there and does not answer.
const (
	readPatience = 10 * time.Second
	actPatience  = time.Minute
)

// act runs a verb.
func (a *app) act(c *cobra.Command, do func(context.Context, *admin.Client) error) error {
	ctx, cancel := context.WithTimeout(c.Context(), actPatience)
	defer cancel()
	return do(ctx, a.director())
}

// chooseCommand is what a command does that only has others under it.
func chooseCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		c.SetOut(c.ErrOrStderr())
		c.Help()
		return errSilent
	}
	noun := nounOf(c)
	if noun == "" {
		noun = "command: "
	}
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return misused("%sthere is no %q; did you mean %q?", noun, args[0], near[0])
	}
	return misused("%sthere is no %q; see %s --help", noun, args[0], c.CommandPath())
}

func help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "help [COMMAND]",
		Short:  "Print the help of a command",
		Hidden: true, // --help is known to all
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return chooseCommand(c, rest)
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

// nounOf is how errors of a command begin: "bgp neighbors: ".
func nounOf(c *cobra.Command) string {
	_, path, _ := strings.Cut(c.CommandPath(), " ")
	if path == "" {
		return ""
	}
	return path + ": "
}

// usage wants between least and most arguments; form says what they are.
func usage(least, most int, form string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) >= least && len(args) <= most:
			return nil
		case most == 0:
			return misused("%stakes no %q", nounOf(c), args[0])
		}
		return misused("%swant %s", nounOf(c), form)
	}
}

func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", " ") }
