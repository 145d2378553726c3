package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"fleetlb/cmd/version"
	"fleetlb/node/admin"
)

func (a *app) explain() *cobra.Command {
	return a.noun(&cobra.Command{
		Use: "explain PROTOCOL IP:PORT IP:PORT", GroupID: groupWhy,
		Short: "What becomes of a packet, and why",
		Long: `Follow a packet through the director without sending it: which service and slot
it belongs to, which worker has it, which server and local address it gets or has
been given already, and why.

The tuple is protocol, source and destination as on the wire; it may be one
argument, and an arrow between the ends is welcome there.`,
		Example: `  fleetlb explain tcp 198.51.100.7:4711 203.0.113.10:80
  fleetlb explain "tcp 198.51.100.7:4711 > 203.0.113.10:80"
  fleetlb explain udp [2001:db8::7]:4711 [2001:db8:80::10]:53`,
		Args: cobra.ArbitraryArgs, ValidArgsFunction: completeTuple,
	}, func(ctx context.Context, d *admin.Client, args []string) (view, error) {
		t, err := parseTuple(args)
		if err != nil {
			return view{}, err
		}
		e, err := d.Explain(ctx, t)
		return view{anys([]admin.Explanation{e}), func(w io.Writer) { printExplanation(w, &e) }}, err
	})
}

// parseTuple reads "tcp 198.51.100.7:4711 > 203.0.113.10:80", the arrow being
// ">", "->", "→" or nothing, in one argument or many.
func parseTuple(args []string) (t admin.Tuple, err error) {
	words := strings.Fields(strings.NewReplacer("->", " ", "→", " ", ">", " ").Replace(strings.Join(args, " ")))
	if len(words) == 2 || len(words) == 3 && words[2] == "-" {
		return t, misused("explain: want PROTOCOL IP:PORT IP:PORT; a > that is not quoted is the shell's")
	}
	if len(words) != 3 {
		return t, misused("explain: want PROTOCOL IP:PORT IP:PORT")
	}
	t.Protocol = strings.ToLower(words[0])
	if t.Protocol != "tcp" && t.Protocol != "udp" {
		return t, misused("explain: protocol %q is neither tcp nor udp", words[0])
	}
	if t.Src, err = netip.ParseAddrPort(words[1]); err != nil {
		return t, misused("explain: source %q is not IP:PORT", words[1])
	}
	if t.Dst, err = netip.ParseAddrPort(words[2]); err != nil {
		return t, misused("explain: destination %q is not IP:PORT", words[2])
	}
	if t.Src.Addr().Is4() != t.Dst.Addr().Is4() {
		return t, misused("explain: %v and %v are not of one family", t.Src.Addr(), t.Dst.Addr())
	}
	return t, nil
}

func printExplanation(w io.Writer, e *admin.Explanation) {
	t := newTable(w)
	say := func(what, value string) {
		if value != "" {
			t.row(what, value)
		}
	}
	index := func(n int) string {
		if n < 0 {
			return ""
		}
		return number(n)
	}
	say("packet", fmt.Sprintf("%s %v > %v", e.Protocol, e.Src, e.Dst))
	say("direction", e.Direction)
	say("service", e.Service)
	say("slot", index(e.Slot))
	say("worker", index(e.Worker))
	say("session", e.Session)
	say("scheduler", e.Scheduler)
	say("server", place(e.Server))
	say("local", place(e.Local))
	say("next hop", e.NextHop)
	say("verdict", e.Verdict)
	t.Flush()
	for i, step := range e.Why {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%2d. %s\n", i+1, step)
	}
}

func (a *app) doctor() *cobra.Command {
	var ill int
	c := a.noun(&cobra.Command{
		Use: "doctor", GroupID: groupWhy,
		Short: "Host settings and conditions that would hurt",
		Long: `Look for what would hurt: forwarding and reverse path filters, offloads, addresses
configured on the host that should not be, MTUs, limits. What is wrong comes first.

The exit code is 1 if a check fails; a warning is no failure.`,
	}, func(ctx context.Context, d *admin.Client, _ []string) (view, error) {
		list, err := d.Doctor(ctx)
		ill = 0
		for _, f := range list {
			if f.State == "fail" {
				ill++
			}
		}
		return viewOf(list, "STATE CHECK FOUND ADVICE", func(f admin.Finding) []string {
			return []string{f.State, f.Check, f.Found, f.Advice}
		}), err
	})
	examine := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := examine(c, args); err != nil {
			return err
		}
		switch ill {
		case 0:
			return nil
		case 1:
			return admin.Errorf(admin.Refused, "doctor: 1 check failed")
		}
		return admin.Errorf(admin.Refused, "doctor: %d checks failed", ill)
	}
	return c
}

// changed is what a reload did.
func changed(changes []admin.Change) view {
	return view{anys(changes), func(w io.Writer) {
		if len(changes) == 0 {
			fmt.Fprintln(w, "nothing changed")
		}
		for _, c := range changes {
			fmt.Fprintln(w, c.Change)
		}
	}}
}

func (a *app) version() *cobra.Command {
	type build struct {
		Version string `json:"version"`
		Go      string `json:"go"`
		OS      string `json:"os"`
		Arch    string `json:"arch"`
	}
	return &cobra.Command{
		Use: "version", GroupID: groupWhy,
		Short: "The version of this program; status has the director's",
		Args:  usage(0, 0, ""), ValidArgsFunction: nothing,
		RunE: func(*cobra.Command, []string) error {
			b := build{version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
			return a.print(view{anys([]build{b}), func(w io.Writer) {
				fmt.Fprintf(w, "fleetlb %s (%s %s/%s)\n", b.Version, b.Go, b.OS, b.Arch)
			}})
		},
	}
}
