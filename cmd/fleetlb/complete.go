package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleetlb/node/admin"
)

// shells are those we write completions for.
var shells = map[string]func(*cobra.Command, io.Writer) error{
	"bash": func(c *cobra.Command, w io.Writer) error { return c.GenBashCompletionV2(w, true) },
	"fish": func(c *cobra.Command, w io.Writer) error { return c.GenFishCompletion(w, true) },
	"zsh":  (*cobra.Command).GenZshCompletion,
}

func (a *app) completion() *cobra.Command {
	return &cobra.Command{
		Use: "completion bash|fish|zsh", GroupID: groupWhy,
		Short: "A script that teaches a shell to complete fleetlb's commands",
		Example: `  fleetlb completion bash >/etc/bash_completion.d/fleetlb
  fleetlb completion fish >/etc/fish/completions/fleetlb.fish
  fleetlb completion zsh >/usr/local/share/zsh/site-functions/_fleetlb`,
		Args: usage(1, 1, "one of bash, fish, zsh"), ValidArgsFunction: words("bash", "fish", "zsh"),
		RunE: func(c *cobra.Command, args []string) error {
			write, ok := shells[args[0]]
			if !ok {
				return misused("completion: there is no script for %q; want one of bash, fish, zsh", args[0])
			}
			return write(c.Root(), a.stdout)
		},
	}
}

// completionPatience: a shell that waits longer than this for Tab feels broken.
const completionPatience = 500 * time.Millisecond

type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// words completes from a fixed list.
func words(list ...string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

func nothing(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeService offers the services there are.
func (a *app) completeService(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	return a.ask(c, begun, func(ctx context.Context, d *admin.Client) (names []string) {
		list, _ := d.Services(ctx, "")
		for _, s := range list {
			names = append(names, s.Name)
		}
		return names
	})
}

// completeAnyServer offers the servers of all services.
func (a *app) completeAnyServer(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	return a.ask(c, begun, func(ctx context.Context, d *admin.Client) []string { return addresses(ctx, d, "") })
}

// completeServer completes SERVICE, and where addressed, its servers after it.
func (a *app) completeServer(addressed bool) completion {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return a.completeService(c, args, begun)
		case len(args) == 1 && addressed:
			return a.ask(c, begun, func(ctx context.Context, d *admin.Client) []string {
				return addresses(ctx, d, args[0])
			})
		}
		return nothing(c, args, begun)
	}
}

func addresses(ctx context.Context, d *admin.Client, service string) (list []string) {
	servers, _ := d.Servers(ctx, service)
	for _, s := range servers {
		list = append(list, s.Address.String())
	}
	return list
}

// ask completes with what the director knows, or nothing if it does not answer.
func (a *app) ask(c *cobra.Command, begun string, what func(context.Context, *admin.Client) []string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(c.Context(), completionPatience)
	defer cancel()
	list := slices.DeleteFunc(what(ctx, a.director()), func(s string) bool { return !strings.HasPrefix(s, begun) })
	slices.Sort(list)
	return slices.Compact(list), cobra.ShellCompDirectiveNoFileComp
}

func completeTuple(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return words("tcp", "udp")(c, args, begun)
	}
	return nothing(c, args, begun)
}
