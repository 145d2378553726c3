package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"fleetlb/cmd/fleetlb/ipvs"
)

// called is what the program does by the name it was called by: a link named
// ipvsadm is ipvsadm.
func called(name string, args []string) []string {
	switch filepath.Base(name) {
	case "ipvsadm", "ipvsadm-save", "ipvsadm-restore":
		return append([]string{filepath.Base(name)}, args...)
	}
	return args
}

// asIPVS runs what is in ipvsadm's grammar, which is not ours: its options are no
// flags. ok says whether the arguments are.
func asIPVS(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int, ok bool) {
	a := &app{}
	args = a.takeSocket(args)
	if len(args) == 0 {
		return 0, false
	}
	r := ipvs.Runner{Program: args[0], Stdin: stdin, Stdout: stdout, Stderr: stderr}
	words := a.takeSocket(args[1:])
	switch args[0] {
	case "ipvs":
		r.Program = "fleetlb ipvs"
	case "ipvsadm":
	case "ipvsadm-save":
		words = saveArgs(words)
		if words == nil {
			fmt.Fprintf(stderr, "ipvsadm-save: Script to save the IPVS table to stdout.\n   With the -n option, prints out the table in numeric format.\n")
			return failed, true
		}
	case "ipvsadm-restore":
		// What is on its way is read whole before anything is cleared.
		rules, err := io.ReadAll(stdin)
		if err != nil {
			fmt.Fprintln(stderr, "standard input:", err)
			return failed, true
		}
		r.Stdin, r.Director = bytes.NewReader(rules), a.director()
		if code := r.Run(ctx, []string{"-C"}); code != done {
			return code, true
		}
		words = []string{"-R"}
		r = ipvs.Runner{Program: r.Program, Stdin: r.Stdin, Stdout: stdout, Stderr: stderr}
	default:
		return 0, false
	}
	r.Director = a.director()
	return r.Run(ctx, words), true
}

// saveArgs is what ipvsadm-save makes of its own.
func saveArgs(args []string) []string {
	words := []string{"-S"}
	for _, arg := range args {
		switch {
		case arg == "-n":
			words = []string{"-S", "-n"}
		case strings.HasPrefix(arg, "-"):
			return nil
		}
	}
	return words
}

// takeSocket takes --socket off the front.
func (a *app) takeSocket(args []string) []string {
	for len(args) > 0 {
		path, joined := strings.CutPrefix(args[0], "--socket=")
		switch {
		case joined:
			a.socket, args = path, args[1:]
		case args[0] == "--socket" && len(args) > 1:
			a.socket, args = args[1], args[2:]
		default:
			return args
		}
	}
	return args
}

// ipvs is there for help and completion: run has looked for it before.
func (a *app) ipvs() *cobra.Command {
	return &cobra.Command{
		Use: "ipvs OPTIONS", GroupID: groupAct,
		Short: "ipvsadm's own commands, options and output",
		Long: `ipvs takes ipvsadm's commands and options, and prints as ipvsadm does. A link to
fleetlb by the name of ipvsadm, ipvsadm-save or ipvsadm-restore behaves as that
program. fleetlb ipvs -h lists the options.`,
		Example: `  fleetlb ipvs -A -t 203.0.113.10:80 -s wrr
  fleetlb ipvs -a -t 203.0.113.10:80 -r 10.3.0.11:8080 -b -w 3
  fleetlb ipvs -L -n --stats
  fleetlb ipvs -S -n | fleetlb ipvs -R
  ln -s fleetlb /usr/local/sbin/ipvsadm`,
		DisableFlagParsing: true, ValidArgsFunction: nothing,
		RunE: func(c *cobra.Command, args []string) error {
			if code, _ := asIPVS(c.Context(), append([]string{"ipvs"}, args...), os.Stdin, a.stdout, a.stderr); code != done {
				return errSilent
			}
			return nil
		},
	}
}
