package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"fleetlb/node/admin"
)

// keyring is the keys that the directors speak to each other with.
func (a *app) keyring() *cobra.Command {
	g := group("keyring", "The keys that the directors of the fleet speak to each other with")
	g.Long = `The keys that the directors of the fleet speak to each other with.

Every director takes messages under any of its keys and sends with the first. To
change the key without a message lost: add a new one, use it, remove the old one.
Each command acts on the whole fleet and on the key file of every director, and
says what each of them holds then; one that cannot be reached is named, and is to
be told again once it is back.`
	list := a.noun(&cobra.Command{
		Use:   "list",
		Short: "Which keys every director holds",
		Long:  "Directors and the ids of their keys. The first key is sent with.",
	}, func(ctx context.Context, d *admin.Client, _ []string) (view, error) {
		holders, err := d.Keyring(ctx)
		return holding(holders), err
	})
	change := func(use, short string, least int, form string, do func(*admin.Client, context.Context, string) ([]admin.KeyHolder, error)) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short,
			Args: usage(least, 1, form), ValidArgsFunction: nothing,
			RunE: func(c *cobra.Command, args []string) error {
				return a.act(c, func(ctx context.Context, d *admin.Client) error {
					holders, err := do(d, ctx, first(args))
					if err != nil {
						return err
					}
					if err := a.print(holding(holders)); err != nil {
						return err
					}
					return untold(c, holders)
				})
			},
		}
	}
	g.AddCommand(list,
		change("add [KEY]", "Give every director a key: 32 bytes in base64, or a new one", 0, "at most one KEY", (*admin.Client).AddKey),
		change("use ID", "Have every director send with a key that all have", 1, "the ID of a key", (*admin.Client).UseKey),
		change("remove ID", "Have every director forget a key that none sends with", 1, "the ID of a key", (*admin.Client).RemoveKey),
	)
	return g
}

func holding(holders []admin.KeyHolder) view {
	return viewOf(holders, "MEMBER KEYS PROBLEM", func(h admin.KeyHolder) []string {
		return []string{h.Member, strings.Join(h.Keys, " "), h.Error}
	})
}

// untold is an error if a director was not told.
func untold(c *cobra.Command, holders []admin.KeyHolder) error {
	for _, h := range holders {
		if h.Error != "" {
			return admin.Errorf(admin.Refused, "%s%s was not told: %s", nounOf(c), h.Member, h.Error)
		}
	}
	return nil
}
