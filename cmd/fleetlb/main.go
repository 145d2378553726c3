// Command fleetlb is the operator's side of a director: nouns print what is,
// verbs change it. It talks to the director's unix socket and does nothing by
// itself.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"fleetlb/node/admin"
)

// Exit codes.
const (
	done   = 0
	failed = 1 // refused, or went wrong
	misuse = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, called(os.Args[0], os.Args[1:]), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if code, ok := asIPVS(ctx, args, os.Stdin, stdout, stderr); ok {
		return code
	}
	out := bufio.NewWriter(stdout)
	a := &app{stdout: out, stderr: stderr}
	root := a.root()
	root.SetArgs(joinWatch(args))
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if flushed := out.Flush(); err == nil && flushed != nil {
		err = noOutput(flushed)
	}
	if err == nil {
		return done
	}
	if err != errSilent {
		complain(stderr, err)
	}
	return codeOf(err)
}

// errSilent is a misuse about which everything has been said.
var errSilent = misused("")

// complain prints err as "fleetlb: noun: cause", each cause of several on a line
// of its own.
func complain(w io.Writer, err error) {
	noun, causes := "", err.Error()
	if e := (*admin.Error)(nil); errors.As(err, &e) && e.Noun != "" {
		noun, causes = e.Noun+": ", e.Cause
	}
	for line := range strings.Lines(causes) {
		fmt.Fprintf(w, "fleetlb: %s%s\n", noun, strings.TrimRight(line, "\n"))
	}
}

// codeOf is the exit code. Errors that are not our own are the flag library's, about
// what it could not parse.
func codeOf(err error) int {
	if e := (*admin.Error)(nil); errors.As(err, &e) && e.Kind != admin.Invalid {
		return failed
	}
	return misuse
}

// misused returns an error of usage: "noun: cause", exit code 2.
func misused(format string, args ...any) error { return admin.Errorf(admin.Invalid, format, args...) }

// noOutput is the error of a print that did not get through, such as a full disk.
func noOutput(err error) error {
	if p := (*os.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return admin.Errorf(admin.Internal, "output: %v", err)
}
