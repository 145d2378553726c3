// Fleetlbd is the director: a node of a layer-4 load balancer.
//
//	fleetlbd -config FILE    run until SIGTERM; SIGHUP reloads; SIGUSR2 ends it
//	                         at once, for another that takes over its sessions
//	fleetlbd -check FILE     say whether FILE is good, and run nothing
//
// It exits 0 when it was told to end, 1 when it could not run, and 2 when the
// command line or the configuration is wrong. A second SIGTERM ends it at once,
// and its sessions with it.
//
// default.pgo is a profile of the worker's way of a packet, by which the compiler
// decides what is worth its trouble: a packet costs a seventh less.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"fleetlb/bgp"
	"fleetlb/cmd/version"
	"fleetlb/node"
	"fleetlb/node/config"
)

//go:generate go test -short -run ^$ -bench Forward$/^both$/^sessions=(1000|1000000)$ -trimpath -outputdir . -cpuprofile default.pgo fleetlb/fullnat

// Exit codes.
const (
	done   = 0
	failed = 1
	misuse = 2
)

func main() {
	bgp.Child() // does not return in the speaker's process
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("fleetlbd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", "", "run with the configuration in `FILE`")
	check := flags.String("check", "", "check the configuration in `FILE` and exit")
	wanted := flags.Bool("version", false, "print the version and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return done
	case err != nil:
		return misuse
	case *wanted:
		fmt.Fprintln(stdout, "fleetlbd", version.String())
		return done
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "fleetlbd: unexpected argument %q\n", flags.Arg(0))
		return misuse
	case (*file == "") == (*check == ""):
		fmt.Fprintln(stderr, "fleetlbd: give either -config FILE or -check FILE")
		return misuse
	}

	host, err := config.ThisHost()
	if err != nil {
		fmt.Fprintln(stderr, "fleetlbd:", err)
		return failed
	}
	cfg, err := node.Load(*file+*check, host)
	if err == nil {
		err = node.Check(cfg)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return misuse
	}
	if *check != "" {
		for _, w := range cfg.Warnings {
			fmt.Fprintln(stderr, "warning:", w)
		}
		fmt.Fprintf(stdout, "%s: good; services: %d\n", *check, len(cfg.Services))
		return done
	}
	if err := serve(cfg, stderr); err != nil {
		fmt.Fprintln(stderr, "fleetlbd:", err)
		return failed
	}
	return done
}

// serve runs the director until SIGTERM or SIGINT.
func serve(cfg *config.Config, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // the next one does what it does to any program

	hangup := make(chan os.Signal, 1) // one that waits stands for all that came since
	signal.Notify(hangup, unix.SIGHUP)
	defer signal.Stop(hangup)
	replace := make(chan os.Signal, 1)
	signal.Notify(replace, unix.SIGUSR2)
	defer signal.Stop(replace)
	// Nobody reading the log is no reason to end, as it would be for a program
	// that does not ask for the signal.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)

	return node.Run(ctx, cfg, node.Options{Version: version.String(), Log: stderr, Reload: hangup, Replace: replace})
}
