package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"fleetlb/cmd/fleetlb/foreign"
	"fleetlb/node/admin"
)

// mostForeign is what a file to import may hold.
const mostForeign = 16 << 20

func (a *app) importer() *cobra.Command {
	var blocks []string
	c := &cobra.Command{
		Use: "import [keepalived.conf|ipvsadm-save] FILE", GroupID: groupWhy,
		Short: "Write fleetlb's configuration for what another program was told",
		Long: `Read a keepalived.conf, or what ipvsadm-save prints, and write the same as a
director's configuration to standard output. What could not be carried over is
listed on standard error with its line. FILE is - for standard input; which of
the two it is shows from its text unless it is said.`,
		Example: `  fleetlb import /etc/keepalived/keepalived.conf >lb1.toml && fleetlbd -check lb1.toml
  ipvsadm-save -n | fleetlb import ipvsadm-save - --local-addresses 10.2.1.0/28`,
		Args: usage(1, 2, "[keepalived.conf|ipvsadm-save] FILE"),
	}
	c.Flags().StringSliceVar(&blocks, "local-addresses", nil, "the director's own block, which FULLNAT needs, such as 10.2.1.0/28")
	c.RunE = func(c *cobra.Command, args []string) error {
		form, file := "", args[len(args)-1]
		if len(args) == 2 {
			form = strings.TrimSuffix(strings.TrimSuffix(args[0], ".conf"), "-save")
			if form != "keepalived" && form != "ipvsadm" {
				return misused("import: %q is neither keepalived.conf nor ipvsadm-save", args[0])
			}
		}
		for _, b := range blocks {
			if _, err := netip.ParsePrefix(b); err != nil {
				return misused("import: --local-addresses %q is not a prefix such as 10.2.1.0/28", b)
			}
		}
		text, err := readForeign(file)
		if err != nil {
			return admin.Errorf(admin.Refused, "import: %v", err)
		}
		if form == "" {
			if form, err = formOf(text); err != nil {
				return admin.Errorf(admin.Refused, "import: %s: %v", file, err)
			}
		}
		var site *foreign.Site
		if form == "ipvsadm" {
			site = foreign.Rules(c.Context(), bytes.NewReader(text))
		} else {
			site = foreign.Keepalived(string(text))
		}
		if len(site.Services) > 0 {
			fmt.Fprint(a.stdout, site.TOML(file, blocks))
		}
		for _, n := range site.Notes {
			fmt.Fprintf(a.stderr, "fleetlb: import: %s: %v\n", file, n)
		}
		if site.Fullnat() && len(blocks) == 0 {
			fmt.Fprintf(a.stderr, "fleetlb: import: %s: FULLNAT needs local addresses: give --local-addresses, or write [fullnat] into the file\n", file)
		}
		if len(site.Services) == 0 {
			return admin.Errorf(admin.Refused, "import: %s: no service was found in it; what is read is keepalived.conf, and what ipvsadm-save prints", file)
		}
		return nil
	}
	return c
}

func readForeign(file string) ([]byte, error) {
	var in io.Reader = os.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, mostForeign+1))
	if err == nil && len(text) > mostForeign {
		err = fmt.Errorf("%s is larger than %d MiB", file, mostForeign>>20)
	}
	return text, err
}

// others are the first words of files that people have as well.
var others = map[string]string{
	"defaults": "HAProxy", "frontend": "HAProxy", "backend": "HAProxy", "listen": "HAProxy", "global": "HAProxy",
	"events": "nginx", "http": "nginx", "stream": "nginx", "upstream": "nginx", "worker_processes": "nginx",
	"[node]": "fleetlb", "[[service]]": "fleetlb",
}

// formOf tells rules, whose lines are options, from blocks, and both from what is
// neither.
func formOf(text []byte) (string, error) {
	if bytes.IndexByte(text, 0) >= 0 {
		return "", errors.New("is no text")
	}
	for line := range bytes.Lines(text) {
		word, _, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch {
		case word == "" || word[0] == '#' || word[0] == '!':
		case word[0] == '-' || word == "ipvsadm":
			return "ipvsadm", nil
		case others[word] != "":
			return "", fmt.Errorf("looks like a file of %s's; what is read is keepalived.conf, and what ipvsadm-save prints", others[word])
		default:
			return "keepalived", nil
		}
	}
	return "keepalived", nil
}
