package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"fleetlb/node/admin"
)

func (a *app) traffic() *cobra.Command {
	c := a.noun(&cobra.Command{
		Use: "traffic [SERVICE]", GroupID: groupLook,
		Short: "What services and servers carry, and carry a second",
		Long: `What services and their servers have carried since they were added or the counters
were zeroed, and what they carry a second: an average over some eight seconds. A
service's own row is the sum of its servers'.`,
		Args: usage(0, 1, "at most one SERVICE"), ValidArgsFunction: a.completeServer(false),
	}, func(ctx context.Context, d *admin.Client, args []string) (view, error) {
		list, err := d.Traffic(ctx, first(args))
		return viewOf(list, "SERVICE SERVER CONNECTIONS PKTS-IN PKTS-OUT IN OUT CONN/S PKTS-IN/S PKTS-OUT/S IN/S OUT/S",
			func(t admin.Traffic) []string {
				return []string{t.Service, place(t.Server), count(t.Connections), count(t.PacketsIn), count(t.PacketsOut),
					size(t.BytesIn), size(t.BytesOut), perSecond(t.ConnectionRate), perSecond(t.PacketInRate), perSecond(t.PacketOutRate),
					size(uint64(t.ByteInRate + 0.5)), size(uint64(t.ByteOutRate + 0.5))}
			}), err
	})
	c.AddCommand(&cobra.Command{
		Use:   "zero [SERVICE]",
		Short: "Count from now on; what Prometheus reads goes on growing",
		Args:  usage(0, 1, "at most one SERVICE"), ValidArgsFunction: a.completeServer(false),
		RunE: func(c *cobra.Command, args []string) error {
			return a.act(c, func(ctx context.Context, d *admin.Client) error { return d.Zero(ctx, first(args)) })
		},
	})
	return c
}

// perSecond has a digit behind the point where it matters.
func perSecond(f float64) string {
	if f < 99.95 {
		return fmt.Sprintf("%.1f", f)
	}
	return count(uint64(f + 0.5))
}
